// The inside of an exposition, shared by the instruments' sources.
#pragma once

#include "actors/metrics/exposition.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace belay::metrics {

struct exposition::impl {
  prometheus::Registry all;
};

using label_map = prometheus::Labels;
using counter = prometheus::Counter;
using gauge = prometheus::Gauge;
using histogram = prometheus::Histogram;

template <class T>
using family = prometheus::Family<T>;

inline family<counter>& counters(exposition& to, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(to.inside().all);
}

inline family<gauge>& gauges(exposition& to, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(to.inside().all);
}

inline family<histogram>& histograms(exposition& to, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(to.inside().all);
}

/// Bounds of what takes from part of a millisecond (a commit to a good disk) to seconds.
inline histogram::BucketBoundaries short_times() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

/// Bounds of what takes from milliseconds (a small tool) to a day.
inline histogram::BucketBoundaries long_times() {
  return {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1'800, 3'600, 21'600, 86'400};
}

} // namespace belay::metrics
