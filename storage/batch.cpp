#include "storage/batch.hpp"

#include <cassert>
#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

/// The stored time may lag behind by this much, so that not every batch rewrites it.
constexpr timestamp_ms time_step_ms = 1'000;

} // namespace

std::string json_quote(std::string_view text) {
  return nlohmann::json(std::string{text})
    .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

batch::batch(const batch_environment& shared, transaction& txn, const batch_context& context)
  : shared_{shared},
    tables_{shared.tables},
    txn_{txn},
    context_{context},
    read_{txn, shared.tables, shared.blobs},
    next_row_{read_.meta(meta_keys::next_row)},
    next_name_{read_.meta(meta_keys::next_name)},
    first_row_{next_row_},
    first_name_{next_name_},
    stored_time_{static_cast<timestamp_ms>(read_.meta(meta_keys::time))} {}

answer batch::apply(const operation& op) {
  return std::visit([this](const auto& x) { return run(x); }, op);
}

void batch::finish() {
  for (const auto& [key, delta] : counters_) {
    if (delta == 0) {
      continue;
    }
    const auto encoded = encode(key);
    const auto stored = txn_.get(tables_.counter, encoded);
    const auto before = stored ? decode_number(*stored, "counter") : 0;
    txn_.put(tables_.counter, encoded, encode_number(before + static_cast<std::uint64_t>(delta)));
  }
  if (next_row_ != first_row_) {
    txn_.put(tables_.meta, meta_keys::next_row, encode_number(next_row_));
  }
  if (next_name_ != first_name_) {
    txn_.put(tables_.meta, meta_keys::next_name, encode_number(next_name_));
  }
  if (txn_.dirty() && context_.now >= stored_time_ + time_step_ms) {
    txn_.put(tables_.meta, meta_keys::time,
             encode_number(static_cast<std::uint64_t>(context_.now)));
  }
}

batch_result batch::take(std::vector<answer> answers) {
  return {std::move(answers), {changed_.begin(), changed_.end()}, ready_changed_};
}

void batch::count(const counter_key& key, std::int64_t delta) {
  counters_[key] += delta;
}

void batch::save(const row_state& x, const std::optional<counter_key>& before) {
  const auto after = counter_of(x.head);
  if (before != after) {
    if (before) {
      count(*before, -1);
    }
    count(after, 1);
  }
  txn_.put(tables_.head, row_key(x.row), encode(x.head));
  changed_.insert(x.row);
}

event_seq
batch::add_event(row_state& x, std::string type, std::string_view payload, const std::string& key) {
  const auto seq = ++x.head.last_seq;
  x.head.updated_at = context_.now;
  event_record record{context_.now, std::move(type), key, shared_.blobs.put(payload)};
  txn_.put(tables_.event, event_key(x.row, seq), encode(record));
  return seq;
}

name_id batch::intern(name_kind kind, const std::string& text) {
  if (const auto known = read_.find_name(kind, text)) {
    return *known;
  }
  const auto id = static_cast<name_id>(next_name_++);
  txn_.put(tables_.name, std::string(1, static_cast<char>(kind)) + text, encode_number(id));
  txn_.put(tables_.name_text, row_key(row_id{id}), text);
  return id;
}

void batch::make_ready(row_state& x) {
  x.head.state = process_state::ready;
  txn_.put(tables_.ready, encode(place_of(x.head, x.row)), {});
  ready_changed_ = true;
}

void batch::drop_lease(row_id row, const lease_record& held) {
  txn_.erase(tables_.lease, row_key(row));
  // The index may hold an earlier time than the lease: renewals do not move it. The sweep drops
  // entries whose lease is gone.
  txn_.erase(tables_.expiry, time_key(held.expires_at, row));
}

refusal batch::superseded(const lease& held) const {
  const auto stored = read_.lease(held.row);
  auto text = "the lease of '" + held.id + "' with fence "
              + std::to_string(static_cast<std::uint64_t>(held.fence)) + " is not the live one";
  if (!stored) {
    text += "; nobody holds the row";
  } else if (stored->fence == held.fence) {
    text += "; it has expired";
  } else {
    text += "; fence " + std::to_string(static_cast<std::uint64_t>(stored->fence)) + " is held by "
            + read_.name(stored->owner);
  }
  return {ec::lease_superseded, std::move(text)};
}

checked<batch::row_state> batch::held_row(const lease& held) const {
  const rules::presented_lease presented{read_.find_name(name_kind::owner, held.holder.name),
                                         held.holder.incarnation, held.token, held.fence};
  if (!rules::still_holds(read_.lease(held.row), presented, context_.now)) {
    return superseded(held);
  }
  return row_state{held.row, read_.head(held.row)};
}

answer batch::run(const append_request& x) {
  const auto row = read_.row(x.id);
  if (!row) {
    return refusal{ec::unknown_process, "no process has the id '" + x.id + "'"};
  }
  const auto named
    = !x.type.empty() && x.type.size() <= 64
      && x.type.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") == std::string::npos;
  if (!named || x.type.rfind("process.", 0) == 0) {
    return refusal{ec::bad_request, "type: " + json_quote(x.type.substr(0, 80))
                                      + " is not acceptable, expected 1 to 64 of a-z 0-9 _ . - "
                                        "that do not begin with process."};
  }
  if (x.payload.size() > shared_.opts.event_bytes_max || !nlohmann::json::accept(x.payload)) {
    return refusal{ec::bad_request, "payload: " + std::to_string(x.payload.size())
                                      + " bytes are not acceptable, expected JSON text of at most "
                                      + std::to_string(shared_.opts.event_bytes_max) + " bytes"};
  }
  if (x.key.size() > shared_.opts.registration.id_bytes_max) {
    return refusal{ec::bad_request, "key: longer than "
                                      + std::to_string(shared_.opts.registration.id_bytes_max)
                                      + " bytes"};
  }
  if (x.fenced) {
    if (x.held.row != *row) {
      return refusal{ec::lease_superseded, "the lease is of another process"};
    }
    if (auto held = held_row(x.held); !held) {
      return held.why();
    }
  }
  const auto hash = x.key.empty() ? std::string{} : short_hash(x.type + '\0' + x.payload);
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
  row_state state{*row, read_.head(*row)};
  if (state.head.state == process_state::finished) {
    return refusal{ec::already_terminal, "'" + x.id + "' has its outcome"};
  }
  if (state.head.last_seq >= shared_.opts.events_max) {
    return refusal{ec::overloaded, "'" + x.id + "' has as many events as store.events_max allows ("
                                     + std::to_string(shared_.opts.events_max) + ")"};
  }
  const auto before = counter_of(state.head);
  const auto seq = add_event(state, x.type, x.payload, x.key);
  if (!x.key.empty()) {
    txn_.put(tables_.event_key, idempotency_key(*row, x.key), encode(event_key_record{seq, hash}));
  }
  save(state, before);
  return event{seq, context_.now, x.type, x.payload, x.key};
}

} // namespace belay::storage
