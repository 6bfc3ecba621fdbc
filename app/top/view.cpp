#include "app/top/view.hpp"

#include "app/output.hpp"
#include "app/top/panes.hpp"
#include "messages/time.hpp"

#include <algorithm>

namespace belay::app::top {

namespace {

/// An answer that is this many intervals late is spoken of.
constexpr std::int64_t late_intervals = 3;
constexpr std::int64_t late_min_ms = 3'000;

std::string count_of(const answer& x, const std::string& state) {
  const auto found = x.counts.by_state.find(state);
  return std::to_string(found == x.counts.by_state.end() ? 0 : found->second);
}

/// Since when the registry runs: who is in its own list with that role.
timestamp_ms started_at(const answer& x) {
  for (const auto& one : x.nodes) {
    if (one.role.find("registry") != std::string::npos) {
      return one.connected_at;
    }
  }
  return 0;
}

std::string version_of(const answer& x) {
  for (const auto& one : x.nodes) {
    if (one.role.find("registry") != std::string::npos) {
      return one.version;
    }
  }
  return "";
}

std::string seconds_since(const model& x, std::int64_t at_ms) {
  return std::to_string(std::max<std::int64_t>(x.clock_ms - at_ms, 0) / 1'000) + "s";
}

/// What is wrong with the link, if anything.
std::string link_trouble(const model& x) {
  if (x.lost) {
    return "no node for " + seconds_since(x, x.lost->at_ms) + ", trying again: " + x.lost->why;
  }
  const auto late = std::max(late_min_ms, late_intervals * x.interval_ms);
  if (x.last && x.clock_ms - x.last->at_ms > late) {
    return "no answer for " + seconds_since(x, x.last->at_ms);
  }
  return "";
}

line first_line(const model& x, const screen& on) {
  line out{on};
  out.add("belay top", style::title);
  if (!x.last) {
    return out.add("  no answer yet", style::warn);
  }
  const auto& last = *x.last;
  constexpr std::size_t name_max = 24;
  std::size_t used = 0;
  out.add("  node ").add(harmless(last.node, name_max, on.utf8, true, used), style::title);
  out.add(" " + version_of(last), style::dim);
  if (const auto since = started_at(last); since != 0) {
    out.add("  up " + age(since, last.now));
  }
  out.add("  store ");
  if (!link_trouble(x).empty()) {
    out.add("NOT REACHED", style::bad); // Also where the line for messages is taken.
  } else if (last.commit_failed) {
    out.add("COMMIT FAILED", style::bad);
  } else if (last.nearly_full) {
    out.add("NEARLY FULL", style::warn);
  } else {
    out.add("ok", style::good);
  }
  const auto time = format_time(last.now - last.now % 1'000);
  const auto width = static_cast<std::size_t>(on.columns);
  if (out.used() + time.size() + 2 <= width) {
    out.to(width - time.size()).add(time, style::dim);
  }
  return out;
}

void add_count(line& out, const answer& x, const std::string& state, style how) {
  const auto count = count_of(x, state);
  out.add(out.used() > 0 ? "  " : "").add(state + " ");
  out.add(count, count == "0" ? style::dim : how);
}

line live_line(const answer& x, const screen& on) {
  line out{on};
  add_count(out, x, "running", style::good);
  add_count(out, x, "ready", style::plain);
  add_count(out, x, "waiting", style::plain);
  add_count(out, x, "quarantined", style::bad);
  add_count(out, x, "external", style::plain);
  return out;
}

line ended_line(const answer& x, const screen& on) {
  line out{on};
  add_count(out, x, "success", style::good);
  add_count(out, x, "failure", style::bad);
  add_count(out, x, "cancelled", style::plain);
  add_count(out, x, "abandoned", style::warn);
  return out;
}

line rate_line(const model& x, const screen& on) {
  line out{on};
  // Three of them, each with its name, its number and what is left of a third for the line.
  const auto third = static_cast<std::size_t>(on.columns) / 3;
  const auto rate = [&](const char* name, const std::deque<double>& values, std::size_t end) {
    out.add(name).add(" ");
    out.add((values.empty() ? "-" : short_number(values.back())) + "/s ", style::title);
    if (end > out.used() + 2) {
      out.add(sparkline(values, end - out.used() - 2, on.utf8), style::good);
    }
    out.to(end);
  };
  rate("registered", x.registered, third);
  rate("started", x.started, 2 * third);
  rate("finished", x.finished, 3 * third);
  return out;
}

line load_line(const model& x, const screen& on) {
  line out{on};
  std::uint64_t busy = 0;
  std::uint64_t slots = 0;
  std::size_t workers = 0;
  std::size_t silent = 0;
  for (const auto& one : x.last->nodes) {
    if (one.state == "silent") {
      ++silent; // What it runs and has free is not known.
      continue;
    }
    busy += one.busy;
    slots += one.slots;
    workers += one.slots > 0 ? 1 : 0;
  }
  const auto middle = static_cast<std::size_t>(on.columns) / 2;
  out.add("slots ").add(std::to_string(busy) + "/" + std::to_string(slots), style::title);
  out.add(workers == 1 ? " of 1 worker " : " of " + std::to_string(workers) + " workers ");
  if (silent > 0) {
    out.add(std::to_string(silent) + " silent ", style::warn);
  }
  if (slots > 0 && middle > out.used() + 5) {
    const auto width = middle - out.used() - 4;
    const auto filled = std::min<std::size_t>(width, (busy * width + slots - 1) / slots);
    out.add("[").add(std::string(filled, '|'), busy == slots ? style::warn : style::good);
    out.add(std::string(width - filled, ' ')).add("]");
  }
  out.to(middle);
  out.add("answer ");
  out.add((x.count_ms.empty() ? "-" : short_number(x.count_ms.back())) + " ms ", style::title);
  if (out.left() > 0) {
    out.add(sparkline(x.count_ms, out.left(), on.utf8), style::dim);
  }
  return out;
}

line pane_line(const model& x, const screen& on) {
  line out{on};
  for (std::size_t i = 0; i < panes.size(); ++i) {
    out.add(" " + std::to_string(i + 1) + " " + to_string(panes.at(i)) + " ",
            panes.at(i) == x.shown ? style::selected : style::dim);
  }
  out.add("  ");
  std::size_t used = 0;
  return out.add(harmless(list_title(x), out.left(), on.utf8, true, used));
}

line message_line(const model& x, const screen& on) {
  line out{on};
  if (x.now_in == mode::filter) {
    // Its end is what is typed at.
    const auto room = static_cast<std::size_t>(on.columns) - 3;
    auto shown = x.typed;
    std::size_t used = 0;
    static_cast<void>(harmless(shown, shown.size() * 2, on.utf8, false, used));
    shown.erase(0, used > room ? used - room : 0);
    out.add("/", style::key).add(shown).add("_", style::key);
    return x.said.empty() ? std::move(out) : std::move(out.add("  ").add(x.said, style::bad));
  }
  if (x.now_in == mode::confirm) {
    constexpr std::size_t around = 24;
    std::size_t used = 0;
    const auto room = static_cast<std::size_t>(on.columns) - around;
    return std::move(out.add(x.pending_text, style::warn)
                       .add(harmless(x.pending.id, room, on.utf8, true, used), style::title)
                       .add("? y or n", style::warn));
  }
  if (const auto trouble = link_trouble(x); !trouble.empty()) {
    return std::move(out.add(trouble, style::bad));
  }
  if (!x.said.empty()) {
    return std::move(out.add(x.said, style::warn));
  }
  if (x.last && !x.last->refused.empty()) {
    return std::move(out.add(x.last->refused, style::bad));
  }
  return std::move(out.add(list_note(x), style::dim));
}

line keys_line(const model& x, const screen& on) {
  line out{on};
  const auto add = [&out](const char* pressed, const char* what) {
    out.add(out.used() > 0 ? "  " : "").add(pressed, style::key).add(" ").add(what);
  };
  switch (x.now_in) {
    case mode::filter:
      add("Enter", "filter");
      add("Esc", "leave it");
      if (!x.typed.empty()) {
        add("Ctrl-U", "clear it");
      }
      if (x.shown == pane::processes) {
        out.add("  id-begins-so kind= queue= owner= state= LABEL=", style::dim);
      }
      break;
    case mode::confirm:
      add("y", "yes");
      add("any other key", "no");
      break;
    case mode::opened:
      add("Esc", "back");
      add("c", "cancel");
      add("r", "again");
      add("?", "help");
      add("q", "quit");
      break;
    case mode::help:
      add("any key", "back");
      break;
    case mode::list:
      add("q", "quit");
      add("?", "help");
      add("/", "find");
      add("Tab", "pane");
      if (x.shown == pane::processes) {
        add("v", "state");
        add("s", "sort");
        add("Enter", "open");
        add("c", "cancel");
        add("r", "again");
      } else if (x.shown == pane::queues) {
        add("Enter", "its processes");
        add("p", "pause or resume");
      }
      break;
  }
  return out;
}

std::vector<line> too_small(const screen& on) {
  std::vector<line> out;
  line said{on};
  said.add("belay top needs " + std::to_string(columns_min) + "x" + std::to_string(rows_min)
             + ", this is " + std::to_string(on.columns) + "x" + std::to_string(on.rows),
           style::warn);
  out.push_back(std::move(said));
  out.resize(static_cast<std::size_t>(std::max(on.rows, 1)), line{on});
  return out;
}

std::vector<line> above(const model& x, const screen& on) {
  std::vector<line> out{first_line(x, on)};
  if (x.last) {
    out.push_back(live_line(*x.last, on));
    out.push_back(ended_line(*x.last, on));
    out.push_back(rate_line(x, on));
    out.push_back(load_line(x, on));
  }
  out.resize(5, line{on});
  return out;
}

} // namespace

std::vector<line> draw(const model& x, const screen& on) {
  if (on.columns < columns_min || on.rows < rows_min) {
    return too_small(on);
  }
  const auto rows = static_cast<std::size_t>(on.rows);
  const auto in = x.now_in == mode::confirm && !x.asks.opened.empty() ? mode::opened : x.now_in;
  auto out = above(x, on);
  if (in == mode::help) {
    out = help_lines(on);
  } else if (in == mode::opened) {
    out.resize(1, line{on});
    auto below = opened_lines(x, on);
    // The last line stays on the screen however far one goes.
    const auto room = rows - static_cast<std::size_t>(opened_around);
    const auto first_max = below.size() > room ? below.size() - room : 0;
    const auto first = std::min(x.opened_first, first_max);
    std::move(below.begin() + static_cast<std::ptrdiff_t>(first), below.end(),
              std::back_inserter(out));
  } else {
    out.push_back(pane_line(x, on));
    auto below = list_lines(x, on, list_rows(on));
    std::move(below.begin(), below.end(), std::back_inserter(out));
  }
  out.resize(rows - 2, line{on});
  out.push_back(message_line(x, on));
  out.push_back(keys_line(x, on));
  return out;
}

std::vector<line> draw_once(const model& x, const screen& on) {
  auto out = above(x, on);
  line title{on};
  std::size_t used = 0;
  title.add(harmless(to_string(x.shown) + ": " + list_title(x), title.left(), on.utf8, true, used));
  out.push_back(std::move(title));
  auto below = list_lines(x, on, row_names(x).size());
  std::move(below.begin(), below.end(), std::back_inserter(out));
  line note{on};
  note.add(list_note(x));
  out.push_back(std::move(note));
  return out;
}

} // namespace belay::app::top
