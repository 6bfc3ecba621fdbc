// How much one page of events may hold, and how a page that asks for more is refused.
#pragma once

#include "messages/wire_error.hpp"

#include <cstdint>
#include <string>

namespace belay::actors {

/// Most events in one page.
inline constexpr std::uint32_t events_limit_max = 1'000;

/// Returns the refusal of a limit that is not from 1 to the most.
[[nodiscard]] inline caf::error limit_refused(std::uint32_t limit, std::uint32_t most) {
  return caf::make_error(ec::bad_request, "limit: " + std::to_string(limit)
                                            + " is not acceptable, expected 1 to "
                                            + std::to_string(most));
}

} // namespace belay::actors
