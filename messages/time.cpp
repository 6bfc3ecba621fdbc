#include "messages/time.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace belay {

namespace {

constexpr std::int64_t ms_per_second = 1'000;
constexpr std::int64_t ms_per_day = 86'400'000;

struct unit {
  std::string_view name;
  duration_ms ms;
};

constexpr std::array<unit, 5> units{{
  {"d", ms_per_day},
  {"h", 3'600'000},
  {"m", 60'000},
  {"s", ms_per_second},
  {"ms", 1},
}};

/// Reads digits from the front of a text.
class digit_reader {
public:
  explicit digit_reader(std::string_view text) : text_{text} {}

  bool number(std::size_t count, int& result) {
    if (text_.size() < count) {
      return false;
    }
    result = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (text_[i] < '0' || text_[i] > '9') {
        return false;
      }
      result = result * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(count);
    return true;
  }

  bool one_of(std::string_view choices, char& result) {
    if (text_.empty() || choices.find(text_.front()) == std::string_view::npos) {
      return false;
    }
    result = text_.front();
    text_.remove_prefix(1);
    return true;
  }

  bool skip(std::string_view choices) {
    char ignored = 0;
    return one_of(choices, ignored);
  }

  [[nodiscard]] std::string_view rest() const {
    return text_;
  }

  /// Reads `.ddd...`; digits after the third are dropped.
  bool fraction(int& ms) {
    ms = 0;
    if (!skip(".")) {
      return true;
    }
    int scale = 100;
    std::size_t count = 0;
    int digit = 0;
    while (!text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
      number(1, digit);
      ms += digit * scale;
      scale /= 10;
      ++count;
    }
    return count > 0;
  }

private:
  std::string_view text_;
};

bool read_offset(digit_reader& in, std::int64_t& minutes) {
  char sign = 0;
  minutes = 0;
  if (!in.one_of("Zz+-", sign)) {
    return false;
  }
  if (sign == 'Z' || sign == 'z') {
    return true;
  }
  int hours = 0;
  int rest = 0;
  if (!in.number(2, hours) || !in.skip(":") || !in.number(2, rest) || hours > 23 || rest > 59) {
    return false;
  }
  minutes = (hours * 60 + rest) * (sign == '-' ? -1 : 1);
  return true;
}

} // namespace

std::string format_time(timestamp_ms at) {
  using namespace std::chrono;
  const auto days_part = floor<days>(milliseconds{at});
  const year_month_day date{sys_days{days_part}};
  const auto rest = milliseconds{at} - days_part;
  const auto ms = static_cast<int>(rest.count() % ms_per_second);
  const auto seconds_of_day = static_cast<int>(rest.count() / ms_per_second);
  std::array<char, 40> text{};
  const auto length = std::snprintf(
    text.data(), text.size(),
    ms == 0 ? "%04d-%02u-%02uT%02d:%02d:%02dZ" : "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
    static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
    static_cast<unsigned>(date.day()), seconds_of_day / 3'600, seconds_of_day / 60 % 60,
    seconds_of_day % 60, ms);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<timestamp_ms> parse_time(std::string_view text) {
  using namespace std::chrono;
  digit_reader in{text};
  int y = 0;
  int mo = 0;
  int d = 0;
  int h = 0;
  int mi = 0;
  int s = 0;
  int ms = 0;
  std::int64_t offset = 0;
  const auto shaped = in.number(4, y) && in.skip("-") && in.number(2, mo) && in.skip("-")
                      && in.number(2, d) && in.skip("Tt ") && in.number(2, h) && in.skip(":")
                      && in.number(2, mi) && in.skip(":") && in.number(2, s) && in.fraction(ms)
                      && read_offset(in, offset) && in.rest().empty();
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)},
                            day{static_cast<unsigned>(d)}};
  if (!shaped || !date.ok() || y < 1970 || h > 23 || mi > 59 || s > 59) {
    return std::nullopt;
  }
  const auto at = sys_days{date}.time_since_epoch() + hours{h} + minutes{mi} + seconds{s}
                  + milliseconds{ms} - minutes{offset};
  const auto result = duration_cast<milliseconds>(at).count();
  return result < 0 ? std::nullopt : std::optional<timestamp_ms>{result};
}

std::optional<duration_ms> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop == text.data()) {
    return std::nullopt;
  }
  const std::string_view name{stop, static_cast<std::size_t>(end - stop)};
  for (const auto& x : units) {
    std::int64_t result = 0;
    if (x.name == name && !__builtin_mul_overflow(number, x.ms, &result)) {
      return result;
    }
  }
  return std::nullopt;
}

std::string format_duration(duration_ms length) {
  for (const auto& x : units) {
    if (length != 0 && length % x.ms == 0) {
      return std::to_string(length / x.ms) + std::string{x.name};
    }
  }
  return "0s";
}

} // namespace belay
