// "Did you mean": the nearest known word to a mistyped one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace belay {

/// Returns the candidate with the fewest edits from `word`, if that is at most a third of its
/// length (and at least one edit is always forgiven).
[[nodiscard]] std::optional<std::string>
did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// Returns `; did you mean 'x'?`, or the known words when none is near.
[[nodiscard]] std::string
suggestion(std::string_view word, const std::vector<std::string>& candidates);

} // namespace belay
