#include "actors/trace/context.hpp"

#include "messages/registration.hpp"

#include <cmath>

namespace belay::tracing {

namespace {

// Places in a traceparent (W3C Trace Context, section 3.2.2).
constexpr std::size_t trace_at = 3;
constexpr std::size_t trace_digits = 32;
constexpr std::size_t span_at = 36;
constexpr std::size_t span_digits = 16;
constexpr std::size_t flags_end = 54;
/// The digits of a trace id that decide: the last 56 bits, which are to be random where an id is
/// not ours (W3C Trace Context level 2, "random trace id flag").
constexpr std::size_t random_digits = 14;
constexpr int random_bits = 56;

bool is_odd_digit(char digit) {
  return std::string_view{"13579bdf"}.find(digit) != std::string_view::npos;
}

} // namespace

std::optional<context> parse_traceparent(std::string_view text) {
  if (!is_traceparent(text)) {
    return std::nullopt;
  }
  return context{std::string{text.substr(trace_at, trace_digits)},
                 std::string{text.substr(span_at, span_digits)}, is_odd_digit(text[flags_end])};
}

std::string as_version_00(std::string text) {
  if (is_traceparent(text)) {
    text.replace(0, 2, "00");
    text.resize(flags_end + 1);
  }
  return text;
}

std::string to_traceparent(const context& x) {
  return "00-" + x.trace_id + "-" + x.span_id + (x.sampled ? "-01" : "-00");
}

std::string derive_trace_id(const process_id& id, row_id row) {
  return hash_hex("belay trace\n" + std::to_string(static_cast<std::uint64_t>(row)) + "\n" + id)
    .substr(0, trace_digits);
}

std::string derive_span_id(const std::string& trace_id, const process_id& id, fencing_token fence,
                           std::string_view name) {
  return hash_hex("belay span\n" + trace_id + "\n"
                  + std::to_string(static_cast<std::uint64_t>(fence)) + "\n" + std::string{name}
                  + "\n" + id)
    .substr(0, span_digits);
}

bool is_sampled(const std::string& trace_id, double ratio) {
  const auto number = std::stoull(trace_id.substr(trace_id.size() - random_digits), nullptr, 16);
  return std::ldexp(static_cast<double>(number), -random_bits) < ratio;
}

} // namespace belay::tracing
