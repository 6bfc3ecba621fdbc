// Pauses between tries to reach somebody.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace belay::actors {

/// Each pause is twice the one before, up to a bound, and by chance between half of that and all of
/// it: many who lost the same peer do not come back in one instant.
class backoff {
public:
  using milliseconds = std::chrono::milliseconds;

  backoff(milliseconds least, milliseconds most) : least_{least}, most_{most}, next_{least} {}

  /// Returns the pause before the next try. `bits` are random.
  [[nodiscard]] milliseconds next(std::uint64_t bits) {
    const auto half = std::max<std::int64_t>(next_.count() / 2, 1);
    next_ = std::min(next_ * 2, most_);
    return milliseconds{half + static_cast<std::int64_t>(bits % static_cast<std::uint64_t>(half))};
  }

  /// The peer was reached.
  void reset() {
    next_ = least_;
  }

private:
  milliseconds least_;
  milliseconds most_;
  milliseconds next_;
};

} // namespace belay::actors
