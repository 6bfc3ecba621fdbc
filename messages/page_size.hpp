// How much one message may carry of what is told in pieces.
#pragma once

#include <cstddef>

namespace belay {

/// Bytes of rows, events, journal entries or actors after which a message takes no more of them: it
/// holds about as much, and at most one item more. Whoever may send them takes as much
/// (`cluster.message_max`).
inline constexpr std::size_t page_bytes_max = 1U << 20;

} // namespace belay
