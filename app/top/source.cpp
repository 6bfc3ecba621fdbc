#include "app/top/source.hpp"

#include "app/again.hpp"
#include "app/facts.hpp"
#include "app/output.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

namespace belay::app::top {

namespace {

using clock = std::chrono::steady_clock;

/// Processes of each worker in the pane of actors.
constexpr std::uint32_t actors_of_each = 50;
/// Events of an open process.
constexpr std::uint32_t events_shown = 50;

bool is_lost(const refusal& no) {
  return no.code == ec::shutting_down || no.code == ec::timed_out
         || no.code == ec::protocol_mismatch;
}

/// Takes what was answered. Returns false when the node is lost; whatever else was refused is
/// noted.
template <class Answer, class Take>
bool take(checked<Answer> x, answer& into, std::optional<refusal>& lost, Take where) {
  if (x) {
    where(std::move(*x));
    return true;
  }
  if (is_lost(x.why())) {
    lost = x.why();
    return false;
  }
  into.refused = x.why().text;
  return true;
}

void take_registry(answer& into, const std::string& snapshot) {
  const auto said = nlohmann::json::parse(snapshot, nullptr, false);
  if (said.is_object()) {
    into.nearly_full = said.value("nearly_full", false);
    into.commit_failed = said.value("commit_failed", false);
    into.pruned = said.value("pruned", std::uint64_t{0});
    into.claims = said.value("claims", std::uint64_t{0});
  }
}

/// What the question names beyond what every frame has.
bool look_closer(actors::client& client, answer& x, std::optional<refusal>& lost) {
  const auto& asked = x.asked;
  if (!asked.opened.empty()) {
    opened_process opened;
    const auto known = take(gather(client, asked.opened), x, lost, [&](known_facts facts) {
      opened.said = explain(facts);
      opened.process = std::move(facts.process);
    });
    if (!known || opened.process.id.empty()) {
      return known;
    }
    return take(client.recent_events(asked.opened, events_shown), x, lost, [&](event_page page) {
      opened.events = std::move(page.events);
      x.opened = std::move(opened);
    });
  }
  switch (asked.shown) {
    case pane::processes:
      return take(client.list(asked.list), x, lost, [&x](process_page page) {
        x.now = page.now == 0 ? x.now : page.now;
        x.processes = std::move(page);
      });
    case pane::queues:
      return take(client.queues(), x, lost, [&x](queue_list found) {
        x.now = found.now == 0 ? x.now : found.now;
        x.queues = std::move(found);
      });
    case pane::actors:
      return take(client.tree(actors_of_each), x, lost,
                  [&x](actor_tree found) { x.actors = std::move(found); });
    case pane::nodes:
      return true;
  }
  return true;
}

} // namespace

checked<answer> look(actors::client& client, const question& asked) {
  answer x;
  x.asked = asked;
  x.node = client.node_name();
  x.now = wall_now();
  std::optional<refusal> lost;
  const auto start = clock::now();
  const auto all
    = take(client.counts(), x, lost,
           [&](process_counts found) {
             x.counts = std::move(found);
             x.count_ms = std::chrono::duration<double, std::milli>(clock::now() - start).count();
           })
      && take(client.registry_snapshot(), x, lost,
              [&x](const std::string& text) { take_registry(x, text); })
      && take(client.nodes(), x, lost, [&x](node_list found) { x.nodes = std::move(found.nodes); })
      && look_closer(client, x, lost);
  if (!all) {
    return *lost;
  }
  return x;
}

namespace {

std::string run_again(actors::client& client, const process_id& id) {
  const auto found = client.get(id);
  if (!found) {
    return found.why().text;
  }
  if (found->state == process_state::finished) {
    const auto made = register_anew(client, id);
    return made ? *made + " registered, as " + id + " was" : made.why().text;
  }
  const auto done = client.requeue({id, found->state == process_state::quarantined});
  return done ? id + " is ready now" : done.why().text;
}

} // namespace

std::string act(actors::client& client, const wish& wanted) {
  switch (wanted.what) {
    case wish::kind::cancel: {
      const auto receipt = client.cancel({wanted.id, "cancelled by request", false});
      return !receipt                                    ? receipt.why().text
             : receipt->stage == cancel_stage::done      ? wanted.id + " is cancelled"
             : receipt->stage == cancel_stage::requested ? wanted.id + " is asked to end"
                                                         : wanted.id + " has its outcome already";
    }
    case wish::kind::retry:
      return run_again(client, wanted.id);
    case wish::kind::pause:
    case wish::kind::resume: {
      queue_request request;
      request.queue = wanted.id;
      request.paused = wanted.what == wish::kind::pause ? 1 : 0;
      const auto now = client.configure(request);
      return now ? "queue " + wanted.id + (now->limits.paused ? " is paused" : " goes on")
                 : now.why().text;
    }
    default:
      return "";
  }
}

} // namespace belay::app::top
