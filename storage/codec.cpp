#include "storage/codec.hpp"

#include "storage/store.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace belay::storage {

namespace {

/// The reversed Castagnoli polynomial (RFC 3720).
constexpr std::uint32_t polynomial = 0x82F63B78U;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    auto x = i;
    for (int bit = 0; bit < 8; ++bit) {
      x = (x & 1U) != 0 ? (x >> 1U) ^ polynomial : x >> 1U;
    }
    table.at(i) = x;
  }
  return table;
}

constexpr auto crc_table = make_table();

std::uint32_t crc_by_table(std::uint32_t crc, std::string_view bytes) {
  for (const char c : bytes) {
    crc = crc_table[(crc ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (crc >> 8U);
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t
crc_by_instruction(std::uint32_t crc, std::string_view bytes) {
  std::uint64_t wide = crc;
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    wide = __builtin_ia32_crc32di(wide, word);
    bytes.remove_prefix(sizeof word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (const char c : bytes) {
    crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(c));
  }
  return crc;
}

bool has_instruction() {
  static const bool result = __builtin_cpu_supports("sse4.2") != 0;
  return result;
}
#endif

template <class Number>
Number big_endian(Number x) {
  if constexpr (std::endian::native == std::endian::little) {
    return sizeof(Number) == 4
             ? static_cast<Number>(__builtin_bswap32(static_cast<std::uint32_t>(x)))
             : static_cast<Number>(__builtin_bswap64(x));
  }
  return x;
}

template <class Number>
void append(std::string& to, Number x) {
  x = big_endian(x);
  std::array<char, sizeof(Number)> bytes{};
  std::memcpy(bytes.data(), &x, sizeof x);
  to.append(bytes.data(), bytes.size());
}

template <class Number>
Number take(std::string_view bytes) {
  Number x = 0;
  std::memcpy(&x, bytes.data(), sizeof x);
  return big_endian(x);
}

} // namespace

std::uint32_t crc32c(std::string_view bytes) {
#if defined(__x86_64__)
  if (has_instruction()) {
    return ~crc_by_instruction(~0U, bytes);
  }
#endif
  return ~crc_by_table(~0U, bytes);
}

byte_writer& byte_writer::u8(std::uint8_t x) {
  bytes_ += static_cast<char>(x);
  return *this;
}

byte_writer& byte_writer::u32(std::uint32_t x) {
  append(bytes_, x);
  return *this;
}

byte_writer& byte_writer::u64(std::uint64_t x) {
  append(bytes_, x);
  return *this;
}

byte_writer& byte_writer::i64(std::int64_t x) {
  return u64(static_cast<std::uint64_t>(x));
}

byte_writer& byte_writer::raw(std::string_view x) {
  bytes_ += x;
  return *this;
}

byte_writer& byte_writer::text(std::string_view x) {
  return u32(static_cast<std::uint32_t>(x.size())).raw(x);
}

std::string byte_writer::record() {
  append(bytes_, crc32c(bytes_));
  return std::move(bytes_);
}

byte_reader byte_reader::of_record(std::string_view bytes, const char* table) {
  constexpr std::size_t crc_bytes = sizeof(std::uint32_t);
  if (bytes.size() < crc_bytes) {
    throw error{error_kind::fault, std::string{"a record of table "} + table + " is too short"};
  }
  const auto content = bytes.substr(0, bytes.size() - crc_bytes);
  if (take<std::uint32_t>(bytes.substr(content.size())) != crc32c(content)) {
    throw error{error_kind::fault, std::string{"a record of table "} + table
                                     + " is damaged: its checksum does not match"};
  }
  return byte_reader{content};
}

std::string_view byte_reader::raw(std::size_t count) {
  if (rest_.size() < count) {
    throw error{error_kind::fault, "a record ends too early"};
  }
  const auto result = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return result;
}

std::uint8_t byte_reader::u8() {
  return static_cast<std::uint8_t>(raw(1).front());
}

std::uint32_t byte_reader::u32() {
  return take<std::uint32_t>(raw(sizeof(std::uint32_t)));
}

std::uint64_t byte_reader::u64() {
  return take<std::uint64_t>(raw(sizeof(std::uint64_t)));
}

std::int64_t byte_reader::i64() {
  return static_cast<std::int64_t>(u64());
}

std::string_view byte_reader::text() {
  const auto length = u32();
  return raw(length);
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4U];
    text += digits[byte & 0x0FU];
  }
  return text;
}

std::string from_hex(std::string_view digits) {
  constexpr std::string_view known = "0123456789abcdef";
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const auto high = known.find(digits[i]);
    const auto low = i + 1 < digits.size() ? known.find(digits[i + 1]) : std::string_view::npos;
    if (high == std::string_view::npos || low == std::string_view::npos) {
      throw std::invalid_argument{"expected hex digits"};
    }
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

} // namespace belay::storage
