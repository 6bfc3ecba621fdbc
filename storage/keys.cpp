// The keys of the tables.
#include "storage/codec.hpp"
#include "storage/records.hpp"

namespace belay::storage {

namespace {

constexpr std::uint8_t finished_base = 16;

} // namespace

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

std::string pair_key(std::uint64_t first, std::uint64_t second) {
  return byte_writer{}.u64(first).u64(second).key();
}

std::string attachment_key(row_id row, std::string_view hash) {
  return byte_writer{}
    .u64(static_cast<std::uint64_t>(row))
    .raw(from_hex(hash).substr(0, short_hash_bytes))
    .key();
}

std::string timer_key(timestamp_ms at, row_id row, std::uint64_t what) {
  return byte_writer{}.i64(at).u64(static_cast<std::uint64_t>(row)).u64(what).key();
}

std::string type_key(row_id row, std::string_view type, event_seq seq) {
  constexpr std::size_t hash_bytes = 8;
  return byte_writer{}
    .u64(static_cast<std::uint64_t>(row))
    .raw(short_hash(type).substr(0, hash_bytes))
    .u64(seq)
    .key();
}

std::string session_key(std::string_view session, session_role role, row_id row) {
  return byte_writer{}
    .raw(short_hash(session))
    .u8(static_cast<std::uint8_t>(role))
    .u64(static_cast<std::uint64_t>(row))
    .key();
}

std::string wake_open_key(std::string_view session, wake_id id) {
  return byte_writer{}.raw(short_hash(session)).u64(static_cast<std::uint64_t>(id)).key();
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

std::string queue_prefix(name_id queue) {
  return byte_writer{}.u32(queue).key();
}

std::string queue_key(name_id queue, std::string_view concurrency_key) {
  return byte_writer{}.u32(queue).raw(short_hash(concurrency_key)).key();
}

std::uint64_t minute_of(timestamp_ms at) {
  constexpr timestamp_ms minute = 60'000;
  return static_cast<std::uint64_t>(at / minute);
}

std::string failed_key(name_id queue, std::uint64_t minute) {
  return byte_writer{}.u32(queue).u64(minute).key();
}

std::string blocked_key(std::string_view concurrency_key, const ready_place& place) {
  // The queue stands before the concurrency key, the rest of the place behind it.
  return queue_key(place.queue, concurrency_key) + encode(place).substr(sizeof(name_id));
}

ready_place decode_blocked(std::string_view key) {
  const auto queue = key.substr(0, sizeof(name_id));
  return decode_ready(std::string{queue}
                      + std::string{key.substr(sizeof(name_id) + short_hash_bytes)});
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
