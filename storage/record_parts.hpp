// What the encodings of all records share.
#pragma once

#include "storage/codec.hpp"
#include "storage/records.hpp"
#include "storage/store.hpp"

namespace belay::storage {

/// The first byte of every record; a record of another version is a fault, because the format
/// version in `meta` said otherwise.
inline constexpr std::uint8_t record_version = 1;

[[noreturn]] inline void unknown_version(const char* table) {
  throw error{error_kind::fault,
              std::string{"a record of table "} + table + " has an unknown version"};
}

[[nodiscard]] inline byte_reader open_record(std::string_view bytes, const char* table) {
  auto in = byte_reader::of_record(bytes, table);
  if (in.u8() != record_version) {
    unknown_version(table);
  }
  return in;
}

inline void write(byte_writer& out, const stored_text& x) {
  out.u8(x.in_file ? 1 : 0).text(x.content);
}

[[nodiscard]] inline stored_text read_text(byte_reader& in) {
  stored_text x;
  x.in_file = in.u8() != 0;
  x.content = in.text();
  return x;
}

} // namespace belay::storage
