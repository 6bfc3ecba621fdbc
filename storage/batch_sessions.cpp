// Sessions: observers, wake targets, forgetting a session.
#include "storage/batch.hpp"
#include "storage/codec.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

std::string edge_facts(const std::string& session, const std::string& by) {
  nlohmann::json facts{{"session", session}};
  if (!by.empty()) {
    facts["by"] = by;
  }
  return json_text(facts);
}

std::string observer_key(row_id row, std::string_view session) {
  return row_key(row) + short_hash(session);
}

} // namespace

bool batch::observes(row_id row, std::string_view session) const {
  return txn_.get(tables_.observer, observer_key(row, session)).has_value();
}

bool batch::add_observer(row_state& x, const std::string& session) {
  if (observes(x.row, session)) {
    return false;
  }
  txn_.put(tables_.observer, observer_key(x.row, session),
           encode(observer_record{session, context_.now}));
  txn_.put(tables_.session, session_key(session, session_role::observer, x.row), {});
  x.head.observed = true;
  return true;
}

bool batch::remove_observer(row_state& x, const std::string& session) {
  if (!txn_.erase(tables_.observer, observer_key(x.row, session))) {
    return false;
  }
  txn_.erase(tables_.session, session_key(session, session_role::observer, x.row));
  x.head.observed = !keys_of(tables_.observer, row_key(x.row)).empty();
  return true;
}

void batch::save_detail(row_state& x, const detail_record& detail) {
  x.head.detailed = true;
  txn_.put(tables_.detail, row_key(x.row), encode(detail));
}

void batch::set_wake_session(row_state& x, detail_record& detail, const std::string& session) {
  if (!detail.wake_session.empty()) {
    txn_.erase(tables_.session, session_key(detail.wake_session, session_role::target, x.row));
  }
  detail.wake_session = session;
  if (!session.empty()) {
    txn_.put(tables_.session, session_key(session, session_role::target, x.row), {});
  }
}

answer batch::run(const observe_request& x) {
  auto state = load(x.id);
  if (!state) {
    return state.why();
  }
  if (auto no = validate_session("session", x.session, shared_.opts.registration)) {
    return *no;
  }
  if (x.by.size() > shared_.opts.registration.id_bytes_max) {
    return refusal{ec::bad_request, "by: longer than a session id may be"};
  }
  const auto edges = keys_of(tables_.observer, row_key(state->row)).size();
  if (x.add && !observes(state->row, x.session)
      && edges >= shared_.opts.registration.observers_max) {
    return refusal{ec::overloaded, "'" + x.id + "' has as many observers as it may ("
                                     + std::to_string(edges) + ")"};
  }
  const auto changed = x.add ? add_observer(*state, x.session) : remove_observer(*state, x.session);
  if (!changed) {
    return done{0};
  }
  // A history ends with the outcome: later edges change without an event.
  if (state->head.state != process_state::finished) {
    add_event(*state, x.add ? event_types::observer_added : event_types::observer_removed,
              edge_facts(x.session, x.by));
  }
  save(*state);
  return done{1};
}

answer batch::run(const transfer_request& x) {
  constexpr std::size_t ids_max = 1'000;
  for (const auto& [field, session] : {std::pair{"from", &x.from}, std::pair{"to", &x.to}}) {
    if (auto no = validate_session(field, *session, shared_.opts.registration)) {
      return *no;
    }
  }
  if (x.ids.size() > ids_max) {
    return refusal{ec::bad_request, "ids: " + std::to_string(x.ids.size())
                                      + " in one message, expected at most "
                                      + std::to_string(ids_max)};
  }
  std::set<row_id> rows;
  for (const auto& id : x.ids) {
    const auto row = read_.lookup(id);
    if (!row) {
      return row.why();
    }
    if (!observes(*row, x.from)) {
      return refusal{ec::unknown_observer,
                     "the session '" + x.from + "' does not observe '" + id + "'"};
    }
    rows.insert(*row);
  }
  if (x.from == x.to) {
    return done{0};
  }
  for (const auto row : rows) {
    auto state = load(row);
    static_cast<void>(remove_observer(state, x.from));
    static_cast<void>(add_observer(state, x.to));
    if (state.head.state != process_state::finished) {
      add_event(state, event_types::observer_removed, edge_facts(x.from, x.by));
      add_event(state, event_types::observer_added, edge_facts(x.to, x.by));
    }
    save(state);
  }
  return done{rows.size()};
}

answer batch::run(const forget_session_request& x) {
  if (auto no = validate_session("session", x.session, shared_.opts.registration)) {
    return *no;
  }
  session_report report;
  report.session = x.session;
  const auto prefix = short_hash(x.session);
  for (const auto& key : keys_of(tables_.session, prefix)) {
    const auto role = static_cast<session_role>(key[prefix.size()]);
    const auto row = row_of(std::string_view{key}.substr(prefix.size() + 1));
    auto state = load(row);
    if (role == session_role::observer) {
      static_cast<void>(remove_observer(state, x.session));
      ++report.removed_observers;
      if (state.head.state != process_state::finished) {
        auto& list = state.head.observed ? report.preserved : report.orphaned;
        list.push_back(read_.body(row).id);
      }
    } else {
      auto detail = read_.detail(row);
      set_wake_session(state, detail, {});
      save_detail(state, detail);
      report.discarded_wakes += discard_wakes(row, x.session, "session_gone");
    }
    save(state);
  }
  std::sort(report.orphaned.begin(), report.orphaned.end());
  std::sort(report.preserved.begin(), report.preserved.end());
  return report;
}

answer batch::run(const retarget_request& x) {
  auto state = load(x.id);
  if (!state) {
    return state.why();
  }
  if (!x.session.empty()) {
    if (auto no = validate_session("session", x.session, shared_.opts.registration)) {
      return *no;
    }
  }
  if (state->head.state == process_state::finished) {
    return refusal{ec::already_terminal, "'" + x.id + "' has its outcome"};
  }
  auto detail = read_.detail(state->row);
  if (detail.wake_session == x.session) {
    return done{0};
  }
  if (!detail.wake_session.empty()) {
    static_cast<void>(discard_wakes(state->row, detail.wake_session, "retargeted"));
  }
  nlohmann::json facts{{"from", detail.wake_session}, {"to", x.session}};
  if (!x.by.empty()) {
    facts["by"] = x.by;
  }
  set_wake_session(*state, detail, x.session);
  save_detail(*state, detail);
  add_event(*state, event_types::wake_retargeted, json_text(facts));
  save(*state);
  return done{1};
}

} // namespace belay::storage
