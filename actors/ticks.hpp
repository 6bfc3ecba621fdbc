// The messages that an actor has on their way to itself, to look at what is due.
#pragma once

#include <caf/actor_clock.hpp>
#include <set>

namespace belay::actors {

/// CAF cannot call a delayed message back. Who sends one for each new alarm, and another for the
/// next when one comes, has more and more of them on their way; so the times of those that are
/// there are remembered.
class ticks {
public:
  using time_point = caf::actor_clock::time_point;

  /// Whether one must be sent for this time: none that is on its way comes as early.
  [[nodiscard]] bool are_needed(time_point at) {
    if (!times_.empty() && *times_.begin() <= at) {
      return false;
    }
    times_.insert(at);
    return true;
  }

  /// One has come.
  void came() {
    if (!times_.empty()) {
      times_.erase(times_.begin());
    }
  }

private:
  std::set<time_point> times_;
};

} // namespace belay::actors
