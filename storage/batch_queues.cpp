// Queues: pauses, bounds on what runs at once, rates, and rows that stand aside because of them.
#include "storage/batch.hpp"
#include "storage/codec.hpp"
#include "storage/rules.hpp"

namespace belay::storage {

namespace {

/// Rows that one transaction lets go after a bound was changed, about a tenth of a second of it.
constexpr std::size_t unblock_max = 10'000;
/// Minutes of failures that are kept: an hour, and the one that has begun.
constexpr std::uint64_t minutes_kept = 60;

} // namespace

batch::queue_state& batch::queue_of(name_id queue) {
  const auto known = queues_.find(queue);
  if (known != queues_.end()) {
    return known->second;
  }
  queue_state x;
  x.record = read_.queue(queue);
  if (x.record.limits.concurrency_max != 0) {
    x.running = count_running(queue);
  }
  return queues_.emplace(queue, x).first->second;
}

std::uint64_t batch::count_running(name_id queue) const {
  constexpr auto running = static_cast<std::uint8_t>(process_state::running);
  std::uint64_t sum = 0;
  const auto prefix = queue_prefix(queue);
  cursor all{txn_, tables_.counter};
  for (auto found = all.seek(prefix); found && all.key().starts_with(prefix); found = all.next()) {
    sum += decode_counter(all.key()).state == running ? decode_number(all.value(), "counter") : 0;
  }
  for (const auto& [key, delta] : counters_) {
    sum += key.queue == queue && key.state == running ? static_cast<std::uint64_t>(delta) : 0;
  }
  return sum;
}

void batch::queue_follows(const row_state& x, const std::optional<counter_key>& before) {
  const auto was_running
    = before && before->state == static_cast<std::uint8_t>(process_state::running);
  const auto is_running = x.head.state == process_state::running;
  const auto& limits = queue_of(x.head.queue).record.limits;
  if (was_running && !is_running && limits.concurrency_max != 0) {
    ready_changed_ = true; // Another of the queue may run in its place.
  }
  if (!x.head.keyed) {
    return;
  }
  const auto key = queue_key(x.head.queue, read_.detail(x.row).concurrency_key);
  if (was_running != is_running) {
    const auto running = read_.running_with(key) + (is_running ? 1 : -1);
    if (running == 0) {
      txn_.erase(tables_.key_running, key);
    } else {
      txn_.put(tables_.key_running, key, encode_number(running));
    }
  }
  if (limits.per_key_max != 0) {
    unblock(key, limits.per_key_max);
  }
}

bool batch::lets_claim(const queue_state& x) {
  const auto& limits = x.record.limits;
  return !limits.paused && (limits.concurrency_max == 0 || x.running < limits.concurrency_max);
}

std::int64_t batch::rate_opens_at(const queue_state& x) const {
  if (x.record.limits.rate == 0) {
    return 0;
  }
  const auto at = rules::rate_allows_at(x.record.limits, x.record.expected_us);
  return at <= context_.now * rules::us_per_ms ? 0 : at;
}

void batch::charge(queue_state& x) {
  if (x.record.limits.rate != 0) {
    x.record.expected_us = rules::expected_after_claim(x.record.limits, x.record.expected_us,
                                                       context_.now * rules::us_per_ms);
    x.changed = true;
  }
}

bool batch::block(const queue_state& queue, const ready_place& place) {
  const auto most = queue.record.limits.per_key_max;
  if (most == 0) {
    return false;
  }
  auto head = read_.head(place.row);
  if (!head.keyed) {
    return false;
  }
  const auto key = read_.detail(place.row).concurrency_key;
  if (read_.running_with(queue_key(place.queue, key)) < most) {
    return false;
  }
  head.blocked = true;
  txn_.put(tables_.head, row_key(place.row), encode(head));
  txn_.erase(tables_.ready, encode(place));
  txn_.put(tables_.blocked, blocked_key(key, place), {});
  return true;
}

void batch::unblock_one(std::string_view key) {
  const std::string from{key}; // The key is read from the table that is about to change.
  const auto place = decode_blocked(from);
  auto head = read_.head(place.row);
  head.blocked = false;
  txn_.put(tables_.head, row_key(place.row), encode(head));
  txn_.erase(tables_.blocked, from);
  txn_.put(tables_.ready, encode(place), {});
  ready_changed_ = true;
  unblocked_ = true;
}

void batch::unblock(const std::string& key, std::uint32_t per_key_max) {
  const auto running = read_.running_with(key);
  // Of each kind: who runs the kind of the first may not be here.
  std::uint64_t free = 0;
  std::optional<name_id> kind;
  cursor all{txn_, tables_.blocked};
  auto found = running < per_key_max && all.seek(key);
  while (found && all.key().starts_with(key)) {
    const auto place = decode_blocked(all.key());
    if (kind != place.kind) {
      kind = place.kind;
      free = per_key_max - running;
    }
    if (free > 0) {
      --free;
      unblock_one(all.key());
      found = all.seek(key + encode(place).substr(sizeof(name_id)));
    } else {
      found = all.seek(key + byte_writer{}.u32(place.kind + 1).key());
    }
  }
}

bool batch::unblock_all(name_id queue, std::size_t max) {
  const auto prefix = queue_prefix(queue);
  cursor all{txn_, tables_.blocked};
  auto found = all.seek(prefix);
  for (; found && all.key().starts_with(prefix) && max > 0; --max) {
    unblock_one(all.key());
    found = all.seek(prefix);
  }
  return !found || !all.key().starts_with(prefix);
}

void batch::recheck_queues() {
  std::vector<name_id> queues;
  {
    cursor all{txn_, tables_.queue};
    for (auto found = all.first(); found; found = all.next()) {
      if (decode_queue(all.value()).recheck) {
        queues.push_back(static_cast<name_id>(byte_reader{all.key()}.u64()));
      }
    }
  }
  for (const auto id : queues) {
    auto& queue = queue_of(id);
    if (queue.record.recheck) {
      queue.record.recheck = !unblock_all(id, unblock_max);
      queue.changed = true;
      ready_changed_ = ready_changed_ || queue.record.recheck;
    }
  }
}

answer batch::run(const queue_request& x) {
  const auto known = read_.find_name(name_kind::queue, x.queue);
  const auto before = known ? queue_of(*known).record.limits : queue_limits{};
  const auto limits = changed_limits(before, x);
  if (!limits) {
    return limits.why();
  }
  if (*limits == before) {
    return queue_settings{known.has_value(), before};
  }
  if (!known) {
    if (auto no = may_name({name_key(name_kind::queue, x.queue)})) {
      return *no;
    }
  }
  const auto id = intern(name_kind::queue, x.queue);
  auto& queue = queue_of(id);
  auto& record = queue.record;
  record.limits = *limits;
  record.expected_us
    = rules::expected_after_change(*limits, record.expected_us, context_.now * rules::us_per_ms);
  queue.running = limits->concurrency_max == 0 ? 0 : count_running(id);
  if (before.per_key_max != 0
      && (limits->per_key_max == 0 || limits->per_key_max > before.per_key_max)) {
    record.recheck = !unblock_all(id, unblock_max);
  }
  queue.changed = true;
  ready_changed_ = true;
  return queue_settings{known.has_value(), *limits};
}

void batch::write_queues() {
  for (const auto& [id, queue] : queues_) {
    if (!queue.changed) {
      continue;
    }
    const auto key = row_key(row_id{id});
    const auto& record = queue.record;
    if (record.limits == queue_limits{} && !record.recheck) {
      txn_.erase(tables_.queue, key);
    } else {
      txn_.put(tables_.queue, key, encode(record));
    }
  }
  const auto minute = minute_of(context_.now);
  for (const auto& [id, number] : failed_) {
    if (number == 0) {
      continue;
    }
    const auto key = failed_key(id, minute);
    const auto stored = txn_.get(tables_.failed, key);
    const auto before = stored ? decode_number(*stored, "failed") : 0;
    txn_.put(tables_.failed, key, encode_number(before + number));
    const auto oldest = failed_key(id, minute - std::min(minute, minutes_kept));
    for (const auto& old : keys_of(tables_.failed, queue_prefix(id))) {
      if (old < oldest) {
        txn_.erase(tables_.failed, old);
      }
    }
  }
}

} // namespace belay::storage
