#include "app/top/keys.hpp"

#include "app/top/panes.hpp"

#include <algorithm>

namespace belay::app::top {

namespace {

using code = key::code;

constexpr std::uint32_t page_rows = 200;
/// A filter is a line.
constexpr std::size_t typed_max = 200;
/// What `v` goes through.
constexpr std::array<const char*, 9> states{"running", "ready",       "delayed",
                                            "waiting", "quarantined", "external",
                                            "failure", "finished",    "live"};

place& place_of(model& x) {
  return x.places.at(static_cast<std::size_t>(x.shown));
}

/// Whether what is there is what was asked for last.
bool is_answered(const model& x) {
  return x.last && x.last->asked.number == x.asks.number;
}

/// Something else is to be shown: what comes in for the question before is not for it.
wish ask_anew(model& x) {
  auto& asks = x.asks;
  ++asks.number;
  asks.shown = x.shown;
  const auto after = asks.list.after;
  asks.list = x.applied.list;
  asks.list.state = asks.list.state.empty() ? x.state : asks.list.state;
  asks.list.limit = page_rows;
  asks.list.after = after;
  if (x.now_in != mode::opened) {
    asks.opened.clear();
  }
  return {wish::kind::ask, {}};
}

/// From the first page.
wish ask_first_page(model& x) {
  x.pages.clear();
  x.asks.list.after = {};
  x.places.front() = {};
  return ask_anew(x);
}

wish show_pane(model& x, pane shown) {
  x.shown = shown;
  x.now_in = mode::list;
  return ask_anew(x);
}

wish move(model& x, std::ptrdiff_t by, const screen& on) {
  if (!is_answered(x)) {
    return {}; // There are no rows to move among yet.
  }
  const auto names = row_names(x);
  auto& at = place_of(x);
  const auto wanted = static_cast<std::ptrdiff_t>(at.index) + by;
  const auto last = static_cast<std::ptrdiff_t>(names.size()) - 1;
  const auto now = std::clamp<std::ptrdiff_t>(wanted, 0, std::max<std::ptrdiff_t>(last, 0));
  const auto stays = static_cast<std::size_t>(now) == at.index;
  const auto paged = x.shown == pane::processes && x.last->processes && stays;
  if (paged && by > 0 && x.last->processes->next != row_id{}) {
    x.pages.emplace_back(x.asks.list.after, x.last->processes->processes.size());
    x.asks.list.after = x.last->processes->next;
    at = {};
    return ask_anew(x);
  }
  if (paged && by < 0 && !x.pages.empty()) {
    x.asks.list.after = x.pages.back().first;
    at = {};
    at.index = x.pages.back().second; // Its end, once it is there.
    x.pages.pop_back();
    return ask_anew(x);
  }
  at.index = static_cast<std::size_t>(now);
  at.id = names.empty() ? "" : names.at(at.index);
  follow_rows(x, on);
  return {};
}

wish open(model& x) {
  const auto& id = place_of(x).id;
  if (x.shown == pane::queues && !id.empty()) {
    x.applied = {};
    x.applied.list.queue = id;
    x.filters.front() = "queue=" + id;
    x.shown = pane::processes;
    return ask_first_page(x);
  }
  if (x.shown != pane::processes || id.empty()) {
    return {};
  }
  x.now_in = mode::opened;
  x.opened_first = 0;
  x.asks.opened = id;
  return ask_anew(x);
}

const process_view* selected(const model& x) {
  if (x.now_in == mode::opened) {
    const auto there = x.last && x.last->opened && x.last->opened->process.id == x.asks.opened;
    return there ? &x.last->opened->process : nullptr;
  }
  for (const auto* one : shown_processes(x)) {
    if (x.shown == pane::processes && one->id == x.places.front().id) {
      return one;
    }
  }
  return nullptr;
}

/// Has something confirmed that changes a process.
void confirm(model& x, wish::kind what) {
  const auto* process = selected(x);
  if (process == nullptr) {
    x.said = "no process is selected";
    return;
  }
  if (what == wish::kind::cancel && process->state == process_state::finished) {
    x.said = process->id + " has its outcome already";
    return;
  }
  if (what == wish::kind::retry
      && (process->state == process_state::running || process->state == process_state::waiting
          || process->state == process_state::external)) {
    x.said = process->id + " is " + to_string(process->state) + ": there is nothing to run again";
    return;
  }
  x.pending = {what, process->id};
  x.pending_text = what == wish::kind::cancel                     ? "cancel "
                   : process->state == process_state::finished    ? "register anew "
                   : process->state == process_state::quarantined ? "release "
                                                                  : "run now ";
  x.now_in = mode::confirm;
}

/// Has it confirmed that a queue is paused, or goes on.
void confirm_pause(model& x) {
  for (const auto* one : shown_queues(x)) {
    if (x.shown == pane::queues && one->name == place_of(x).id) {
      x.pending = {one->limits.paused ? wish::kind::resume : wish::kind::pause, one->name};
      x.pending_text = one->limits.paused ? "resume queue " : "pause queue ";
      x.now_in = mode::confirm;
      return;
    }
  }
  x.said = "no queue is selected: pane 2 has them";
}

wish type(model& x, const key& pressed) {
  switch (pressed.what) {
    case code::escape:
      x.now_in = mode::list;
      return {};
    case code::backspace:
      while (!x.typed.empty() && (static_cast<unsigned char>(x.typed.back()) & 0xC0U) == 0x80U) {
        x.typed.pop_back();
      }
      if (!x.typed.empty()) {
        x.typed.pop_back();
      }
      return {};
    case code::clear_line:
      x.typed.clear();
      return {};
    case code::enter:
      break;
    case code::character:
      if (x.typed.size() < typed_max) {
        append_utf8(x.typed, pressed.letter);
      }
      return {};
    default:
      return {};
  }
  if (x.shown == pane::processes) {
    auto parsed = parse_filter(x.typed);
    if (!parsed) {
      x.said = parsed.why().text;
      return {};
    }
    x.applied = std::move(*parsed);
  }
  x.filters.at(static_cast<std::size_t>(x.shown)) = x.typed;
  x.now_in = mode::list;
  place_of(x) = {};
  return ask_first_page(x);
}

wish answer_question(model& x, const key& pressed) {
  x.now_in = x.asks.opened.empty() ? mode::list : mode::opened;
  const auto yes
    = pressed.what == code::character && (pressed.letter == 'y' || pressed.letter == 'Y');
  if (!yes) {
    x.said = "left as it is";
    return {};
  }
  return x.pending;
}

/// Moves the first line that is shown of an open process.
void scroll(model& x, code by, const screen& on) {
  const auto page = list_rows(on);
  auto& first = x.opened_first;
  switch (by) {
    case code::up:
      first -= std::min<std::size_t>(first, 1);
      break;
    case code::page_up:
      first -= std::min(first, page);
      break;
    case code::home:
      first = 0;
      break;
    case code::down:
      ++first;
      break;
    case code::page_down:
      first += page;
      break;
    case code::end:
      first += opened_lines(x, on).size();
      break;
    default:
      break;
  }
  const auto lines = opened_lines(x, on).size();
  const auto shown = static_cast<std::size_t>(std::max(on.rows - opened_around, 1));
  first = std::min(first, lines > shown ? lines - shown : 0);
}

wish letter(model& x, char32_t pressed) {
  const auto index = static_cast<std::size_t>(pressed - U'1');
  if (pressed >= U'1' && index < panes.size()) {
    return show_pane(x, panes.at(index));
  }
  switch (pressed) {
    case U'q':
      return {wish::kind::quit, {}};
    case U'?':
    case U'h':
      x.now_in = mode::help;
      return {};
    case U'/':
      x.typed = x.filters.at(static_cast<std::size_t>(x.shown));
      x.now_in = mode::filter;
      return {};
    case U's':
      x.sorted_by = static_cast<order>((static_cast<int>(x.sorted_by) + 1)
                                       % (static_cast<int>(order::lease) + 1));
      return {};
    case U'S':
      x.reversed = !x.reversed;
      return {};
    case U'v': {
      const auto* const now = std::find(states.begin(), states.end(), x.state);
      x.state = now == states.end() || now + 1 == states.end() ? states.front() : *(now + 1);
      return x.shown == pane::processes ? ask_first_page(x) : wish{};
    }
    case U'c':
      confirm(x, wish::kind::cancel);
      return {};
    case U'r':
      confirm(x, wish::kind::retry);
      return {};
    case U'p':
      confirm_pause(x);
      return {};
    default:
      return {};
  }
}

pane beside(pane x, int by) {
  const auto count = static_cast<int>(panes.size());
  return panes.at(static_cast<std::size_t>((static_cast<int>(x) + by + count) % count));
}

wish in_list(model& x, const key& pressed, const screen& on) {
  const auto page = static_cast<std::ptrdiff_t>(list_rows(on));
  constexpr std::ptrdiff_t whole_list = 1'000'000;
  switch (pressed.what) {
    case code::up:
      return move(x, -1, on);
    case code::down:
      return move(x, 1, on);
    case code::page_up:
      return move(x, -page, on);
    case code::page_down:
      return move(x, page, on);
    case code::home:
      return x.shown == pane::processes && !x.pages.empty() ? ask_first_page(x)
                                                            : move(x, -whole_list, on);
    case code::end:
      return move(x, whole_list, on);
    case code::enter:
      return open(x);
    case code::tab:
    case code::right:
      return show_pane(x, beside(x.shown, 1));
    case code::back_tab:
    case code::left:
      return show_pane(x, beside(x.shown, -1));
    case code::character:
      return letter(x, pressed.letter);
    default:
      return {};
  }
}

wish in_opened(model& x, const key& pressed, const screen& on) {
  if (pressed.what == code::character) {
    switch (pressed.letter) {
      case U'c':
      case U'r':
      case U'q':
      case U'?':
        return letter(x, pressed.letter);
      default:
        return {};
    }
  }
  if (pressed.what == code::escape || pressed.what == code::enter || pressed.what == code::left
      || pressed.what == code::backspace) {
    x.now_in = mode::list;
    return ask_anew(x);
  }
  scroll(x, pressed.what, on);
  return {};
}

} // namespace

void follow_rows(model& x, const screen& on) {
  const auto names = row_names(x);
  auto& at = place_of(x);
  if (names.empty() || (at.id.empty() && !is_answered(x))) {
    return; // Rows are on their way.
  }
  const auto found = std::find(names.begin(), names.end(), at.id);
  at.index = !at.id.empty() && found != names.end()
               ? static_cast<std::size_t>(found - names.begin())
               : std::min(at.index, names.size() - 1);
  at.id = names.at(at.index);
  const auto rows = list_rows(on);
  const auto first_max = names.size() > rows ? names.size() - rows : 0;
  const auto lowest = at.index >= rows ? at.index - rows + 1 : 0;
  at.first = std::min({std::clamp(at.first, lowest, at.index), first_max});
}

model make_model(std::int64_t interval_ms) {
  model x;
  x.interval_ms = interval_ms;
  static_cast<void>(ask_anew(x));
  return x;
}

wish update(model& x, const key& pressed, const screen& on) {
  x.said.clear();
  x.said_for = 0;
  wish result;
  switch (x.now_in) {
    case mode::list:
      result = in_list(x, pressed, on);
      break;
    case mode::filter:
      result = type(x, pressed);
      break;
    case mode::confirm:
      result = answer_question(x, pressed);
      break;
    case mode::opened:
      result = in_opened(x, pressed, on);
      break;
    case mode::help:
      x.now_in = x.asks.opened.empty() ? mode::list : mode::opened;
      break;
  }
  follow_rows(x, on);
  return result;
}

} // namespace belay::app::top
