// The terminal: lines of styled text go out, keys come in. The only file that knows ncurses.
#pragma once

#include "app/top/model.hpp"
#include "app/top/text.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace belay::app::top {

/// Whether the locale of the environment is one of UTF-8. Sets the program's character type.
[[nodiscard]] bool speaks_utf8();

/// Has the terminal for itself, and gives it back as it was when it is destroyed. One at a time.
class terminal {
public:
  /// Throws `std::invalid_argument` when standard input or output is no terminal, or `TERM` names
  /// none that is known.
  terminal();
  ~terminal();
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;

  [[nodiscard]] screen size() const;
  /// Asks the system for its size anew.
  void resize();
  void draw(const std::vector<line>& lines);
  /// Returns the next key that was pressed; nothing when there is none now.
  [[nodiscard]] std::optional<key> next_key();
  /// Gives the terminal back for a while, and takes it again.
  void leave();
  void enter();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay::app::top
