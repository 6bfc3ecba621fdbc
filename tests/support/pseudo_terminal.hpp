// A program on a terminal of its own, and what stands on the screen.
#pragma once

#include <memory>
#include <string>
#include <termios.h>
#include <vector>

namespace belay::tests {

/// Waits of this class are over within a minute, whatever the program does.
class pseudo_terminal {
public:
  /// Starts a program on a terminal of so many rows and columns. `environment`: NAME=VALUE each,
  /// set beside what there is.
  pseudo_terminal(const std::vector<std::string>& argv, int rows, int columns,
                  const std::vector<std::string>& environment = {});
  ~pseudo_terminal();
  pseudo_terminal(const pseudo_terminal&) = delete;
  pseudo_terminal& operator=(const pseudo_terminal&) = delete;

  /// Types bytes.
  void type(const std::string& keys);
  /// Changes the size of the terminal, of which the program is told.
  void resize(int rows, int columns);
  void send(int number) const;
  /// Waits until the screen shows a text, or no longer does. Returns whether it came to that.
  [[nodiscard]] bool shows(const std::string& part);
  [[nodiscard]] bool hides(const std::string& part);
  /// The screen as it was last seen, a line a row.
  [[nodiscard]] std::string screen() const;
  /// Waits for the end of the program; returns its exit code (128 + signal), or -1.
  [[nodiscard]] int end();
  /// Whether the program has the alternate screen, or has hidden the cursor.
  [[nodiscard]] bool is_taken() const;
  /// The settings of the line.
  [[nodiscard]] termios settings() const;

private:
  struct impl;
  bool until(const std::string& part, bool there);
  std::unique_ptr<impl> impl_;
};

} // namespace belay::tests
