#include "app/top/panes.hpp"

#include "app/output.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::app::top {

namespace {

/// A lease that ends sooner is late: it is renewed at a third of its life at the latest.
constexpr timestamp_ms lease_short_ms = 3'000;
/// From here on there is room for longer names.
constexpr int wide_columns = 120;

/// The columns of the processes.
struct process_widths {
  explicit process_widths(const model& x, const screen& on)
    : shows_lease{x.asks.list.state == "running"} {
    const auto names = on.columns >= wide_columns ? 12U : 8U;
    owner = queue = kind = names;
    third = shows_lease ? 6 : 11;
    const auto fixed = age + owner + attempt + third + queue + kind + 6;
    const auto rest = static_cast<std::size_t>(on.columns) - fixed - 1;
    id = std::min<std::size_t>(rest * 3 / 5, id_max);
  }

  /// That of the ids that belay makes.
  static constexpr std::size_t id_max = 36;
  bool shows_lease;
  std::size_t id = 0;
  std::size_t age = 6;
  std::size_t owner = 0;
  std::size_t attempt = 3;
  /// The lease that is left, or the state where it differs.
  std::size_t third = 0;
  std::size_t queue = 0;
  std::size_t kind = 0;
};

/// What it says of itself, or what it waits for.
std::string status_of(const process_view& x) {
  if (x.kill_requested || (x.cancel_requested && x.state != process_state::finished)) {
    return x.kill_requested ? "is killed" : "is cancelled";
  }
  const auto& until = x.waiting.until;
  if (until.kind != wait_kind::none) {
    return "waits for " + to_string(until.kind) + (until.name.empty() ? "" : " " + until.name);
  }
  if (!x.status_json.empty()) {
    return one_line(x.status_json);
  }
  return x.failures > 0 && x.state != process_state::finished
           ? "failed " + std::to_string(x.failures) + (x.failures == 1 ? " time" : " times")
           : "";
}

style style_of(const process_view& x) {
  if (x.state == process_state::finished) {
    return x.ended == outcome_kind::success   ? style::good
           : x.ended == outcome_kind::failure ? style::bad
                                              : style::warn;
  }
  return x.state == process_state::quarantined ? style::bad : style::plain;
}

line process_heads(const process_widths& widths, const screen& on) {
  line out{on};
  out.field("ID", widths.id).number("AGE", widths.age).field("OWNER", widths.owner);
  out.number("TRY", widths.attempt);
  if (widths.shows_lease) {
    out.number("LEASE", widths.third);
  } else {
    out.field("STATE", widths.third);
  }
  out.field("QUEUE", widths.queue).field("KIND", widths.kind).add("STATUS");
  return std::move(out.wholly(style::head));
}

line process_line(const process_view& x, const process_widths& widths, timestamp_ms now,
                  const screen& on) {
  line out{on};
  out.field(x.id, widths.id, style::title);
  out.number(age(x.created_at, now), widths.age);
  out.field(x.holder.name, widths.owner);
  out.number(std::to_string(x.attempt), widths.attempt, x.attempt > 1 ? style::warn : style::plain);
  if (widths.shows_lease) {
    const auto left = x.lease_expires_at - now;
    out.number(x.lease_expires_at == 0 ? "-"
               : left < 0              ? "0s"
                                       : age(x.lease_expires_at, now),
               widths.third, left < lease_short_ms ? style::warn : style::plain);
  } else {
    out.field(state_word(x, now), widths.third, style_of(x));
  }
  out.field(x.queue, widths.queue, style::dim).field(x.kind, widths.kind, style::dim);
  return std::move(out.field(status_of(x), out.left()));
}

/// Name, ready, blocked, delayed, running, waiting, failed, oldest.
constexpr std::array<std::size_t, 8> queue_widths{16, 8, 7, 7, 6, 6, 6, 6};

line queue_heads(const screen& on) {
  const auto& w = queue_widths;
  line out{on};
  out.field("QUEUE", w[0]).number("READY", w[1]).number("BLOCKED", w[2]).number("DELAYED", w[3]);
  out.number("RUN", w[4]).number("WAIT", w[5]).number("FAIL/H", w[6]).number("OLDEST", w[7]);
  return std::move(out.add("BOUNDS").wholly(style::head));
}

std::string bounds_of(const queue_limits& x) {
  std::string text = x.paused ? "PAUSED" : "";
  const auto add = [&text](std::uint64_t bound, const std::string& what) {
    if (bound != 0) {
      text += (text.empty() ? "" : " ") + std::to_string(bound) + what;
    }
  };
  add(x.concurrency_max, " at once");
  add(x.per_key_max, " per key");
  add(x.rate, "/" + format_duration(x.rate_period_ms));
  return text;
}

line queue_line(const queue_view& x, timestamp_ms now, const screen& on) {
  const auto& w = queue_widths;
  line out{on};
  const auto about = [&](std::uint64_t count, std::size_t width) {
    out.number((x.estimated ? "~" : "") + std::to_string(count), width);
  };
  out.field(x.name, w[0], style::title);
  about(x.ready, w[1]);
  about(x.blocked, w[2]);
  about(x.delayed, w[3]);
  out.number(std::to_string(x.running), w[4], x.running > 0 ? style::good : style::plain);
  out.number(std::to_string(x.waiting), w[5]);
  out.number(std::to_string(x.failed_last_hour), w[6],
             x.failed_last_hour > 0 ? style::bad : style::plain);
  out.number(age(x.oldest_ready_at, now), w[7]);
  return std::move(
    out.field(bounds_of(x.limits), out.left(), x.limits.paused ? style::warn : style::plain));
}

/// Name, role, state, slots, waiting, answer, version, since, place.
constexpr std::array<std::size_t, 8> node_widths{14, 8, 9, 11, 4, 6, 7, 6};

line node_heads(const screen& on) {
  const auto& w = node_widths;
  line out{on};
  out.field("NODE", w[0]).field("ROLE", w[1]).field("STATE", w[2]).number("SLOTS", w[3]);
  out.number("WAIT", w[4]).number("ANSWER", w[5]).field("VERSION", w[6]).number("UP", w[7]);
  return std::move(out.add("PLACE, KINDS").wholly(style::head));
}

line node_line(const node_info& x, timestamp_ms now, const screen& on) {
  const auto& w = node_widths;
  constexpr double us_per_ms = 1'000;
  line out{on};
  const auto how = x.state == "connected" ? style::good
                   : x.state == "silent"  ? style::bad
                                          : style::warn;
  out.field(x.name, w[0], style::title);
  out.field(x.role == "registry+worker" ? "both" : x.role, w[1]).field(x.state, w[2], how);
  out.number(std::to_string(x.busy) + "/" + std::to_string(x.slots), w[3],
             x.slots > 0 && x.busy == x.slots ? style::warn : style::plain);
  out.number(std::to_string(x.waiting), w[4]);
  out.number(x.round_trip_us == 0
               ? "-"
               : short_number(static_cast<double>(x.round_trip_us) / us_per_ms) + "ms",
             w[5]);
  out.field(x.version, w[6], style::dim).number(age(x.connected_at, now), w[7]);
  auto rest = x.place;
  for (const auto& kind : x.kinds) {
    rest += " " + kind;
  }
  return std::move(out.field(rest, out.left(), style::dim));
}

line line_of_actor(const actor_view& x, const screen& on) {
  constexpr std::size_t indent_max = 8;
  line out{on};
  out.add(std::string(std::min<std::size_t>(x.depth * std::size_t{2}, indent_max), ' '));
  out.add(x.name, style::title).add("  ");
  if (x.state_json.empty()) {
    return std::move(out.add("does not answer", style::bad));
  }
  return std::move(out.field(actor_line(x.state_json), out.left()));
}

/// The number of all in the state that is listed, where it is known exactly.
std::string total_of(const model& x) {
  const auto& list = x.asks.list;
  const auto filtered = !x.filters.front().empty() || list.state == "ready";
  const auto found = x.last->counts.by_state.find(list.state);
  return filtered || found == x.last->counts.by_state.end()
           ? ""
           : " of " + std::to_string(found->second);
}

std::string process_note(const model& x) {
  if (!x.last->processes) {
    return "";
  }
  const auto& page = *x.last->processes;
  const auto more = page.next != row_id{};
  const auto fit = shown_processes(x).size();
  const auto first = rows_before(x);
  if (page.processes.empty()) {
    return more ? "none among the rows looked at; more: PgDn" : "none";
  }
  auto text = "rows " + std::to_string(first + 1) + "-"
              + std::to_string(first + page.processes.size()) + total_of(x);
  if (more) {
    text += "; more: PgDn at the end";
  }
  if (more || first > 0) {
    text += x.sorted_by == order::listed && !x.reversed ? "" : "; sorted within these";
  }
  if (!x.applied.owner.empty()) {
    text += "; owner sought in these: " + std::to_string(fit);
  }
  return text;
}

template <class Rows, class Draw>
void add_rows(std::vector<line>& out, const model& x, const Rows& all, std::size_t rows,
              Draw draw_row) {
  const auto& at = x.places.at(static_cast<std::size_t>(x.shown));
  const auto first = std::min(at.first, all.size());
  for (std::size_t i = first; i < all.size() && i - first < rows; ++i) {
    auto one = draw_row(*all[i]);
    if (i == at.index && !at.id.empty()) {
      one.wholly(style::selected);
    }
    out.push_back(std::move(one));
  }
}

void add_wrapped(std::vector<line>& out, const screen& on, const std::string& name,
                 const std::string& text, style how = style::plain) {
  constexpr std::size_t indent = 14;
  constexpr std::size_t lines_max = 8;
  auto first = true;
  std::size_t count = 0;
  for (const auto& part : wrapped(text, static_cast<std::size_t>(on.columns) - indent)) {
    line one{on};
    one.field(first ? name : "", indent - 1, style::dim).add(part, how);
    out.push_back(std::move(one));
    first = false;
    if (++count == lines_max) {
      return;
    }
  }
}

void add_events(std::vector<line>& out, const screen& on, const std::vector<event>& events) {
  line head{on};
  head.number("SEQ", 5).field("AT", 24).field("EVENT", 24).add("PAYLOAD");
  out.push_back(line{on});
  out.push_back(std::move(head.wholly(style::head)));
  for (auto it = events.rbegin(); it != events.rend(); ++it) {
    line one{on};
    one.number(std::to_string(it->seq), 5).field(format_time(it->at), 24, style::dim);
    one.field(it->type, 24, style::title);
    out.push_back(std::move(one.field(it->payload, one.left())));
  }
}

} // namespace

