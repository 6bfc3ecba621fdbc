// BASP frames for tests: made by hand, or as CAF wrote them.
#pragma once

#include "actors/gate/basp_frame.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace belay::tests {

/// The nodes of the captures, whose real ids were replaced.
inline gates::node_key captured_server() {
  gates::node_key x;
  x.host.fill(0x11);
  x.os_pid = 1;
  return x;
}

inline gates::node_key captured_client() {
  gates::node_key x;
  x.host.fill(0x22);
  x.os_pid = 2;
  return x;
}

inline std::string big_endian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (auto i = bytes; i > 0; --i) {
    text += static_cast<char>((value >> (8 * (i - 1))) & 0xFFU);
  }
  return text;
}

inline std::string node_text(const gates::node_key& x) {
  return big_endian(0x3E9AAB9BAC79, 8) + big_endian(x.os_pid, 4)
         + std::string{x.host.begin(), x.host.end()};
}

struct frame {
  std::uint8_t operation = 2;
  std::string payload;
  std::uint64_t data = 0;
  std::uint64_t source = 1;
  std::uint64_t destination = 7;
  std::uint8_t flags = 0;

  [[nodiscard]] std::string header(std::uint64_t length) const {
    return big_endian(operation, 1) + big_endian(0, 2) + big_endian(flags, 1)
           + big_endian(length, 4) + big_endian(data, 8) + big_endian(source, 8)
           + big_endian(destination, 8);
  }

  [[nodiscard]] std::string text() const {
    return header(payload.size()) + payload;
  }
};

inline std::string client_handshake(const gates::node_key& x) {
  return frame{.operation = 1, .payload = node_text(x), .source = 0, .destination = 0}.text();
}

/// A message of these types; the values follow.
inline std::string
message(const std::string& types, const std::string& values = {}, char stages = '\0') {
  return std::string(1, stages) + std::string(2, '\0')
         + (types.size() < 128 ? std::string(1, static_cast<char>(types.size()))
                               : std::string{static_cast<char>(0x80U | (types.size() & 0x7FU)),
                                             static_cast<char>(types.size() >> 7U)})
         + types + values;
}

/// The captures of one side, without the byte for the fuzz target that they begin with.
inline std::vector<std::string> captures(const std::string& side) {
  std::vector<std::string> all;
  for (const auto& entry :
       std::filesystem::directory_iterator{BELAY_SOURCE_DIR "/tests/fuzz/corpus/basp_frame"}) {
    if (entry.path().filename().string().starts_with(side)) {
      std::ifstream in{entry.path(), std::ios::binary};
      all.push_back(std::string{std::istreambuf_iterator<char>{in}, {}}.substr(1));
    }
  }
  return all;
}

} // namespace belay::tests
