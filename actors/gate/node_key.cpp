#include "actors/gate/node_key.hpp"

#include <algorithm>
#include <caf/node_id.hpp>
#include <charconv>

namespace belay::gates {

namespace {

constexpr std::string_view digits = "0123456789ABCDEF";

std::optional<std::uint8_t> value_of(char digit) {
  const auto upper = digit >= 'a' && digit <= 'f' ? static_cast<char>(digit - 'a' + 'A') : digit;
  const auto at = digits.find(upper);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  return static_cast<std::uint8_t>(at);
}

} // namespace

bool is_valid(const node_key& x) {
  return x.os_pid != 0
         && std::any_of(x.host.begin(), x.host.end(), [](std::uint8_t byte) { return byte != 0; });
}

std::string to_string(const node_key& x) {
  std::string text;
  for (const auto byte : x.host) {
    text += digits[byte >> 4U];
    text += digits[byte & 0xFU];
  }
  return text + '#' + std::to_string(x.os_pid);
}

std::optional<node_key> parse_node_key(std::string_view text) {
  node_key x;
  const auto hash = x.host.size() * 2;
  if (text.size() <= hash + 1 || text[hash] != '#') {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < x.host.size(); ++i) {
    const auto high = value_of(text[2 * i]);
    const auto low = value_of(text[2 * i + 1]);
    if (!high || !low) {
      return std::nullopt;
    }
    x.host[i] = static_cast<std::uint8_t>((*high << 4U) | *low);
  }
  const auto* const end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(text.data() + hash + 1, end, x.os_pid);
  if (fault != std::errc{} || rest != end || !is_valid(x)) {
    return std::nullopt;
  }
  return x;
}

std::optional<node_key> key_of(const caf::node_id& id) {
  using plain = caf::node_id::default_data;
  if (!id || id->implementation_id() != plain::class_id) {
    return std::nullopt;
  }
  const auto& data = static_cast<const plain&>(*id);
  const node_key x{data.host_id(), data.process_id()};
  return is_valid(x) ? std::optional{x} : std::nullopt;
}

} // namespace belay::gates
