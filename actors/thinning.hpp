// Which of many alike events get a line in the log.
#pragma once

#include <cstdint>

namespace belay::actors {

/// Returns whether the n-th of them (from 1) does: the first, the second, the fourth and so on, so
/// that the log grows with the logarithm, whoever makes them.
[[nodiscard]] constexpr bool is_logged(std::uint64_t n) {
  return (n & (n - 1)) == 0;
}

} // namespace belay::actors
