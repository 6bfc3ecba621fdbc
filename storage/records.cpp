#include "storage/records.hpp"

#include "storage/codec.hpp"
#include "storage/record_parts.hpp"
#include "storage/store.hpp"

namespace belay::storage {

namespace {

/// Heads, leases and bodies have grown since the first format, heads and waits since the second,
/// details since the third.
constexpr std::uint8_t grown_version = 2;
constexpr std::uint8_t head_version = 3;
constexpr std::uint8_t journaled_flag = 1;
constexpr std::uint8_t status_flag = 2;
constexpr std::uint8_t attachments_flag = 4;
constexpr std::uint8_t cancel_seen_flag = 8;
constexpr std::uint8_t keyed_flag = 16;
constexpr std::uint8_t blocked_flag = 32;
constexpr std::uint8_t cancel_flag = 1;
constexpr std::uint8_t kill_flag = 2;
constexpr std::uint8_t abandon_flag = 4;
constexpr std::uint8_t resumed_flag = 8;
constexpr std::uint8_t declares_flag = 16;
constexpr std::uint8_t children_flag = 32;
constexpr std::uint8_t observed_flag = 64;
constexpr std::uint8_t detailed_flag = 128;

/// Opens a record that may be of an earlier format; `version` tells.
byte_reader open_grown(std::string_view bytes, const char* table, std::uint8_t& version,
                       std::uint8_t newest = grown_version) {
  auto in = byte_reader::of_record(bytes, table);
  version = in.u8();
  if (version < record_version || version > newest) {
    unknown_version(table);
  }
  return in;
}

} // namespace

std::string encode(const head_record& x) {
  const auto flags = (x.cancel_requested ? cancel_flag : 0) | (x.kill_requested ? kill_flag : 0)
                     | (x.abandon_requested ? abandon_flag : 0) | (x.resumed ? resumed_flag : 0)
                     | (x.declares ? declares_flag : 0) | (x.has_children ? children_flag : 0)
                     | (x.observed ? observed_flag : 0) | (x.detailed ? detailed_flag : 0);
  const auto more = (x.journaled ? journaled_flag : 0) | (x.has_status ? status_flag : 0)
                    | (x.has_attachments ? attachments_flag : 0)
                    | (x.cancel_seen ? cancel_seen_flag : 0) | (x.keyed ? keyed_flag : 0)
                    | (x.blocked ? blocked_flag : 0);
  return byte_writer{}
    .u8(head_version)
    .u8(static_cast<std::uint8_t>(x.state))
    .u8(static_cast<std::uint8_t>(x.ended))
    .u8(static_cast<std::uint8_t>(x.rule))
    .u8(static_cast<std::uint8_t>(flags))
    .u32(static_cast<std::uint32_t>(x.priority))
    .u32(x.queue)
    .u32(x.kind)
    .i64(x.created_at)
    .i64(x.updated_at)
    .i64(x.due_at)
    .i64(x.started_at)
    .i64(x.finished_at)
    .u32(x.attempt)
    .u32(x.failures)
    .u32(x.interruptions)
    .u64(static_cast<std::uint64_t>(x.fence))
    .u64(x.last_seq)
    .u32(x.retry.attempts)
    .i64(x.retry.backoff_ms)
    .u32(x.retry.factor_permille)
    .i64(x.retry.backoff_max_ms)
    .u64(x.change)
    .u64(static_cast<std::uint64_t>(x.parent))
    .u8(static_cast<std::uint8_t>(x.close))
    .u32(x.attempts_max)
    .u32(x.first_owner)
    .u64(x.first_incarnation)
    .u64(static_cast<std::uint64_t>(x.first_fence))
    .u8(static_cast<std::uint8_t>(more))
    .record();
}

head_record decode_head(std::string_view bytes) {
  std::uint8_t version = 0;
  auto in = open_grown(bytes, "head", version, head_version);
  head_record x;
  x.state = static_cast<process_state>(in.u8());
  x.ended = static_cast<outcome_kind>(in.u8());
  x.rule = static_cast<recovery_rule>(in.u8());
  const auto flags = in.u8();
  x.cancel_requested = (flags & cancel_flag) != 0;
  x.kill_requested = (flags & kill_flag) != 0;
  x.abandon_requested = (flags & abandon_flag) != 0;
  x.resumed = (flags & resumed_flag) != 0;
  x.declares = (flags & declares_flag) != 0;
  x.has_children = (flags & children_flag) != 0;
  x.observed = (flags & observed_flag) != 0;
  x.detailed = (flags & detailed_flag) != 0;
  x.priority = static_cast<std::int32_t>(in.u32());
  x.queue = in.u32();
  x.kind = in.u32();
  x.created_at = in.i64();
  x.updated_at = in.i64();
  x.due_at = in.i64();
  x.started_at = in.i64();
  x.finished_at = in.i64();
  x.attempt = in.u32();
  x.failures = in.u32();
  x.interruptions = in.u32();
  x.fence = fencing_token{in.u64()};
  x.last_seq = in.u64();
  x.retry.attempts = in.u32();
  x.retry.backoff_ms = in.i64();
  x.retry.factor_permille = in.u32();
  x.retry.backoff_max_ms = in.i64();
  if (version >= grown_version) {
    x.change = in.u64();
    x.parent = row_id{in.u64()};
    x.close = static_cast<close_policy>(in.u8());
    x.attempts_max = in.u32();
    x.first_owner = in.u32();
    x.first_incarnation = in.u64();
    x.first_fence = fencing_token{in.u64()};
  }
  if (version >= head_version) {
    const auto more = in.u8();
    x.journaled = (more & journaled_flag) != 0;
    x.has_status = (more & status_flag) != 0;
    x.has_attachments = (more & attachments_flag) != 0;
    x.cancel_seen = (more & cancel_seen_flag) != 0;
    x.keyed = (more & keyed_flag) != 0;
    x.blocked = (more & blocked_flag) != 0;
  }
  return x;
}

std::string encode(const lease_record& x) {
  return byte_writer{}
    .u8(grown_version)
    .u32(x.owner)
    .u64(x.incarnation)
    .u64(x.token.high)
    .u64(x.token.low)
    .u64(static_cast<std::uint64_t>(x.fence))
    .i64(x.claimed_at)
    .i64(x.expires_at)
    .i64(x.indexed_at)
    .record();
}

lease_record decode_lease(std::string_view bytes) {
  std::uint8_t version = 0;
  auto in = open_grown(bytes, "lease", version);
  lease_record x;
  x.owner = in.u32();
  x.incarnation = in.u64();
  x.token.high = in.u64();
  x.token.low = in.u64();
  x.fence = fencing_token{in.u64()};
  x.claimed_at = in.i64();
  x.expires_at = in.i64();
  x.indexed_at = version == grown_version ? in.i64() : x.expires_at;
  return x;
}

std::string encode(const body_record& x) {
  byte_writer out;
  out.u8(grown_version).text(x.id).text(x.hash);
  write(out, x.registration);
  out.text(x.originator).text(x.label).text(x.definition);
  out.u32(static_cast<std::uint32_t>(x.labels.size()));
  for (const auto& [key, value] : x.labels) {
    out.text(key).text(value);
  }
  return out.record();
}

body_record decode_body(std::string_view bytes) {
  std::uint8_t version = 0;
  auto in = open_grown(bytes, "body", version);
  body_record x;
  x.id = in.text();
  x.hash = in.text();
  x.registration = read_text(in);
  if (version == grown_version) {
    x.originator = in.text();
    x.label = in.text();
    x.definition = in.text();
    for (auto left = in.u32(); left > 0; --left) {
      std::string key{in.text()};
      x.labels[std::move(key)] = in.text();
    }
  }
  return x;
}

std::string encode(const event_record& x) {
  byte_writer out;
  out.u8(record_version).i64(x.at).text(x.type).text(x.key);
  write(out, x.payload);
  return out.record();
}

event_record decode_event(std::string_view bytes) {
  auto in = open_record(bytes, "event");
  event_record x;
  x.at = in.i64();
  x.type = in.text();
  x.key = in.text();
  x.payload = read_text(in);
  return x;
}

std::string encode(const event_key_record& x) {
  return byte_writer{}.u8(record_version).u64(x.seq).raw(x.payload_hash).record();
}

event_key_record decode_event_key(std::string_view bytes) {
  auto in = open_record(bytes, "event_key");
  event_key_record x;
  x.seq = in.u64();
  x.payload_hash = in.raw(short_hash_bytes);
  return x;
}

std::string encode(const outcome_record& x) {
  byte_writer out;
  out.u8(record_version)
    .u8(static_cast<std::uint8_t>(x.kind))
    .u64(static_cast<std::uint64_t>(x.fence));
  write(out, x.text);
  return out.record();
}

outcome_record decode_outcome(std::string_view bytes) {
  auto in = open_record(bytes, "outcome");
  outcome_record x;
  x.kind = static_cast<outcome_kind>(in.u8());
  x.fence = fencing_token{in.u64()};
  x.text = read_text(in);
  return x;
}

std::string encode(const detail_record& x) {
  return byte_writer{}
    .u8(grown_version)
    .text(x.wake_session)
    .text(x.external_ref)
    .text(x.abandon)
    .text(x.concurrency_key)
    .text(x.traceparent)
    .record();
}

detail_record decode_detail(std::string_view bytes) {
  std::uint8_t version = 0;
  auto in = open_grown(bytes, "detail", version);
  detail_record x;
  x.wake_session = in.text();
  x.external_ref = in.text();
  x.abandon = in.text();
  if (version >= grown_version) {
    x.concurrency_key = in.text();
    x.traceparent = in.text();
  }
  return x;
}

std::string encode(const wait_record& x) {
  byte_writer out;
  out.u8(grown_version)
    .u8(static_cast<std::uint8_t>(x.kind))
    .text(x.name)
    .u64(x.ordinal)
    .u64(static_cast<std::uint64_t>(x.target))
    .i64(x.since)
    .i64(x.deadline)
    .text(x.woken);
  write(out, x.outcome);
  out.u64(static_cast<std::uint64_t>(x.fence)).u64(x.remaining);
  out.u32(static_cast<std::uint32_t>(x.also.size()));
  for (const auto& one : x.also) {
    out.u8(static_cast<std::uint8_t>(one.kind))
      .text(one.name)
      .u64(one.ordinal)
      .u64(static_cast<std::uint64_t>(one.target))
      .i64(one.deadline);
  }
  return out.record();
}

wait_record decode_wait(std::string_view bytes) {
  std::uint8_t version = 0;
  auto in = open_grown(bytes, "wait", version);
  wait_record x;
  x.kind = static_cast<wait_kind>(in.u8());
  x.name = in.text();
  x.ordinal = in.u64();
  x.target = row_id{in.u64()};
  x.since = in.i64();
  x.deadline = in.i64();
  x.woken = in.text();
  x.outcome = read_text(in);
  x.fence = fencing_token{in.u64()};
  x.remaining = in.u64();
  for (auto left = version >= grown_version ? in.u32() : 0; left > 0; --left) {
    awaited one;
    one.kind = static_cast<wait_kind>(in.u8());
    one.name = in.text();
    one.ordinal = in.u64();
    one.target = row_id{in.u64()};
    one.deadline = in.i64();
    x.also.push_back(std::move(one));
  }
  return x;
}

std::vector<awaited> conditions_of(const wait_record& x) {
  std::vector<awaited> all{{x.kind, x.name, x.ordinal, x.target, x.deadline}};
  all.insert(all.end(), x.also.begin(), x.also.end());
  return all;
}

timestamp_ms alarm_of(const wait_record& x) {
  auto earliest = x.deadline;
  for (const auto& one : x.also) {
    if (one.deadline != 0 && (earliest == 0 || one.deadline < earliest)) {
      earliest = one.deadline;
    }
  }
  return earliest;
}

std::string encode(const observer_record& x) {
  return byte_writer{}.u8(record_version).text(x.session).i64(x.since).record();
}

observer_record decode_observer(std::string_view bytes) {
  auto in = open_record(bytes, "observer");
  observer_record x;
  x.session = in.text();
  x.since = in.i64();
  return x;
}

std::string encode(const wake_record& x) {
  byte_writer out;
  out.u8(record_version)
    .u64(static_cast<std::uint64_t>(x.row))
    .u64(x.seq)
    .text(x.session)
    .text(x.event_type);
  write(out, x.input);
  return out.u8(static_cast<std::uint8_t>(x.state))
    .u32(x.attempts)
    .i64(x.created_at)
    .i64(x.next_at)
    .u64(x.token)
    .text(x.reason)
    .record();
}

wake_record decode_wake(std::string_view bytes) {
  auto in = open_record(bytes, "wake");
  wake_record x;
  x.row = row_id{in.u64()};
  x.seq = in.u64();
  x.session = in.text();
  x.event_type = in.text();
  x.input = read_text(in);
  x.state = static_cast<wake_state>(in.u8());
  x.attempts = in.u32();
  x.created_at = in.i64();
  x.next_at = in.i64();
  x.token = in.u64();
  x.reason = in.text();
  return x;
}

bool is_open(wake_state state) {
  return state == wake_state::pending || state == wake_state::taken
         || state == wake_state::undeliverable;
}

bool is_moving(wake_state state) {
  return state == wake_state::pending || state == wake_state::taken;
}

std::string encode(const change_record& x) {
  return byte_writer{}
    .u8(record_version)
    .u64(static_cast<std::uint64_t>(x.row))
    .text(x.pruned)
    .record();
}

change_record decode_change(std::string_view bytes) {
  auto in = open_record(bytes, "change");
  change_record x;
  x.row = row_id{in.u64()};
  x.pruned = in.text();
  return x;
}

std::string encode(const tombstone_record& x) {
  return byte_writer{}
    .u8(record_version)
    .u64(static_cast<std::uint64_t>(x.row))
    .u8(static_cast<std::uint8_t>(x.ended))
    .i64(x.pruned_at)
    .u64(x.change)
    .u64(static_cast<std::uint64_t>(x.fence))
    .record();
}

tombstone_record decode_tombstone(std::string_view bytes) {
  auto in = open_record(bytes, "tombstone");
  tombstone_record x;
  x.row = row_id{in.u64()};
  x.ended = static_cast<outcome_kind>(in.u8());
  x.pruned_at = in.i64();
  x.change = in.u64();
  x.fence = fencing_token{in.u64()};
  return x;
}

std::string encode(const queue_record& x) {
  return byte_writer{}
    .u8(record_version)
    .u8(x.limits.paused ? 1 : 0)
    .u32(x.limits.concurrency_max)
    .u32(x.limits.per_key_max)
    .u32(x.limits.rate)
    .i64(x.limits.rate_period_ms)
    .u32(x.limits.burst)
    .i64(x.expected_us)
    .u8(x.recheck ? 1 : 0)
    .record();
}

queue_record decode_queue(std::string_view bytes) {
  auto in = open_record(bytes, "queue");
  queue_record x;
  x.limits.paused = in.u8() != 0;
  x.limits.concurrency_max = in.u32();
  x.limits.per_key_max = in.u32();
  x.limits.rate = in.u32();
  x.limits.rate_period_ms = in.i64();
  x.limits.burst = in.u32();
  x.expected_us = in.i64();
  x.recheck = in.u8() != 0;
  return x;
}

std::string encode_number(std::uint64_t x) {
  return byte_writer{}.u64(x).record();
}

std::uint64_t decode_number(std::string_view bytes, const char* table) {
  return byte_reader::of_record(bytes, table).u64();
}

std::string encode_name(std::string_view text) {
  return byte_writer{}.text(text).record();
}

} // namespace belay::storage
