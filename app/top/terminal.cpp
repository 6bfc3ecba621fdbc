#include "app/top/terminal.hpp"

#include "app/top/terminal_type.hpp"

#include <array>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <langinfo.h>
#include <map>
#include <stdexcept>
#include <sys/ioctl.h>
#include <unistd.h>

// Wide characters, in every build. Last: it defines macros with everyday names.
#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#include <ncurses.h>

namespace belay::app::top {

namespace {

using code = key::code;

/// How long after Esc the rest of a key may come, in milliseconds: what terminals send is together.
constexpr int escape_delay_ms = 25;

constexpr short grey = 244; // Of the 256 colours: readable on black and on white.

/// Keys that ncurses knows by a number.
const std::map<wint_t, code> special_keys{
  {KEY_UP, code::up},
  {KEY_DOWN, code::down},
  {KEY_LEFT, code::left},
  {KEY_RIGHT, code::right},
  {KEY_PPAGE, code::page_up},
  {KEY_NPAGE, code::page_down},
  {KEY_HOME, code::home},
  {KEY_END, code::end},
  {KEY_ENTER, code::enter},
  {KEY_BTAB, code::back_tab},
  {KEY_BACKSPACE, code::backspace},
};

/// Keys that are characters.
const std::map<wint_t, code> control_keys{
  {L'\r', code::enter},    {L'\n', code::enter},    {L'\t', code::tab},       {0x1B, code::escape},
  {0x7F, code::backspace}, {0x08, code::backspace}, {0x15, code::clear_line},
};

} // namespace

bool speaks_utf8() {
  std::setlocale(LC_CTYPE, ""); // NOLINT(concurrency-mt-unsafe): before threads look at it
  return std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

struct terminal::impl {
  bool utf8 = speaks_utf8();
  SCREEN* screen = nullptr;
  std::map<style, attr_t> looks;

  void choose_colours() {
    enum pair : short { good = 1, warn, bad, head, key_pair, dim };
    looks = {{style::plain, A_NORMAL}, {style::title, A_BOLD},       {style::dim, A_DIM},
             {style::good, A_NORMAL},  {style::warn, A_BOLD},        {style::bad, A_BOLD},
             {style::head, A_REVERSE}, {style::selected, A_REVERSE}, {style::key, A_BOLD}};
    // https://no-color.org: set and not empty means none.
    const char* unwanted = std::getenv("NO_COLOR"); // NOLINT(concurrency-mt-unsafe): only read
    if ((unwanted != nullptr && *unwanted != '\0') || !has_colors() || start_color() == ERR) {
      return;
    }
    use_default_colors();
    init_pair(good, COLOR_GREEN, -1);
    init_pair(warn, COLOR_YELLOW, -1);
    init_pair(bad, COLOR_RED, -1);
    init_pair(head, COLOR_BLACK, COLOR_CYAN);
    init_pair(key_pair, COLOR_CYAN, -1);
    looks[style::good] = COLOR_PAIR(good);
    looks[style::warn] = COLOR_PAIR(warn);
    looks[style::bad] = COLOR_PAIR(bad) | A_BOLD;
    looks[style::head] = COLOR_PAIR(head);
    looks[style::key] = COLOR_PAIR(key_pair);
    if (COLORS >= 256) {
      init_pair(dim, grey, -1);
      looks[style::dim] = COLOR_PAIR(dim);
    }
  }
};

terminal::terminal() : impl_{std::make_unique<impl>()} {
  if (isatty(STDOUT_FILENO) == 0 || isatty(STDIN_FILENO) == 0) {
    throw std::invalid_argument{"top needs a terminal for its screen and its keys; "
                                "`belay top --once` prints one frame as text"};
  }
  const char* name = std::getenv("TERM"); // NOLINT(concurrency-mt-unsafe): only read
  const auto unfit = [name] {
    return std::invalid_argument{"TERM: '" + std::string{name == nullptr ? "" : name}
                                 + "' is no terminal whose cursor can be moved; `belay top --once` "
                                   "prints one frame as text"};
  };
  if (!can_move_cursor()) {
    throw unfit();
  }
  set_escdelay(escape_delay_ms);
  impl_->screen = newterm(nullptr, stdout, stdin);
  if (impl_->screen == nullptr) {
    throw unfit();
  }
  impl_->choose_colours();
  cbreak();
  noecho();
  nonl();
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  curs_set(0);
}

terminal::~terminal() {
  endwin();
  delscreen(impl_->screen);
}

screen terminal::size() const {
  return {LINES, COLS, impl_->utf8};
}

void terminal::resize() {
  winsize now{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) == 0 && now.ws_row > 0 && now.ws_col > 0) {
    resizeterm(now.ws_row, now.ws_col);
    clear();
  }
}

void terminal::draw(const std::vector<line>& lines) {
  erase();
  for (std::size_t y = 0; y < lines.size() && y < static_cast<std::size_t>(LINES); ++y) {
    ::move(static_cast<int>(y), 0);
    for (const auto& x : lines[y].spans()) {
      attrset(static_cast<int>(impl_->looks.at(x.how)));
      addstr(x.text.c_str());
    }
  }
  attrset(A_NORMAL);
  refresh();
}

std::optional<key> terminal::next_key() {
  for (;;) {
    wint_t got = 0;
    const auto kind = get_wch(&got);
    if (kind == ERR) {
      return std::nullopt;
    }
    const auto& known = kind == KEY_CODE_YES ? special_keys : control_keys;
    if (const auto found = known.find(got); found != known.end()) {
      return key{found->second, 0};
    }
    if (kind != KEY_CODE_YES && got >= L' ') {
      return key{code::character, static_cast<char32_t>(got)};
    }
  }
}

void terminal::leave() {
  endwin();
}

void terminal::enter() {
  resize();
  refresh();
}

} // namespace belay::app::top
