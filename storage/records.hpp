// What stands in the tables: keys and records (byte by byte in docs/FORMAT.md).
#pragma once

#include "messages/event.hpp"
#include "messages/journal.hpp"
#include "messages/lease.hpp"
#include "messages/process_view.hpp"
#include "messages/queues.hpp"
#include "messages/registration.hpp"
#include "messages/sessions.hpp"
#include "messages/waiting.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

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
  bool abandon_requested = false;
  /// Ready again after a wait: the next claim goes on with the same attempt.
  bool resumed = false;
  /// Whether there are declared event types, children, observers, a detail record.
  bool declares = false;
  bool has_children = false;
  bool observed = false;
  bool detailed = false;
  /// Whether there is a journal: its run goes on where it was, and takes part in its own cancel.
  bool journaled = false;
  /// Whether the journal has an entry of kind `cancel`: its code knows, and ends in its own way.
  bool cancel_seen = false;
  /// Whether there is a status record, or attachments.
  bool has_status = false;
  bool has_attachments = false;
  /// Whether its detail record has a concurrency key, and whether it stands in `blocked` instead of
  /// `ready` because of it.
  bool keyed = false;
  bool blocked = false;
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
  /// Its place in the change feed.
  std::uint64_t change = 0;
  /// 0 means none.
  row_id parent{};
  close_policy close = close_policy::cancel;
  /// 0 means no bound.
  std::uint32_t attempts_max = 0;
  /// Who ran it first; 0 when nobody did.
  name_id first_owner = 0;
  std::uint64_t first_incarnation = 0;
  fencing_token first_fence{};
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
  /// Where the expiry index has it: renewals do not move the entry, the sweep does.
  timestamp_ms indexed_at = 0;
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
  /// What lists are filtered by, as the registration says it.
  std::string originator = "host";
  std::string label;
  std::string definition;
  std::map<std::string, std::string> labels;
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

/// What few processes have.
struct detail_record {
  /// The session that its wakes go to; empty means none.
  std::string wake_session;
  /// JSON texts; empty when not set.
  std::string external_ref;
  std::string abandon;
  /// As registered; empty means none.
  std::string concurrency_key;
  std::string traceparent;
};

[[nodiscard]] std::string encode(const detail_record& x);
[[nodiscard]] detail_record decode_detail(std::string_view bytes);

/// One condition of a wait.
struct awaited {
  wait_kind kind = wait_kind::none;
  std::string name;
  std::uint64_t ordinal = 0;
  /// Of a child: its row.
  row_id target{};
  timestamp_ms deadline = 0;
};

/// What a process waits for or, while `woken` is set, waited for until the next claim.
struct wait_record {
  wait_kind kind = wait_kind::none;
  std::string name;
  std::uint64_t ordinal = 0;
  /// Of a child: its row.
  row_id target{};
  timestamp_ms since = 0;
  timestamp_ms deadline = 0;
  /// Why it is ready again, as JSON text.
  std::string woken;
  /// Of `closing`: the outcome that is held back, and the fence it was written under.
  stored_text outcome;
  fencing_token fence{};
  /// How many children must still end: of `closing`, and of a wait for several; else 0.
  std::uint64_t remaining = 0;
  /// What else wakes it.
  std::vector<awaited> also;
};

/// Every condition of a wait, the first included.
[[nodiscard]] std::vector<awaited> conditions_of(const wait_record& x);
/// The earliest deadline of a wait; 0 when it has none.
[[nodiscard]] timestamp_ms alarm_of(const wait_record& x);

[[nodiscard]] std::string encode(const wait_record& x);
[[nodiscard]] wait_record decode_wait(std::string_view bytes);

struct observer_record {
  std::string session;
  timestamp_ms since = 0;
};

[[nodiscard]] std::string encode(const observer_record& x);
[[nodiscard]] observer_record decode_observer(std::string_view bytes);

struct wake_record {
  row_id row{};
  event_seq seq = 0;
  std::string session;
  std::string event_type;
  stored_text input;
  wake_state state = wake_state::pending;
  std::uint32_t attempts = 0;
  timestamp_ms created_at = 0;
  timestamp_ms next_at = 0;
  std::uint64_t token = 0;
  std::string reason;
};

[[nodiscard]] std::string encode(const wake_record& x);
[[nodiscard]] wake_record decode_wake(std::string_view bytes);

/// Whether a wake may still reach its session, or holds back later ones.
[[nodiscard]] bool is_open(wake_state state);

/// Whether a wake is on its way, and so can grow too old: pending or taken.
[[nodiscard]] bool is_moving(wake_state state);

/// An entry of the change feed: a row or, of a pruned one, its id.
struct change_record {
  row_id row{};
  process_id pruned;
};