std::string list_title(const model& x) {
  const auto& typed = x.filters.at(static_cast<std::size_t>(x.shown));
  std::string text;
  if (x.shown == pane::processes) {
    text = x.asks.list.state + ", "
           + (x.sorted_by == order::listed && x.reversed
                ? "oldest first"
                : (x.sorted_by == order::listed ? "" : "by ") + to_string(x.sorted_by)
                    + (x.reversed ? ", reversed" : ""));
  }
  return typed.empty() ? text : text + (text.empty() ? "" : "  ") + "/" + typed;
}

std::string list_note(const model& x) {
  if (!x.last) {
    return "";
  }
  switch (x.shown) {
    case pane::processes:
      return process_note(x);
    case pane::queues:
      return x.last->queues ? std::to_string(shown_queues(x).size()) + " of "
                                + std::to_string(x.last->queues->queues.size()) + " queues"
                            : "";
    case pane::nodes:
      return std::to_string(shown_nodes(x).size()) + " of " + std::to_string(x.last->nodes.size())
             + " nodes";
    case pane::actors:
      return x.last->actors && x.last->actors->left_out > 0
               ? std::to_string(x.last->actors->left_out) + " more processes: belay tree --limit"
               : "";
  }
  return "";
}

std::vector<line> list_lines(const model& x, const screen& on, std::size_t rows) {
  std::vector<line> out;
  if (!x.last) {
    return out;
  }
  const auto now = x.last->now;
  switch (x.shown) {
    case pane::processes: {
      const process_widths widths{x, on};
      out.push_back(process_heads(widths, on));
      add_rows(out, x, shown_processes(x), rows,
               [&](const process_view& one) { return process_line(one, widths, now, on); });
      break;
    }
    case pane::queues:
      out.push_back(queue_heads(on));
      add_rows(out, x, shown_queues(x), rows,
               [&](const queue_view& one) { return queue_line(one, now, on); });
      break;
    case pane::nodes:
      out.push_back(node_heads(on));
      add_rows(out, x, shown_nodes(x), rows,
               [&](const node_info& one) { return node_line(one, now, on); });
      break;
    case pane::actors: {
      line heads{on};
      out.push_back(std::move(heads.add("ACTOR  STATE").wholly(style::head)));
      add_rows(out, x, shown_actors(x), rows,
               [&](const actor_view& one) { return line_of_actor(one, on); });
      break;
    }
  }
  return out;
}

