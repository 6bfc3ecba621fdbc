// Text for a terminal: what others wrote is made harmless and cut to columns.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace belay::app::top {

/// What a terminal can show.
struct screen {
  int rows = 24;
  int columns = 80;
  /// Whether it takes UTF-8; otherwise only ASCII is written.
  bool utf8 = true;
};

/// How a piece of text is meant; the terminal chooses colours for it.
enum class style { plain, title, dim, good, warn, bad, head, selected, key };

struct span {
  std::string text;
  style how = style::plain;
};

/// One line of the screen. It takes text until it is full.
///
/// All that reaches the terminal goes through here: control characters, code points that turn the
/// direction of writing and bytes that are no UTF-8 become '?', line breaks and tabs a space.
class line {
public:
  explicit line(const screen& on)
    : columns_{static_cast<std::size_t>(on.columns)}, utf8_{on.utf8} {}

  /// Adds text, cut at the end of the line.
  line& add(std::string_view text, style how = style::plain);
  /// Adds text in a field of so many columns and a space behind it; what is cut ends in '~'.
  line& field(std::string_view text, std::size_t width, style how = style::plain);
  /// The same at the right side of the field.
  line& number(std::string_view text, std::size_t width, style how = style::plain);
  /// Fills up to a column.
  line& to(std::size_t column, style how = style::plain);
  /// Fills the whole line, all of it in one style.
  line& wholly(style how);

  /// Columns that are taken.
  [[nodiscard]] std::size_t used() const {
    return used_;
  }
  [[nodiscard]] std::size_t left() const {
    return columns_ - used_;
  }
  [[nodiscard]] const std::vector<span>& spans() const {
    return spans_;
  }
  /// The text alone, without spaces at its end.
  [[nodiscard]] std::string plain() const;

private:
  std::size_t columns_;
  bool utf8_;
  std::size_t used_ = 0;
  std::vector<span> spans_;
};

/// Returns text that cannot drive a terminal, at most so many columns of it; `used` is how many it
/// takes. What is cut ends in '~' when `mark` is set.
[[nodiscard]] std::string
harmless(std::string_view text, std::size_t columns, bool utf8, bool mark, std::size_t& used);

/// Appends a code point as UTF-8; one that cannot be is left out.
void append_utf8(std::string& to, char32_t point);

/// Breaks text into lines of at most so many columns, at spaces where there are some.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, std::size_t columns);

/// Draws the last values, newest at the right, between 0 and the largest of them.
[[nodiscard]] std::string
sparkline(const std::deque<double>& values, std::size_t columns, bool utf8);

/// Returns a rate or a length for people: three digits or so.
[[nodiscard]] std::string short_number(double x);

} // namespace belay::app::top
