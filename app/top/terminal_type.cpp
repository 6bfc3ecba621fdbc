#include "app/top/terminal_type.hpp"

#include <unistd.h>

// Last: they define macros with everyday names, so nothing else is in this file.
#include <ncurses.h>
#include <term.h>

namespace belay::app::top {

bool can_move_cursor() {
  int found = 0;
  if (setupterm(nullptr, STDOUT_FILENO, &found) != OK) {
    return false;
  }
  const auto moves = tigetstr("cup") != nullptr;
  del_curterm(cur_term);
  return moves;
}

} // namespace belay::app::top
