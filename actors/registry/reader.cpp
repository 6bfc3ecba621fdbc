#include "actors/registry/reader.hpp"

#include "actors/faults.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

constexpr std::uint32_t list_limit_max = 1'000;
constexpr std::uint32_t events_limit_max = 1'000;

constexpr std::array<std::string_view, 11> state_words
  = {"ready",   "delayed", "running",   "waiting",   "quarantined", "external",
     "success", "failure", "cancelled", "abandoned", "live"};

caf::error limit_refused(std::uint32_t limit, std::uint32_t most) {
  return caf::make_error(ec::bad_request, "limit: " + std::to_string(limit)
                                            + " is not acceptable, expected 1 to "
                                            + std::to_string(most));
}

} // namespace

caf::result<process_view> reader_state::get(const process_id& id) {
  ++reads;
  auto found = store->get(id);
  if (!found) {
    return caf::make_error(ec::unknown_process, "no process has the id '" + id + "'");
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

reader_actor::behavior_type
reader(reader_state::pointer self, std::shared_ptr<storage::store> store,
       std::shared_ptr<const registry_clock> clock) {
  install_fault_handlers(self, "registry");
  auto& state = self->state;
  state.store = std::move(store);
  state.clock = std::move(clock);
  return {
    [&state](atom::get, const process_id& id) { return state.get(id); },
    [&state](atom::list, const list_query& query) { return state.list(query); },
    [&state](atom::events, const process_id& id, event_seq after, std::uint32_t limit) {
      return state.events(id, after, limit);
    },
    [&state](atom::count) { return state.store->counts(); },
    [&state](atom::snapshot) {
      return nlohmann::json{{"actor", reader_state::name}, {"reads", state.reads}}.dump();
    },
  };
}

} // namespace belay::actors
