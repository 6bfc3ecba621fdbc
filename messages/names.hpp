// Enumerations and their stable names, both ways.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace belay {

template <class Enum, std::size_t N>
using name_table = std::array<std::pair<Enum, std::string_view>, N>;

template <class Enum, std::size_t N>
std::string name_of(const name_table<Enum, N>& table, Enum value) {
  for (const auto& [known, name] : table) {
    if (known == value) {
      return std::string{name};
    }
  }
  return "unknown";
}

template <class Enum, std::size_t N>
std::optional<Enum> value_of(const name_table<Enum, N>& table, std::string_view name) {
  for (const auto& [known, text] : table) {
    if (text == name) {
      return known;
    }
  }
  return std::nullopt;
}

} // namespace belay
