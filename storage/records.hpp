// What stands in the tables: keys and records (byte by byte in docs/FORMAT.md).
#pragma once

#include "messages/event.hpp"
#include "messages/lease.hpp"
#include "messages/process_view.hpp"
#include "messages/registration.hpp"

#include <string>
#include <string_view>

namespace belay::storage {

/// An interned name: queue, kind or owner.
using name_id = std::uint32_t;

/// What changes often about a process.
struct head_record {
  process_state state = process_state::ready;
  outcome_kind ended = outcome_kind::success;
  recovery_rule rule{};
  bool cancel_requested = false;
  bool kill_requested = false;
  std::int32_t priority = 0;
  name_id queue = 0;
  name_id kind = 0;
  timestamp_ms created_at = 0;
  timestamp_ms updated_at = 0;
  /// Not claimed before; at registration the due time asked for, or the time of registration.
  timestamp_ms due_at = 0;
  timestamp_ms started_at = 0;
  timestamp_ms finished_at = 0;
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;
  std::uint32_t interruptions = 0;
  fencing_token fence{};
  event_seq last_seq = 0;
  retry_policy retry;
};

[[nodiscard]] std::string encode(const head_record& x);
[[nodiscard]] head_record decode_head(std::string_view bytes);

/// A live lease; there is none when nobody holds the row. The fence outlives it in the head.
struct lease_record {
  name_id owner = 0;
  std::uint64_t incarnation = 0;
  lease_token token;
  fencing_token fence{};
  timestamp_ms claimed_at = 0;
  timestamp_ms expires_at = 0;
};

[[nodiscard]] std::string encode(const lease_record& x);
[[nodiscard]] lease_record decode_lease(std::string_view bytes);

/// A text, in the record itself or in a file beside the store (then `content` is its SHA-256).
struct stored_text {
  bool in_file = false;
  std::string content;
};

/// What never changes about a process.
struct body_record {
  process_id id;
  /// Hex SHA-256 of the canonical registration.
  std::string hash;
  stored_text registration;
};

[[nodiscard]] std::string encode(const body_record& x);
[[nodiscard]] body_record decode_body(std::string_view bytes);

struct event_record {
  timestamp_ms at = 0;
  std::string type;
  std::string key;
  stored_text payload;
};

[[nodiscard]] std::string encode(const event_record& x);
[[nodiscard]] event_record decode_event(std::string_view bytes);

/// Where an idempotency key was used, and for what.
struct event_key_record {
  event_seq seq = 0;
  /// The first 16 bytes of the SHA-256 of type and payload.
  std::string payload_hash;
};

[[nodiscard]] std::string encode(const event_key_record& x);
[[nodiscard]] event_key_record decode_event_key(std::string_view bytes);

struct outcome_record {
  outcome_kind kind = outcome_kind::success;
  /// The fence of the lease under which it was written; 0 when there was none.
  fencing_token fence{};
  stored_text text;
};

[[nodiscard]] std::string encode(const outcome_record& x);
[[nodiscard]] outcome_record decode_outcome(std::string_view bytes);

/// A number with its checksum: counters, incarnations, names, meta.
[[nodiscard]] std::string encode_number(std::uint64_t x);
[[nodiscard]] std::uint64_t decode_number(std::string_view bytes, const char* table);

// -- keys ---------------------------------------------------------------------------------------

[[nodiscard]] std::string row_key(row_id row);
[[nodiscard]] row_id row_of(std::string_view key);
[[nodiscard]] std::string event_key(row_id row, event_seq seq);
[[nodiscard]] std::string idempotency_key(row_id row, std::string_view key);
[[nodiscard]] std::string time_key(timestamp_ms at, row_id row);

/// A place in `ready`: group by queue and kind, then priority (high first), due time, row.
struct ready_place {
  name_id queue = 0;
  name_id kind = 0;
  std::int32_t priority = 0;
  timestamp_ms due_at = 0;
  row_id row{};
};

[[nodiscard]] std::string encode(const ready_place& x);
[[nodiscard]] ready_place decode_ready(std::string_view key);
[[nodiscard]] ready_place place_of(const head_record& head, row_id row);

/// A counter's key: queue, kind, and the state (of a finished process: 16 + the outcome).
struct counter_key {
  name_id queue = 0;
  name_id kind = 0;
  std::uint8_t state = 0;

  friend auto operator<=>(const counter_key&, const counter_key&) = default;
};

[[nodiscard]] std::string encode(const counter_key& x);
[[nodiscard]] counter_key decode_counter(std::string_view key);
[[nodiscard]] counter_key counter_of(const head_record& head);
/// Returns the word under which a counter's state is shown.
[[nodiscard]] std::string counter_word(std::uint8_t state);

/// Returns the first 16 bytes of the SHA-256 of text.
[[nodiscard]] std::string short_hash(std::string_view text);

} // namespace belay::storage