[[nodiscard]] std::string encode(const change_record& x);
[[nodiscard]] change_record decode_change(std::string_view bytes);

struct tombstone_record {
  row_id row{};
  outcome_kind ended = outcome_kind::success;
  timestamp_ms pruned_at = 0;
  std::uint64_t change = 0;
  fencing_token fence{};
};

[[nodiscard]] std::string encode(const tombstone_record& x);
[[nodiscard]] tombstone_record decode_tombstone(std::string_view bytes);

/// An entry of a workflow's journal; its number stands in the key.
struct journal_record {
  effect_kind kind = effect_kind::step;
  std::string scope;
  std::string name;
  std::uint32_t ordinal = 0;
  std::string input_hash;
  std::uint64_t done = 0;
  stored_text result;
};

[[nodiscard]] std::string encode(const journal_record& x);
[[nodiscard]] journal_record decode_journal(std::string_view bytes);

/// What a run last said of itself.
[[nodiscard]] std::string encode_status(const stored_text& x);
[[nodiscard]] stored_text decode_status(std::string_view bytes);

/// Attached bytes; the first 16 bytes of their SHA-256 stand in the key.
struct attachment_record {
  /// Hex SHA-256.
  std::string hash;
  std::string name;
  std::uint64_t bytes = 0;
  stored_text content;
};

[[nodiscard]] std::string encode(const attachment_record& x);
[[nodiscard]] attachment_record decode_attachment(std::string_view bytes);

/// How a queue is worked off; a queue that nothing was said of has no record.
struct queue_record {
  queue_limits limits;
  /// When the next claim is expected at its rate, in microseconds since 1970; see
  /// `rules::rate_allows_at`.
  std::int64_t expected_us = 0;
  /// Whether rows stand in `blocked` that a changed bound may let go.
  bool recheck = false;
};

[[nodiscard]] std::string encode(const queue_record& x);
[[nodiscard]] queue_record decode_queue(std::string_view bytes);

/// A number with its checksum: counters, incarnations, names, meta.
[[nodiscard]] std::string encode_number(std::uint64_t x);
[[nodiscard]] std::uint64_t decode_number(std::string_view bytes, const char* table);

/// A name with its checksum.
[[nodiscard]] std::string encode_name(std::string_view text);

// -- keys ---------------------------------------------------------------------------------------

[[nodiscard]] std::string row_key(row_id row);
[[nodiscard]] row_id row_of(std::string_view key);
[[nodiscard]] std::string event_key(row_id row, event_seq seq);
[[nodiscard]] std::string idempotency_key(row_id row, std::string_view key);
[[nodiscard]] std::string time_key(timestamp_ms at, row_id row);
/// Two numbers, big-endian: rows, change positions, wakes.
[[nodiscard]] std::string pair_key(std::uint64_t first, std::uint64_t second);
/// Of the table `attachment`, by the hex SHA-256.
[[nodiscard]] std::string attachment_key(row_id row, std::string_view hash);
/// Of the table `timer`: a wait's deadline (`what` 0) or a wake's end (its id).
[[nodiscard]] std::string timer_key(timestamp_ms at, row_id row, std::uint64_t what);
/// Of the table `event_by_type`; without `seq` the prefix of one type.
[[nodiscard]] std::string type_key(row_id row, std::string_view type, event_seq seq);
/// Of the table `session`: what a session has to do with a row.
enum class session_role : char { observer = 'o', target = 'w' };
[[nodiscard]] std::string session_key(std::string_view session, session_role role, row_id row);
[[nodiscard]] std::string wake_open_key(std::string_view session, wake_id id);

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

/// A concurrency key in its queue: the key of `key_running`, and the beginning of those of
/// `blocked`.
[[nodiscard]] std::string queue_key(name_id queue, std::string_view concurrency_key);
/// A place in `blocked`: queue and concurrency key, then as in `ready`.
[[nodiscard]] std::string blocked_key(std::string_view concurrency_key, const ready_place& place);
[[nodiscard]] ready_place decode_blocked(std::string_view key);
/// The minute of a time, counted from 1970.
[[nodiscard]] std::uint64_t minute_of(timestamp_ms at);
/// How many failed in a minute, counted from 1970.
[[nodiscard]] std::string failed_key(name_id queue, std::uint64_t minute);
/// The beginning of all keys of a queue.
[[nodiscard]] std::string queue_prefix(name_id queue);

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

inline constexpr std::size_t short_hash_bytes = 16;
/// Returns the first bytes of the SHA-256 of text.
[[nodiscard]] std::string short_hash(std::string_view text);

} // namespace belay::storage
