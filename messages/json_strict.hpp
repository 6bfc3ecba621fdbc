// JSON as it is taken from outside: no duplicate keys, no broken UTF-8, bounded depth.
#pragma once

#include "messages/error.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace belay {

/// Deepest nesting that is accepted.
inline constexpr std::size_t json_depth_max = 64;

/// Parses one JSON text. Refuses (`bad_request`) malformed text with the position of the fault,
/// duplicate keys by name, and nesting deeper than `json_depth_max`.
[[nodiscard]] checked<nlohmann::json> parse_json_strict(std::string_view text);

/// Returns a JSON value as short text for an error message: 80 characters at most.
[[nodiscard]] std::string shortened(const nlohmann::json& value);

/// Returns the refusal of a field of a request: its name, the value as it is to be read, and what
/// was expected instead.
[[nodiscard]] refusal
bad_field(const std::string& field, const std::string& value, const std::string& expected);

/// The same with the value as JSON, shortened.
[[nodiscard]] refusal
bad_value(const std::string& field, const nlohmann::json& value, const std::string& expected);

} // namespace belay
