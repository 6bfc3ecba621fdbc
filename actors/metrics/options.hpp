// How a node tells of itself: the `[metrics]` section of the configuration.
#pragma once

#include "actors/metrics/http_server.hpp"

namespace belay::metrics {

struct options {
  /// Off: nothing is counted and nobody listens.
  bool is_on = false;
  /// What the program was built from, for `belay_build_info`; empty: not known.
  std::string commit;
  http_options http;
  /// Most values of the labels `kind` and `queue`; what is beyond is `other`.
  std::size_t names_max = 100;
  /// Time in which registry and worker answer a node that is ready, in milliseconds.
  duration_ms ready_within_ms = 2'000;
};

} // namespace belay::metrics
