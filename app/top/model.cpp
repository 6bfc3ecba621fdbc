#include "app/top/model.hpp"

#include "app/top/keys.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace belay::app::top {

namespace {

/// More than any terminal is wide.
constexpr std::size_t history_max = 500;
/// Lines around a list: five of the node, panes, heads; message and keys.
constexpr int lines_around = 9;
/// How long what was said stands, in looks.
constexpr int said_looks = 4;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::uint64_t of_state(const process_counts& x, const std::string& state) {
  const auto found = x.by_state.find(state);
  return found == x.by_state.end() ? 0 : found->second;
}

std::uint64_t finished_of(const answer& x) {
  std::uint64_t sum = x.pruned;
  for (const auto* state : {"success", "failure", "cancelled", "abandoned"}) {
    sum += of_state(x.counts, state);
  }
  return sum;
}

std::uint64_t registered_of(const answer& x) {
  return std::accumulate(x.counts.by_state.begin(), x.counts.by_state.end(), x.pruned,
                         [](std::uint64_t sum, const auto& one) { return sum + one.second; });
}

void add(std::deque<double>& to, double value) {
  to.push_back(value);
  if (to.size() > history_max) {
    to.pop_front();
  }
}

void measure(model& x, const answer& got) {
  add(x.count_ms, got.count_ms);
  if (!x.last || x.last->connection != got.connection || x.last->at_ms >= got.at_ms) {
    return;
  }
  const auto seconds = static_cast<double>(got.at_ms - x.last->at_ms) / 1'000;
  const auto rate = [seconds](std::uint64_t before, std::uint64_t after) {
    // Counts of two requests are not of one instant: a prune between them may count backwards.
    return after > before ? static_cast<double>(after - before) / seconds : 0.0;
  };
  add(x.registered, rate(registered_of(*x.last), registered_of(got)));
  add(x.started, rate(x.last->claims, got.claims));
  add(x.finished, rate(finished_of(*x.last), finished_of(got)));
}

/// Whether `a` stands before `b` under an order.
bool before(const process_view& a, const process_view& b, order by) {
  const auto lease = [](const process_view& p) {
    return p.lease_expires_at == 0 ? std::numeric_limits<timestamp_ms>::max() : p.lease_expires_at;
  };
  switch (by) {
    case order::age:
      return a.created_at < b.created_at;
    case order::attempts:
      return a.attempt > b.attempt;
    case order::owner:
      return a.holder.name < b.holder.name;
    case order::kind:
      return a.kind < b.kind;
    case order::lease:
      return lease(a) < lease(b);
    case order::listed:
      return false;
  }
  return false;
}

const std::string& filter_of(const model& x) {
  return x.filters.at(static_cast<std::size_t>(x.shown));
}

} // namespace

std::string to_string(pane x) {
  switch (x) {
    case pane::processes:
      return "processes";
    case pane::queues:
      return "queues";
    case pane::nodes:
      return "nodes";
    case pane::actors:
      return "actors";
  }
  return "";
}

std::string to_string(order x) {
  switch (x) {
    case order::listed:
      return "newest first";
    case order::age:
      return "age";
    case order::attempts:
      return "attempts";
    case order::owner:
      return "owner";
    case order::kind:
      return "kind";
    case order::lease:
      return "lease left";
  }
  return "";
}

checked<filter> parse_filter(const std::string& text) {
  filter result;
  auto& list = result.list;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find(' ', at), text.size());
    const auto word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) {
      continue;
    }
    const auto equals = word.find('=');
    const auto name = equals == std::string::npos ? "id" : word.substr(0, equals);
    const auto value = equals == std::string::npos ? word : word.substr(equals + 1);
    if (name.empty() || value.empty()) {
      return refusal{ec::bad_request, "'" + word + "' is not acceptable, expected KEY=VALUE"};
    }
    std::string* field = name == "id"           ? &list.id_prefix
                         : name == "kind"       ? &list.kind
                         : name == "queue"      ? &list.queue
                         : name == "owner"      ? &result.owner
                         : name == "state"      ? &list.state
                         : name == "title"      ? &list.label
                         : name == "definition" ? &list.definition
                         : name == "origin"     ? &list.originator
                         : name == "parent"     ? &list.parent
                                                : &list.labels[name];
    if (!field->empty()) {
      return refusal{ec::bad_request, "'" + word + "': there is a " + name + " already"};
    }
    *field = value;
  }
  return result;
}

