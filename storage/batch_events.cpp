// Appending events: what may be appended, and what follows from it.
#include "messages/json_strict.hpp"
#include "messages/selector.hpp"
#include "storage/batch.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

bool is_signal(const std::string& type) {
  return type.rfind(event_types::signal_prefix, 0) == 0;
}

} // namespace

checked<const declared_type*>
batch::may_append(const append_request& x, const row_state& state, const nlohmann::json& payload) {
  const declared_type* type = nullptr;
  // A workflow that declares no signals takes any: its code knows which it waits for.
  auto any_signal = is_signal(x.type) && is_workflow_kind(read_.name(state.head.kind));
  if (state.head.declares) {
    const auto& types = shared_.declared.of(
      state.row, [&] { return read_.text(read_.body(state.row).registration); });
    const auto found = types.find(x.type);
    type = found == types.end() ? nullptr : &found->second;
    any_signal = any_signal && std::none_of(types.begin(), types.end(), [](const auto& one) {
                   return is_signal(one.first);
                 });
  }
  if (type == nullptr && (!x.fenced || is_signal(x.type)) && !any_signal) {
    return refusal{ec::bad_request, "type: '" + x.id + "' does not declare " + json_quote(x.type)
                                      + "; its registration's `events` lists what it may be sent"};
  }
  if (type != nullptr && !type->broken.empty()) {
    return refusal{ec::bad_request,
                   "type: '" + x.id + "' declares " + json_quote(x.type)
                     + " with a schema that is no longer accepted: " + type->broken};
  }
  if (type != nullptr) {
    if (auto no = type->schema.check("payload", payload)) {
      return *no;
    }
  }
  return type;
}

checked<std::optional<std::string>>
batch::wake_input(const declared_type* type, const nlohmann::json& payload) const {
  using maybe = std::optional<std::string>;
  if (type == nullptr || type->wake.is_null()) {
    return maybe{};
  }
  if (type->wake.contains("when")) {
    const auto when = select(type->wake["when"], payload);
    if (!when) {
      return when.why();
    }
    if (!truthy(*when)) {
      return maybe{};
    }
  }
  if (!type->wake.contains("input")) {
    return maybe{default_wake_input(payload)};
  }
  const auto input = select(type->wake["input"], payload);
  if (!input) {
    return input.why();
  }
  return maybe{text_of(*input)};
}

checked<nlohmann::json> batch::read_event(const append_request& x) const {
  if (auto no = check_event_name("type", x.type)) {
    return *no;
  }
  if (x.payload.size() > shared_.opts.event_bytes_max) {
    return refusal{ec::bad_request, "payload: " + std::to_string(x.payload.size())
                                      + " bytes are not acceptable, expected JSON text of at most "
                                      + std::to_string(shared_.opts.event_bytes_max) + " bytes"};
  }
  auto payload = parse_json_strict(x.payload);
  if (!payload) {
    return refusal{ec::bad_request, "payload: " + payload.why().text};
  }
  return payload;
}

checked<batch::event_plan> batch::plan_event(const append_request& x, const row_state& state,
                                             nlohmann::json payload, std::uint64_t earlier) {
  event_plan plan;
  plan.payload = std::move(payload);
  const auto type = may_append(x, state, plan.payload);
  if (!type) {
    return type.why();
  }
  const auto input = wake_input(*type, plan.payload);
  if (!input) {
    return input.why();
  }
  if (state.head.state == process_state::finished) {
    return refusal{ec::already_terminal, "'" + x.id + "' has its outcome"};
  }
  if (state.head.last_seq + earlier >= shared_.opts.events_max) {
    return refusal{ec::overloaded, "'" + x.id + "' has as many events as store.events_max allows ("
                                     + std::to_string(shared_.opts.events_max) + ")"};
  }
  if (*input && state.head.detailed) {
    plan.input = **input;
    plan.session = read_.detail(state.row).wake_session;
  }
  if (!plan.session.empty() && open_wakes_.value + earlier >= shared_.opts.wakes_max) {
    return refusal{ec::overloaded, "as many wakes are on their way as store.wakes_max allows ("
                                     + std::to_string(shared_.opts.wakes_max) + ")"};
  }
  return plan;
}

event batch::write_event(const append_request& x, row_state& state, const event_plan& plan) {
  const auto seq = add_event(state, x.type, x.payload, x.key);
  txn_.put(tables_.event_by_type, type_key(state.row, x.type, seq), {});
  if (!plan.session.empty()) {
    send_wake(state, seq, x.type, plan.session, plan.input);
  }
  return event{seq, context_.now, x.type, x.payload, x.key};
}

answer batch::run(const append_request& x) {
  const auto row = read_.lookup(x.id);
  if (!row) {
    return row.why();
  }
  auto payload = read_event(x);
  if (!payload) {
    return payload.why();
  }
  if (auto no = check_text("key", x.key, shared_.opts.registration.id_bytes_max)) {
    return *no;
  }
  if (x.fenced) {
    if (x.held.row != *row) {
      return refusal{ec::lease_superseded, "the lease is of another process"};
    }
    if (auto held = held_row(x.held); !held) {
      return held.why();
    }
  }
  const auto hash
    = x.key.empty() ? std::string{} : short_hash(x.type + '\0' + normal_numbers(*payload).dump());
  if (!x.key.empty()) {
    if (const auto used = txn_.get(tables_.event_key, idempotency_key(*row, x.key))) {
      const auto first = decode_event_key(*used);
      if (first.payload_hash != hash) {
        return refusal{ec::event_conflict, "the key '" + x.key
                                             + "' stands for another payload since event "
                                             + std::to_string(first.seq)};
      }
      return read_.stored_event(*row, first.seq);
    }
  }
  auto state = load(*row);
  const auto plan = plan_event(x, state, std::move(*payload), 0);
  if (!plan) {
    return plan.why();
  }
  auto written = write_event(x, state, *plan);
  if (!x.key.empty()) {
    txn_.put(tables_.event_key, idempotency_key(*row, x.key),
             encode(event_key_record{written.seq, hash}));
  }
  if (is_signal(x.type)) {
    signal_arrived(state, x.type);
  }
  save(state);
  return written;
}

} // namespace belay::storage
