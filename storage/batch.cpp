#include "storage/batch.hpp"

#include "messages/json_strict.hpp"

#include <cassert>
#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

/// The stored time may lag behind by this much, so that not every batch rewrites it.
constexpr timestamp_ms time_step_ms = 1'000;

} // namespace

std::string json_text(const nlohmann::json& x) {
  return x.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<refusal>
check_text(const char* field, const std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max && is_plain_text(text)) {
    return std::nullopt;
  }
  return bad_value(field, text,
                   "at most " + std::to_string(bytes_max)
                     + " bytes of UTF-8 without control characters");
}

std::string json_quote(std::string_view text) {
  return json_text(nlohmann::json(std::string{text}));
}

batch::batch(const batch_environment& shared, transaction& txn, const batch_context& context)
  : shared_{shared},
    tables_{shared.tables},
    txn_{txn},
    context_{context},
    read_{txn, shared.tables, shared.blobs},
    next_row_{open_number(meta_keys::next_row)},
    next_name_{open_number(meta_keys::next_name)},
    next_change_{open_number(meta_keys::next_change)},
    next_wake_{open_number(meta_keys::next_wake)},
    open_wakes_{open_number(meta_keys::open_wakes)},
    fence_floor_{open_number(meta_keys::fence_floor)},
    names_{shared.names},
    stored_time_{static_cast<timestamp_ms>(read_.meta(meta_keys::time))} {}

batch::meta_number batch::open_number(std::string_view key) const {
  const auto value = read_.meta(key);
  return {key, value, value};
}

answer batch::apply(const operation& op) {
  auto result = std::visit([this](const auto& x) { return run(x); }, op);
  settle();
  return result;
}

void batch::finish() {
  for (const auto& [row, remaining] : countdowns_) {
    auto wait = *read_.waiting(row);
    wait.remaining = remaining;
    txn_.put(tables_.wait, row_key(row), encode(wait));
  }
  for (const auto& [key, delta] : counters_) {
    if (delta == 0) {
      continue;
    }
    const auto encoded = encode(key);
    const auto stored = txn_.get(tables_.counter, encoded);
    const auto before = stored ? decode_number(*stored, "counter") : 0;
    txn_.put(tables_.counter, encoded, encode_number(before + static_cast<std::uint64_t>(delta)));
  }
  write_queues();
  for (const auto* number :
       {&next_row_, &next_name_, &next_change_, &next_wake_, &open_wakes_, &fence_floor_}) {
    if (number->value != number->first) {
      txn_.put(tables_.meta, number->key, encode_number(number->value));
    }
  }
  if (txn_.dirty() && context_.now >= stored_time_ + time_step_ms) {
    txn_.put(tables_.meta, meta_keys::time,
             encode_number(static_cast<std::uint64_t>(context_.now)));
  }
}

batch_result batch::take(std::vector<answer> answers) {
  touched_.insert(changed_.begin(), changed_.end());
  return {std::move(answers),
          {touched_.begin(), touched_.end()},
          ready_changed_,
          pushes_,
          std::move(happenings_)};
}

void batch::count(const counter_key& key, std::int64_t delta) {
  counters_[key] += delta;
  const auto queue = queues_.find(key.queue);
  if (queue != queues_.end() && key.state == static_cast<std::uint8_t>(process_state::running)) {
    queue->second.running += static_cast<std::uint64_t>(delta);
  }
}

batch::row_state batch::load(row_id row) const {
  row_state x{row, read_.head(row), std::nullopt};
  x.before = counter_of(x.head);
  return x;
}

checked<batch::row_state> batch::load(std::string_view id) const {
  const auto row = read_.lookup(id);
  if (!row) {
    return row.why();
  }
  return load(*row);
}

void batch::save(row_state& x) {
  const auto after = counter_of(x.head);
  const auto before = x.before;
  if (x.before != after) {
    if (x.before) {
      count(*x.before, -1);
    }
    count(after, 1);
    x.before = after;
  }
  if (changed_.insert(x.row).second) {
    // One place in the change feed for each row: its last change.
    if (x.head.change != 0) {
      txn_.erase(tables_.change, row_key(row_id{x.head.change}));
    }
    x.head.change = next_change_.value++;
    txn_.put(tables_.change, row_key(row_id{x.head.change}), encode(change_record{x.row, {}}));
  }
  txn_.put(tables_.head, row_key(x.row), encode(x.head));
  if (before != after) {
    queue_follows(x, before);
  }
}

event_seq
batch::add_event(row_state& x, std::string type, std::string_view payload, const std::string& key) {
  const auto seq = ++x.head.last_seq;
  x.head.updated_at = context_.now;
  event_record record{context_.now, std::move(type), key, keep(payload)};
  txn_.put(tables_.event, event_key(x.row, seq), encode(record));
  return seq;
}

std::optional<refusal> batch::may_name(const std::set<std::string>& fresh) const {
  if (fresh.empty() || names_ + fresh.size() <= shared_.opts.names_max) {
    return std::nullopt;
  }
  return refusal{ec::bad_request,
                 "queue: there are as many queue and kind names as store.names_max allows ("
                   + std::to_string(shared_.opts.names_max) + ")"};
}

name_id batch::intern(name_kind kind, const std::string& text) {
  if (const auto known = read_.find_name(kind, text)) {
    return *known;
  }
  const auto id = static_cast<name_id>(next_name_.value++);
  txn_.put(tables_.name, name_key(kind, text), encode_number(id));
  txn_.put(tables_.name_text, row_key(row_id{id}), encode_name(text));
  names_ += kind == name_kind::owner ? 0 : 1;
  return id;
}

stored_text batch::keep(std::string_view text) {
  auto stored = shared_.blobs.put(text);
  if (stored.in_file) {
    const auto uses = txn_.get(tables_.blob, stored.content);
    const auto before = uses ? decode_number(*uses, "blob") : 0;
    txn_.put(tables_.blob, stored.content, encode_number(before + 1));
    dropped_blobs_.erase(stored.content);
  }
  return stored;
}

void batch::drop(const stored_text& x) {
  if (!x.in_file) {
    return;
  }
  const auto uses = txn_.get(tables_.blob, x.content);
  const auto before = uses ? decode_number(*uses, "blob") : 1;
  if (before > 1) {
    txn_.put(tables_.blob, x.content, encode_number(before - 1));
  } else {
    txn_.erase(tables_.blob, x.content);
    dropped_blobs_.insert(x.content);
  }
}

std::vector<std::string> batch::keys_of(MDB_dbi table, std::string_view prefix) const {
  std::vector<std::string> keys;
  cursor all{txn_, table};
  for (auto found = all.seek(prefix); found && all.key().substr(0, prefix.size()) == prefix;
       found = all.next()) {
    keys.emplace_back(all.key());
  }
  return keys;
}

void batch::make_ready(row_state& x) {
  x.head.state = process_state::ready;
  txn_.put(tables_.ready, encode(place_of(x.head, x.row)), {});
  ready_changed_ = true;
}

void batch::leave_ready(row_state& x) {
  if (x.head.blocked) {
    txn_.erase(tables_.blocked,
               blocked_key(read_.detail(x.row).concurrency_key, place_of(x.head, x.row)));
    x.head.blocked = false;
  } else if (x.head.state == process_state::ready) {
    txn_.erase(tables_.ready, encode(place_of(x.head, x.row)));
  }
}

void batch::drop_lease(row_id row, const lease_record& held) {
  txn_.erase(tables_.lease, row_key(row));
  txn_.erase(tables_.expiry, time_key(held.indexed_at, row));
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
  return load(held.row);
}

} // namespace belay::storage
