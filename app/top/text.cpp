#include "app/top/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utf8proc.h>

namespace belay::app::top {

namespace {

/// One character as it is shown.
struct shown {
  std::string_view bytes;
  std::size_t columns = 1;
};

/// Whether a code point is safe to write: no control, no format character, no surrogate, nothing
/// that is not assigned.
bool is_harmless(utf8proc_int32_t point) {
  switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

/// Takes the next character off the text. `marks` counts those in a row that take no column.
shown next(std::string_view& text, bool utf8, std::size_t& marks) {
  constexpr std::size_t marks_max = 2;
  utf8proc_int32_t point = 0;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &point);
  const auto bytes = text.substr(0, length > 0 ? static_cast<std::size_t>(length) : 1);
  text.remove_prefix(bytes.size());
  if (point == '\n' || point == '\t') {
    marks = 0;
    return {" ", 1};
  }
  if (length <= 0 || !is_harmless(point) || (!utf8 && point > 0x7E)) {
    marks = 0;
    return {"?", 1};
  }
  const auto columns = static_cast<std::size_t>(std::max(utf8proc_charwidth(point), 0));
  marks = columns == 0 ? marks + 1 : 0;
  return marks > marks_max ? shown{"", 0} : shown{bytes, columns};
}

} // namespace

std::string
harmless(std::string_view text, std::size_t columns, bool utf8, bool mark, std::size_t& used) {
  std::string result;
  used = 0;
  std::size_t marks = 0;
  // Where to cut if it turns out to be too long: before the last column.
  std::size_t cut_bytes = 0;
  std::size_t cut_columns = 0;
  while (!text.empty()) {
    const auto one = next(text, utf8, marks);
    if (used + one.columns > columns) {
      if (mark && columns > 0) {
        result.resize(cut_bytes);
        result += '~';
        used = cut_columns + 1;
      }
      return result;
    }
    result += one.bytes;
    used += one.columns;
    if (used < columns) {
      cut_bytes = result.size();
      cut_columns = used;
    }
  }
  return result;
}

line& line::add(std::string_view text, style how) {
  std::size_t used = 0;
  auto shown = harmless(text, left(), utf8_, false, used);
  if (used > 0) {
    spans_.push_back({std::move(shown), how});
    used_ += used;
  }
  return *this;
}

line& line::field(std::string_view text, std::size_t width, style how) {
  const auto room = std::min(width, left());
  std::size_t used = 0;
  auto shown = harmless(text, room, utf8_, true, used);
  shown.append(room - used, ' ');
  spans_.push_back({std::move(shown), how});
  used_ += room;
  return add(" ", how);
}

line& line::number(std::string_view text, std::size_t width, style how) {
  std::string padded(text.size() < width ? width - text.size() : 0, ' ');
  return field(padded.append(text), width, how);
}

line& line::to(std::size_t column, style how) {
  const auto wanted = std::min(column, columns_);
  return wanted > used_ ? add(std::string(wanted - used_, ' '), how) : *this;
}

line& line::wholly(style how) {
  to(columns_, how);
  for (auto& x : spans_) {
    x.how = how;
  }
  return *this;
}

std::string line::plain() const {
  std::string result;
  for (const auto& x : spans_) {
    result += x.text;
  }
  result.erase(result.find_last_not_of(' ') + 1);
  return result;
}

void append_utf8(std::string& to, char32_t point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), bytes.data());
  to.append(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::size_t>(std::max<utf8proc_ssize_t>(length, 0)));
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> result;
  std::string now;
  std::size_t taken = 0;
  const auto end_line = [&] {
    result.push_back(std::move(now));
    now.clear();
    taken = 0;
  };
  while (!text.empty()) {
    const auto space = text.find_first_of(" \n");
    auto word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    std::size_t used = 0;
    auto shown = harmless(word, word.size() * 2, true, false, used);
    if (taken > 0 && taken + 1 + used > columns) {
      end_line();
    }
    while (used > columns) { // A word longer than a line.
      auto part = harmless(shown, columns, true, false, used);
      shown.erase(0, std::max<std::size_t>(part.size(), 1));
      now = std::move(part);
      end_line();
      static_cast<void>(harmless(shown, shown.size() * 2, true, false, used));
    }
    now += (taken > 0 ? " " : "") + shown;
    taken += used + (taken > 0 ? 1 : 0);
  }
  if (taken > 0) {
    end_line();
  }
  return result;
}

std::string sparkline(const std::deque<double>& values, std::size_t columns, bool utf8) {
  static constexpr std::array<const char*, 8> blocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<const char*, 8> marks{"_", ".", ":", "-", "=", "+", "*", "#"};
  const auto& levels = utf8 ? blocks : marks;
  const auto count = std::min(values.size(), columns);
  const auto first = values.end() - static_cast<std::ptrdiff_t>(count);
  const auto most = count == 0 ? 0.0 : *std::max_element(first, values.end());
  std::string result(columns - count, ' ');
  for (auto it = first; it != values.end(); ++it) {
    const auto share = most > 0 ? *it / most : 0.0;
    const auto level = std::lround(share * static_cast<double>(levels.size() - 1));
    result += levels.at(static_cast<std::size_t>(std::clamp<long>(level, 0, 7)));
  }
  return result;
}

std::string short_number(double x) {
  constexpr double whole_from = 99.95;
  constexpr double thousands_from = 99'999.5;
  std::array<char, 32> room{};
  const auto length = x < whole_from ? std::snprintf(room.data(), room.size(), "%.1f", x)
                      : x < thousands_from
                        ? std::snprintf(room.data(), room.size(), "%.0f", x)
                        : std::snprintf(room.data(), room.size(), "%.0fk", x / 1'000);
  return {room.data(), static_cast<std::size_t>(std::max(length, 0))};
}

} // namespace belay::app::top
