// The registry's clock: never goes back, whatever the wall clock does.
#pragma once

#include "messages/ids.hpp"

#include <functional>

namespace belay::actors {

/// Where a node takes its time from. Injected, so that a test owns both clocks.
struct time_sources {
  /// Milliseconds since 1970 by the wall clock; may jump.
  std::function<timestamp_ms()> wall;
  /// Milliseconds since some start; never jumps.
  std::function<timestamp_ms()> steady;
};

/// Returns the machine's own clocks.
[[nodiscard]] time_sources system_time();

/// Counts from max(wall clock, largest time ever stored) at construction by the steady clock, so a
/// jump of the wall clock while running changes no lease, and one between two runs cannot turn time
/// back.
///
/// Concurrency: immutable after construction; `now` may be called from any thread.
class registry_clock {
public:
  registry_clock(time_sources sources, timestamp_ms stored)
    : steady_{std::move(sources.steady)},
      steady_start_{steady_()},
      base_{std::max(sources.wall(), stored)} {}

  [[nodiscard]] timestamp_ms now() const {
    return base_ + (steady_() - steady_start_);
  }

private:
  std::function<timestamp_ms()> steady_;
  timestamp_ms steady_start_;
  timestamp_ms base_;
};

} // namespace belay::actors
