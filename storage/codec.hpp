// How keys and records are written: big-endian fields, and a CRC32C at the end of every record.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace belay::storage {

/// Returns the CRC32C (Castagnoli, as in RFC 3720 B.4) of bytes.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes);

/// Bytes as lower-case hex digits, and back. Throws `std::invalid_argument` on anything else.
[[nodiscard]] std::string hex(std::string_view bytes);
[[nodiscard]] std::string from_hex(std::string_view digits);

/// Appends fields to a key or a record.
class byte_writer {
public:
  byte_writer& u8(std::uint8_t x);
  byte_writer& u32(std::uint32_t x);
  byte_writer& u64(std::uint64_t x);
  /// A signed number as its two's complement; only for values that are not negative in keys.
  byte_writer& i64(std::int64_t x);
  /// Bytes as they are.
  byte_writer& raw(std::string_view x);
  /// Bytes behind their length (u32).
  byte_writer& text(std::string_view x);

  /// Returns what was written: a key.
  [[nodiscard]] std::string key() {
    return std::move(bytes_);
  }

  /// Returns what was written and its CRC32C: a record.
  [[nodiscard]] std::string record();

private:
  std::string bytes_;
};

/// Takes fields from a key or a record. Throws `error{fault}` when there are too few bytes.
class byte_reader {
public:
  /// Reads a key.
  explicit byte_reader(std::string_view bytes) : rest_{bytes} {}

  /// Reads a record: checks and drops the CRC. Throws `error{fault}` naming the table.
  [[nodiscard]] static byte_reader of_record(std::string_view bytes, const char* table);

  std::uint8_t u8();
  std::uint32_t u32();
  std::uint64_t u64();
  std::int64_t i64();
  std::string_view raw(std::size_t count);
  std::string_view text();

  [[nodiscard]] bool at_end() const {
    return rest_.empty();
  }

private:
  std::string_view rest_;
};

} // namespace belay::storage
