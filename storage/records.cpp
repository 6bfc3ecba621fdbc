#include "storage/records.hpp"

#include "storage/codec.hpp"
#include "storage/store.hpp"

namespace belay::storage {

namespace {

/// The first byte of every record; a record of another version is a fault, because the format
/// version in `meta` said otherwise.
constexpr std::uint8_t record_version = 1;
constexpr std::uint8_t cancel_flag = 1;
constexpr std::uint8_t kill_flag = 2;
constexpr std::uint8_t finished_base = 16;
constexpr std::size_t short_hash_bytes = 16;

byte_reader open_record(std::string_view bytes, const char* table) {
  auto in = byte_reader::of_record(bytes, table);
  if (in.u8() != record_version) {
    throw error{error_kind::fault,
                std::string{"a record of table "} + table + " has an unknown version"};
  }
  return in;
}

void write(byte_writer& out, const stored_text& x) {
  out.u8(x.in_file ? 1 : 0).text(x.content);
}

stored_text read_text(byte_reader& in) {
  stored_text x;
  x.in_file = in.u8() != 0;
  x.content = in.text();
  return x;
}

} // namespace

std::string encode(const head_record& x) {
  const auto flags = (x.cancel_requested ? cancel_flag : 0) | (x.kill_requested ? kill_flag : 0);
  return byte_writer{}
    .u8(record_version)
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
    .record();
}

head_record decode_head(std::string_view bytes) {
  auto in = open_record(bytes, "head");
  head_record x;
  x.state = static_cast<process_state>(in.u8());
  x.ended = static_cast<outcome_kind>(in.u8());
  x.rule = static_cast<recovery_rule>(in.u8());
  const auto flags = in.u8();
  x.cancel_requested = (flags & cancel_flag) != 0;
  x.kill_requested = (flags & kill_flag) != 0;
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
  return x;
}

std::string encode(const lease_record& x) {
  return byte_writer{}
    .u8(record_version)
    .u32(x.owner)
    .u64(x.incarnation)
    .u64(x.token.high)
    .u64(x.token.low)
    .u64(static_cast<std::uint64_t>(x.fence))
    .i64(x.claimed_at)
    .i64(x.expires_at)
    .record();
}

lease_record decode_lease(std::string_view bytes) {
  auto in = open_record(bytes, "lease");
  lease_record x;
  x.owner = in.u32();
  x.incarnation = in.u64();
  x.token.high = in.u64();
  x.token.low = in.u64();
  x.fence = fencing_token{in.u64()};
  x.claimed_at = in.i64();
  x.expires_at = in.i64();
  return x;
}

std::string encode(const body_record& x) {
  byte_writer out;
  out.u8(record_version).text(x.id).text(x.hash);
  write(out, x.registration);
  return out.record();
}

body_record decode_body(std::string_view bytes) {
  auto in = open_record(bytes, "body");
  body_record x;
  x.id = in.text();
  x.hash = in.text();
  x.registration = read_text(in);
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

std::string encode_number(std::uint64_t x) {
  return byte_writer{}.u64(x).record();
}

std::uint64_t decode_number(std::string_view bytes, const char* table) {
  return byte_reader::of_record(bytes, table).u64();
}

std::string row_key(row_id row) {
  return byte_writer{}.u64(static_cast<std::uint64_t>(row)).key();
}

row_id row_of(std::string_view key) {
  return row_id{byte_reader{key}.u64()};
}

std::string event_key(row_id row, event_seq seq) {
  return byte_writer{}.u64(static_cast<std::uint64_t>(row)).u64(seq).key();
}

std::string idempotency_key(row_id row, std::string_view key) {
  return byte_writer{}.u64(static_cast<std::uint64_t>(row)).raw(short_hash(key)).key();
}

std::string time_key(timestamp_ms at, row_id row) {
  return byte_writer{}.i64(at).u64(static_cast<std::uint64_t>(row)).key();
}

std::string encode(const ready_place& x) {
  // Higher priorities first: the key falls as the priority rises.
  constexpr std::int64_t turn = 0x7FFFFFFF;
  return byte_writer{}
    .u32(x.queue)
    .u32(x.kind)
    .u32(static_cast<std::uint32_t>(turn - x.priority))
    .i64(x.due_at)
    .u64(static_cast<std::uint64_t>(x.row))
    .key();
}

ready_place decode_ready(std::string_view key) {
  constexpr std::int64_t turn = 0x7FFFFFFF;
  byte_reader in{key};
  ready_place x;
  x.queue = in.u32();
  x.kind = in.u32();
  x.priority = static_cast<std::int32_t>(turn - static_cast<std::int64_t>(in.u32()));
  x.due_at = in.i64();
  x.row = row_id{in.u64()};
  return x;
}

ready_place place_of(const head_record& head, row_id row) {
  return {head.queue, head.kind, head.priority, head.due_at, row};
}

std::string encode(const counter_key& x) {
  return byte_writer{}.u32(x.queue).u32(x.kind).u8(x.state).key();
}

counter_key decode_counter(std::string_view key) {
  byte_reader in{key};
  counter_key x;
  x.queue = in.u32();
  x.kind = in.u32();
  x.state = in.u8();
  return x;
}

counter_key counter_of(const head_record& head) {
  const auto state = head.state == process_state::finished
                       ? finished_base + static_cast<std::uint8_t>(head.ended)
                       : static_cast<std::uint8_t>(head.state);
  return {head.queue, head.kind, static_cast<std::uint8_t>(state)};
}

std::string counter_word(std::uint8_t state) {
  if (state > finished_base) {
    return to_string(static_cast<outcome_kind>(state - finished_base));
  }
  return to_string(static_cast<process_state>(state));
}

std::string short_hash(std::string_view text) {
  const auto hex = hash_hex(text);
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i < short_hash_bytes; ++i) {
    bytes += static_cast<char>(digit(hex[2 * i]) * 16 + digit(hex[2 * i + 1]));
  }
  return bytes;
}

} // namespace belay::storage
