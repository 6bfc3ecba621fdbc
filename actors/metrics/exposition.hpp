// What a scrape is answered with: instruments that counted meanwhile, and gauges read now.
//
// prometheus-cpp stays behind this and the instruments' sources: few files read its headers.
#pragma once

#include "actors/metrics/label_set.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace belay::metrics {

/// One number with its labels.
struct sample {
  double value = 0;
  std::vector<std::pair<std::string, std::string>> labels;
};

/// A metric that is worked out when it is asked for.
struct reading {
  std::string name;
  std::string help;
  std::vector<sample> samples;
  /// Whether it only rises.
  bool is_counter = false;
};

/// Concurrency: every member from any thread.
class exposition {
public:
  /// `names_max`: most values of the labels `kind` and `queue`, `other` not counted.
  explicit exposition(std::size_t names_max);
  ~exposition();
  exposition(const exposition&) = delete;
  exposition& operator=(const exposition&) = delete;

  /// Returns all metrics in Prometheus's text format.
  [[nodiscard]] std::string text(const std::vector<reading>& readings) const;

  /// Returns the values that the labels may have.
  [[nodiscard]] std::string kind_label(const std::string& kind);
  [[nodiscard]] std::string queue_label(const std::string& queue);
  /// The queues that have labels of their own.
  [[nodiscard]] std::set<std::string> labelled_queues();

  /// The inside, for the instruments.
  struct impl;
  [[nodiscard]] impl& inside() {
    return *impl_;
  }

private:
  std::unique_ptr<impl> impl_;
  std::mutex mutex_;
  label_set kinds_;
  label_set queues_;
};

} // namespace belay::metrics
