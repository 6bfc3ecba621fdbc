// The alarms of a sweeper's processes and lease keepers: by time for who is next, by slot for who
// ends.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace belay::actors {

class alarms {
public:
  using time_point = std::chrono::steady_clock::time_point;

  struct alarm {
    std::uint64_t slot = 0;
    /// For the slot's lease keeper; otherwise for its process.
    bool keeper = false;
    std::uint32_t tag = 0;
  };

  void set(time_point at, const alarm& x);
  /// Drops all of a slot; costs what that slot has, however many others there are.
  void forget(std::uint64_t slot);
  void clear();
  /// Takes the earliest that is due.
  [[nodiscard]] std::optional<alarm> take_due(time_point now);
  /// When the earliest is due; nothing when there is none.
  [[nodiscard]] std::optional<time_point> next() const;
  [[nodiscard]] std::size_t size() const {
    return by_time_.size();
  }

private:
  using times = std::multimap<time_point, alarm>;
  times by_time_;
  std::multimap<std::uint64_t, times::iterator> by_slot_;
};

} // namespace belay::actors
