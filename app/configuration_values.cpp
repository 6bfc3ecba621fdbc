#include "app/configuration_values.hpp"

#include "actors/trace/http_sink.hpp"
#include "app/configuration_keys.hpp"
#include "messages/time.hpp"

#include <array>
#include <charconv>

namespace belay::app {

std::string quoted(const std::string& text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      result += "\\u00";
      result += digits[byte >> 4U];
      result += digits[byte & 0x0FU];
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string size_text(std::int64_t bytes) {
  constexpr std::array<std::pair<const char*, std::int64_t>, 3> units{
    {{"GiB", gib}, {"MiB", kib * kib}, {"KiB", kib}}};
  for (const auto& [name, factor] : units) {
    if (bytes != 0 && bytes % factor == 0) {
      return std::to_string(bytes / factor) + name;
    }
  }
  return std::to_string(bytes) + "B";
}

std::optional<std::int64_t> parse_size(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> units{
    {{"", 1}, {"B", 1}, {"KiB", kib}, {"MiB", kib * kib}, {"GiB", gib}}};
  std::int64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const std::string_view name{stop, static_cast<std::size_t>(end - stop)};
  for (const auto& [known, factor] : units) {
    std::int64_t result = 0;
    if (error == std::errc{} && known == name && !__builtin_mul_overflow(number, factor, &result)) {
      return result;
    }
  }
  return std::nullopt;
}

std::string ratio_text(double x) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), x).ptr};
}

std::optional<std::string> bad_trace_setting(const configuration& x) {
  if (!x.trace_endpoint.empty()) {
    if (const auto no = tracing::check_endpoint(x.trace_endpoint)) {
      return "trace.endpoint: " + no->text;
    }
  }
  if (x.trace_retry_max < x.trace_retry_min) {
    return "trace.retry_max: " + format_duration(x.trace_retry_max)
           + " is not acceptable, expected at least trace.retry_min ("
           + format_duration(x.trace_retry_min) + ")";
  }
  return std::nullopt;
}

} // namespace belay::app
