// Points in time and lengths of time as people write them.
#pragma once

#include "messages/ids.hpp"

#include <optional>
#include <string_view>

namespace belay {

/// Returns RFC 3339 in UTC, as in 2026-12-01T03:00:00Z; milliseconds only when there are any.
[[nodiscard]] std::string format_time(timestamp_ms at);

/// The last point in time that can be written here: 9999-12-31T23:59:59.999Z.
inline constexpr timestamp_ms timestamp_max = 253'402'300'799'999;

/// Reads RFC 3339 with `Z` or an offset, years 1970 to 9999; fractions end at milliseconds.
[[nodiscard]] std::optional<timestamp_ms> parse_time(std::string_view text);

/// Reads a whole number with a unit: ms, s, m, h or d. A number without one is refused.
[[nodiscard]] std::optional<duration_ms> parse_duration(std::string_view text);

/// Returns the largest unit that loses nothing, as in 90s or 2h.
[[nodiscard]] std::string format_duration(duration_ms length);

} // namespace belay
