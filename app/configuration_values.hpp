// Values of settings as text, and what some of them must be together.
#pragma once

#include "app/configuration.hpp"

namespace belay::app {

/// Returns a basic string of TOML.
[[nodiscard]] std::string quoted(const std::string& text);

/// Returns a size with the largest unit that fits, as in "64KiB".
[[nodiscard]] std::string size_text(std::int64_t bytes);
/// Reads it back. Nothing when it is not a size.
[[nodiscard]] std::optional<std::int64_t> parse_size(const std::string& text);

/// Returns the shortest text that reads back as the same number.
[[nodiscard]] std::string ratio_text(double x);

/// Says what is wrong with the settings of traces. Nothing when all is well.
[[nodiscard]] std::optional<std::string> bad_trace_setting(const configuration& x);

} // namespace belay::app