std::vector<const process_view*> shown_processes(const model& x) {
  std::vector<const process_view*> result;
  if (!x.last || !x.last->processes) {
    return result;
  }
  for (const auto& one : x.last->processes->processes) {
    if (contains(one.holder.name, x.applied.owner)) {
      result.push_back(&one);
    }
  }
  std::stable_sort(result.begin(), result.end(),
                   [&x](const auto* a, const auto* b) { return before(*a, *b, x.sorted_by); });
  if (x.reversed) {
    std::reverse(result.begin(), result.end());
  }
  return result;
}

std::vector<const queue_view*> shown_queues(const model& x) {
  std::vector<const queue_view*> result;
  if (x.last && x.last->queues) {
    for (const auto& one : x.last->queues->queues) {
      if (contains(one.name, filter_of(x))) {
        result.push_back(&one);
      }
    }
  }
  return result;
}

std::vector<const node_info*> shown_nodes(const model& x) {
  std::vector<const node_info*> result;
  if (x.last) {
    for (const auto& one : x.last->nodes) {
      if (contains(one.name, filter_of(x))) {
        result.push_back(&one);
      }
    }
  }
  return result;
}

std::vector<const actor_view*> shown_actors(const model& x) {
  std::vector<const actor_view*> result;
  if (x.last && x.last->actors) {
    for (const auto& one : x.last->actors->actors) {
      if (contains(one.name, filter_of(x))) {
        result.push_back(&one);
      }
    }
  }
  return result;
}

std::vector<std::string> row_names(const model& x) {
  std::vector<std::string> result;
  const auto add_all = [&result](const auto& rows, auto name) {
    for (const auto* one : rows) {
      result.push_back(name(*one));
    }
  };
  switch (x.shown) {
    case pane::processes:
      add_all(shown_processes(x), [](const process_view& p) { return p.id; });
      break;
    case pane::queues:
      add_all(shown_queues(x), [](const queue_view& q) { return q.name; });
      break;
    case pane::nodes:
      add_all(shown_nodes(x), [](const node_info& n) { return n.name; });
      break;
    case pane::actors:
      add_all(shown_actors(x), [](const actor_view& a) { return a.name; });
      break;
  }
  return result;
}

std::size_t list_rows(const screen& on) {
  return static_cast<std::size_t>(std::max(on.rows - lines_around, 1));
}

std::size_t rows_before(const model& x) {
  std::size_t sum = 0;
  for (const auto& one : x.pages) {
    sum += one.second;
  }
  return sum;
}

void receive(model& x, answer got, const screen& on) {
  measure(x, got);
  x.lost.reset();
  if (++x.said_for > said_looks) {
    x.said.clear();
  }
  if (x.last) {
    // What is not asked for now, or is on its way, stays as it was.
    const auto late = got.asked.number != x.asks.number;
    const auto keep = [late](auto& to, auto& from) {
      if (late || !to) {
        to = std::move(from);
      }
    };
    keep(got.processes, x.last->processes);
    keep(got.queues, x.last->queues);
    keep(got.actors, x.last->actors);
    keep(got.opened, x.last->opened);
    if (late) {
      got.refused.clear();
    }
  }
  x.last = std::move(got);
  follow_rows(x, on);
}

void receive(model& x, std::string said) {
  x.said = std::move(said);
  x.said_for = 0;
}

void receive(model& x, lost_link why) {
  // Since when is what counts, not how often it was tried.
  x.lost = {std::move(why.why), x.lost ? x.lost->at_ms : why.at_ms};
}

} // namespace belay::app::top