std::vector<line> opened_lines(const model& x, const screen& on) {
  std::vector<line> out;
  const auto there = x.last && x.last->opened && x.last->opened->process.id == x.asks.opened;
  if (!there) {
    add_wrapped(out, on, "process", x.asks.opened, style::title);
    return out;
  }
  const auto& process = x.last->opened->process;
  const auto& said = x.last->opened->said;
  const auto now = x.last->now;
  out.push_back(line{on});
  add_wrapped(out, on, "process", process.id, style::title);
  add_wrapped(out, on, "state", state_word(process, now), style_of(process));
  add_wrapped(out, on, "", said.sentence);
  for (const auto& [name, value] : said.facts) {
    add_wrapped(out, on, name, value);
  }
  add_wrapped(out, on, "kind", process.kind);
  add_wrapped(out, on, "queue",
              process.queue + " (priority " + std::to_string(process.priority) + ")");
  add_wrapped(out, on, "age", age(process.created_at, now));
  if (!process.status_json.empty()) {
    add_wrapped(out, on, "status", process.status_json);
  }
  const auto registration = nlohmann::json::parse(process.registration_json, nullptr, false);
  if (registration.is_object() && registration.contains("input")) {
    add_wrapped(out, on, "input", registration["input"].dump());
  }
  if (!process.outcome_json.empty()) {
    add_wrapped(out, on, "outcome", process.outcome_json);
  }
  add_events(out, on, x.last->opened->events);
  return out;
}

