#include "actors/clock.hpp"

#include <chrono>

namespace belay::actors {

time_sources system_time() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return {
    [] {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      return static_cast<timestamp_ms>(duration_cast<milliseconds>(now).count());
    },
    [] {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      return static_cast<timestamp_ms>(duration_cast<milliseconds>(now).count());
    },
  };
}

} // namespace belay::actors
