// What every fuzz target shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

/// Runs a target on one input; a property that does not hold ends the program.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace belay::fuzz {

/// The input of a target as text.
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the program with a report when a property does not hold.
inline void expect(bool holds, const char* property, std::string_view detail = {}) {
  if (!holds) {
    std::fprintf(stderr, "property: %s\n%s\n", property, std::string{detail}.c_str());
    std::abort();
  }
}

/// Expects that a refusal's text can be shown to a person: UTF-8, not empty, no control characters.
inline void expect_printable(std::string_view text) {
  expect(!text.empty(), "a refusal says why");
  for (const char c : text) {
    expect(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "a refusal is printable", text);
  }
  try {
    static_cast<void>(nlohmann::json(std::string{text}).dump()); // Throws unless it is UTF-8.
  } catch (const nlohmann::json::type_error&) {
    expect(false, "a refusal is UTF-8", text);
  }
}

} // namespace belay::fuzz
