// How soon a silent peer is noticed.
#pragma once

#include "messages/ids.hpp"

namespace belay::actors {

/// How soon a silent peer is noticed: the `[cluster]` section of the configuration. Both ends send;
/// one that sends nothing is given up by the other after its time-out.
struct link_policy {
  duration_ms heartbeat_interval_ms = 500;
  duration_ms timeout_ms = 5'000;
};

} // namespace belay::actors
