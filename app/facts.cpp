#include "app/facts.hpp"

#include "app/output.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

/// Of the history: enough for the reasons of a quarantine.
constexpr std::uint32_t history_events = 100;
constexpr std::uint32_t named_processes = 10;

/// Moves what was answered to where it belongs; returns why there is nothing.
template <class Answer, class Take>
std::optional<refusal> take(checked<Answer> x, Take where) {
  if (!x) {
    return x.why();
  }
  where(std::move(*x));
  return std::nullopt;
}

std::optional<refusal>
list_into(std::vector<process_view>& to, actors::client& client, const list_query& query) {
  return take(client.list(query), [&to](process_page x) { to = std::move(x.processes); });
}

/// What a workflow that is still in memory waits for. Its worker may not answer: then nobody knows.
void ask_worker(known_facts& x, actors::client& client) {
  const auto answers = std::any_of(x.nodes.begin(), x.nodes.end(), [&x](const node_info& one) {
    return one.name == x.process.holder.name && one.state != "silent";
  });
  if (!answers) {
    return;
  }
  const auto found = client.actors_of(x.process.holder.name, x.process.id);
  if (!found) {
    return;
  }
  for (const auto& actor : found->actors) {
    const auto state = nlohmann::json::parse(actor.state_json, nullptr, false);
    const auto* workflow
      = state.is_object() && state.contains("workflow") ? &state["workflow"] : nullptr;
    if (workflow == nullptr || !workflow->is_object()
        || workflow->value("phase", "") != "waiting") {
      continue;
    }
    for (const auto& one : workflow->at("waits")) {
      const auto name = one.value("name", std::string{});
      x.waits.push_back(one.value("for", std::string{}) + (name.empty() ? "" : " '" + name + "'"));
      if (x.waits.size() == named_processes) {
        return;
      }
    }
  }
}

std::optional<refusal> gather_others(known_facts& x, actors::client& client) {
  const auto& id = x.process.id;
  if (x.process.state == process_state::running) {
    ask_worker(x, client);
    return std::nullopt;
  }
  if (x.process.state == process_state::quarantined) {
    return take(client.recent_events(id, history_events),
                [&x](event_page page) { x.history = std::move(page.events); });
  }
  list_query query;
  query.limit = named_processes;
  if (x.process.state == process_state::ready) {
    query.state = "running";
    const auto no = take(client.queues(), [&](queue_list found) {
      x.now = found.now; // By the registry's clock it is due; ours may be behind.
      for (auto& one : found.queues) {
        if (one.name == x.process.queue) {
          if (one.limits.concurrency_max != 0 && one.running >= one.limits.concurrency_max) {
            query.queue = one.name;
          }
          x.queue = std::move(one);
        }
      }
    });
    return no ? no : list_into(x.running, client, query);
  }
  if (x.process.waiting.until.kind == wait_kind::closing) {
    query.parent = id;
    query.state = "live";
    return list_into(x.awaited, client, query);
  }
  auto conditions = x.process.waiting.also;
  conditions.insert(conditions.begin(), x.process.waiting.until);
  for (const auto& one : conditions) {
    if (one.kind == wait_kind::child && x.awaited.size() < named_processes) {
      if (auto child = client.get(one.name)) {
        x.awaited.push_back(std::move(*child));
      }
    }
  }
  return std::nullopt;
}

} // namespace

checked<known_facts> gather(actors::client& client, const process_id& id) {
  known_facts x;
  x.now = wall_now();
  auto no = take(client.get(id), [&x](process_view found) { x.process = std::move(found); });
  if (!no) {
    no = take(client.nodes(), [&x](node_list found) { x.nodes = std::move(found.nodes); });
  }
  if (!no) {
    no = take(client.registry_snapshot(), [&x](const std::string& text) {
      const auto registry = nlohmann::json::parse(text);
      x.nearly_full = registry.value("nearly_full", false);
      x.commit_failed = registry.value("commit_failed", false);
    });
  }
  if (!no) {
    no = gather_others(x, client);
  }
  if (no) {
    return *no;
  }
  return x;
}

} // namespace belay::app