std::vector<line> help_lines(const screen& on) {
  std::vector<line> out;
  const auto add = [&](const char* pressed, const char* what) {
    line one{on};
    one.add("  ").field(pressed, 20, style::key).add(what);
    out.push_back(std::move(one));
  };
  line title{on};
  title.add("belay top", style::title)
    .add("  a node's processes, queues, nodes and actors as they are");
  out.push_back(std::move(title));
  add("1 2 3 4 Tab <- ->", "panes: processes, queues, nodes, actors");
  add("Up Down PgUp PgDn", "a row, a screen; at the end of 200 rows the next 200");
  add("Home End", "the newest rows; the last that are there");
  add("Enter", "opens a process: what it does or why not, its last events;");
  add("", "of a queue its processes");
  add("v", "which processes: running, ready, delayed, waiting, ...");
  add("/", "filters; processes in the whole store by BEGINNING-OF-ID,");
  add("", "kind= queue= state= title= definition= origin= parent=");
  add("", "LABEL=, and the rows that are there by owner=;");
  add("", "the rest by a part of their names");
  add("s S", "sorts the rows that are there, by age, attempts, owner,");
  add("", "kind, lease left; turns the order round");
  add("c", "asks the process to end, as `belay cancel` does");
  add("r", "runs it again: at once, where it waits for its due time");
  add("", "or another attempt; out of quarantine; a finished one is");
  add("", "registered anew as ID~1");
  add("p", "pauses a queue, or lets it go on. These three ask first");
  add("q Ctrl-C", "quits");
  add("registered/s", "new processes since the last look, a second");
  add("started/s", "given to workers; after an interruption once more");
  add("finished/s", "ended, whatever their outcome");
  add("answer", "from asking the node for its counts to having them");
  return out;
}

} // namespace belay::app::top
