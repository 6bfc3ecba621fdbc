// How gates and certificates refuse what they are given.
#pragma once

#include "messages/json_strict.hpp"

#include <filesystem>
#include <string>

namespace belay::gates {

/// Returns the refusal of an option: its name, its value, and what was expected.
[[nodiscard]] inline refusal
bad_option(const std::string& field, const std::string& value, const std::string& expected) {
  return bad_field(field, "'" + value + "'", expected);
}

/// Returns the refusal of a file.
[[nodiscard]] inline refusal bad_file(const std::filesystem::path& file, const std::string& what) {
  return {ec::bad_request, file.string() + ": " + what};
}

/// The longest name of a host (RFC 1035).
inline constexpr std::size_t host_name_max = 253;

} // namespace belay::gates
