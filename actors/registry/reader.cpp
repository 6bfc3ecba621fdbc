#include "actors/registry/reader.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/registry/page_limits.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

constexpr std::uint32_t list_limit_max = 1'000;

constexpr std::array<std::string_view, 11> state_words
  = {"ready",   "delayed", "running",   "waiting",   "quarantined", "external",
     "success", "failure", "cancelled", "abandoned", "live"};

using checker_actor = caf::typed_actor<caf::replies_to<atom::check>::with<check_report>>;

/// Looks at the whole store once, on a thread of its own: it may take minutes.
checker_actor::behavior_type
checker(checker_actor::pointer self, const std::shared_ptr<storage::store>& store,
        const std::shared_ptr<std::atomic<bool>>& running) {
  install_fault_handlers(self, component::registry);
  return {[self, store, running](atom::check) {
    const std::shared_ptr<void> over{nullptr, [running](void*) { *running = false; }};
    self->quit();
    return check_report{store->check()};
  }};
}

} // namespace

caf::result<process_view> reader_state::get(const process_id& id) {
  ++reads;
  auto found = store->get(id);
  if (!found) {
    return to_error(found.why());
  }
  return std::move(*found);
}

caf::result<process_page> reader_state::list(const list_query& query) {
  ++reads;
  if (query.limit == 0 || query.limit > list_limit_max) {
    return limit_refused(query.limit, list_limit_max);
  }
  const auto known
    = query.state.empty() || query.state == "finished"
      || std::find(state_words.begin(), state_words.end(), query.state) != state_words.end();
  if (!known) {
    return caf::make_error(ec::bad_request,
                           "state: '" + query.state
                             + "' is not a state, expected ready, delayed, running, waiting, "
                               "quarantined, external, success, failure, cancelled, abandoned, "
                               "live or finished");
  }
  auto page = store->list(query, clock->now());
  page.now = clock->now();
  return page;
}

caf::result<event_page>
reader_state::events(const process_id& id, event_seq after, std::uint32_t limit) {
  ++reads;
  if (limit == 0 || limit > events_limit_max) {
    return limit_refused(limit, events_limit_max);
  }
  auto page = store->events_after(id, after, limit);
  if (!page) {
    return to_error(page.why());
  }
  return std::move(*page);
}

caf::result<event_page> reader_state::recent(const process_id& id, std::uint32_t limit) {
  ++reads;
  if (limit > events_limit_max) {
    return limit_refused(limit, events_limit_max);
  }
  auto page = store->recent_events(id, limit);
  if (!page) {
    return to_error(page.why());
  }
  return std::move(*page);
}

caf::result<std::uint64_t>
reader_state::count(const process_id& id, const std::string& type, event_seq through) {
  ++reads;
  const auto number = store->count_events(id, type, through);
  if (!number) {
    return to_error(number.why());
  }
  return *number;
}

caf::result<change_page> reader_state::changes(std::uint64_t position, std::uint32_t limit) {
  ++reads;
  if (limit == 0 || limit > list_limit_max) {
    return limit_refused(limit, list_limit_max);
  }
  return store->changes_since(position, limit);
}

caf::result<journal_page>
reader_state::journal(const process_id& id, std::uint64_t after, std::uint32_t limit) {
  ++reads;
  if (limit == 0 || limit > events_limit_max) {
    return limit_refused(limit, events_limit_max);
  }
  auto page = store->journal_after(id, after, limit);
  if (!page) {
    return to_error(page.why());
  }
  return std::move(*page);
}

caf::result<attachment> reader_state::attached(const process_id& id, const std::string& ref) {
  ++reads;
  auto found = store->attached(id, ref);
  if (!found) {
    return to_error(found.why());
  }
  return std::move(*found);
}

caf::result<wake_list> reader_state::wakes(const wakes_query& query) {
  ++reads;
  if (query.limit == 0 || query.limit > list_limit_max) {
    return limit_refused(query.limit, list_limit_max);
  }
  return store->wakes(query);
}

caf::result<session_snapshot> reader_state::session(const session_query& query) {
  ++reads;
  if (query.limit == 0 || query.limit > list_limit_max) {
    return limit_refused(query.limit, list_limit_max);
  }
  if (query.events > events_limit_max) {
    return caf::make_error(ec::bad_request, "events: " + std::to_string(query.events)
                                              + " is not acceptable, expected 0 to "
                                              + std::to_string(events_limit_max));
  }
  if (auto no = validate_session("session", query.session)) {
    return to_error(*no);
  }
  auto found = store->session(query);
  found.now = clock->now();
  return found;
}

reader_actor::behavior_type
reader(reader_state::pointer self, std::shared_ptr<storage::store> store,
       std::shared_ptr<const registry_clock> clock, std::shared_ptr<visitors> known,
       bool detach_checks) {
  install_fault_handlers(self, component::registry);
  auto& state = self->state;
  state.store = std::move(store);
  state.clock = std::move(clock);
  const guard by{self, std::move(known)};
  using gates::role;
  return {
    by(role::read, [&state](atom::get, const process_id& id) { return state.get(id); }),
    by(role::read, [&state](atom::list, const list_query& query) { return state.list(query); }),
    by(role::read, [&state](atom::events, const process_id& id, event_seq after,
                            std::uint32_t limit) { return state.events(id, after, limit); }),
    by(role::read, [&state](atom::recent, const process_id& id,
                            std::uint32_t limit) { return state.recent(id, limit); }),
    by(role::read, [&state](atom::count, const process_id& id, const std::string& type,
                            event_seq through) { return state.count(id, type, through); }),
    by(role::read, [&state](atom::changes, std::uint64_t position,
                            std::uint32_t limit) { return state.changes(position, limit); }),
    by(role::read, [&state](atom::journal, const process_id& id, std::uint64_t after,
                            std::uint32_t limit) { return state.journal(id, after, limit); }),
    by(role::read, [&state](atom::attach, const process_id& id,
                            const std::string& ref) { return state.attached(id, ref); }),
    by(role::read,
       [&state](atom::reference) { return process_counts{state.store->live_references()}; }),
    by(role::read, [&state](atom::wakes, const wakes_query& query) { return state.wakes(query); }),
    by(role::read,
       [&state](atom::session, const session_query& query) { return state.session(query); }),
    by(role::operate,
       [self, &state, detach_checks](atom::check) -> caf::result<check_report> {
         ++state.reads;
         if (!detach_checks) {
           return check_report{state.store->check()};
         }
         if (state.checking->exchange(true)) {
           return caf::make_error(ec::overloaded, std::string{"a check runs already"});
         }
         return self->delegate(self->spawn<caf::detached>(checker, state.store, state.checking),
                               atom::check_v);
       }),
    by(role::read, [&state](atom::queues) { return state.store->queues(state.clock->now()); }),
    by(role::read, [&state](atom::count) { return state.store->counts(); }),
    by(role::read,
       [&state](atom::snapshot) {
         return nlohmann::json{{"actor", reader_state::name}, {"reads", state.reads}}.dump();
       }),
  };
}

} // namespace belay::actors
