// What a user hands over: the intent to have a process run, in full.
#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace belay {

/// What may happen to a process whose owner was lost. Stored: append, never reorder.
enum class recovery_rule : std::uint8_t {
  /// Another owner may run it again from the start.
  rerunnable = 1,
  /// Once started it is never run again by another: it stays quarantined until decided by hand.
  owner_bound = 2,
  /// Never claimed; completed from outside under a named authority.
  externally_owned = 3,
};

[[nodiscard]] std::string to_string(recovery_rule rule);
[[nodiscard]] std::optional<recovery_rule> recovery_rule_from(std::string_view name);

/// When a failed attempt is followed by another.
struct retry_policy {
  /// Attempts in all, the first included: 1 (no retry) to 1,000. Interruptions do not count.
  std::uint32_t attempts = 1;
  /// Pause before the second attempt, up to 24 h.
  duration_ms backoff_ms = 1'000;
  /// By how much each pause exceeds the one before, in thousandths: 1,000 to 100,000.
  std::uint32_t factor_permille = 2'000;
  /// The longest pause, up to 7 days.
  duration_ms backoff_max_ms = 60'000;

  friend bool operator==(const retry_policy&, const retry_policy&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, retry_policy& x) {
  using inspection::field;
  return inspection::object(
    f, "retry_policy", field("attempts", x.attempts), field("backoff_ms", x.backoff_ms),
    field("factor_permille", x.factor_permille), field("backoff_max_ms", x.backoff_max_ms));
}

/// What becomes of a process when its parent ends. Stored: append, never reorder.
enum class close_policy : std::uint8_t {
  /// It is cancelled with its parent.
  cancel = 1,
  /// It goes on alone.
  abandon = 2,
  /// The parent's outcome waits for it.
  await = 3,
};

[[nodiscard]] std::string to_string(close_policy policy);
[[nodiscard]] std::optional<close_policy> close_policy_from(std::string_view name);

/// An event type that a process may be sent, or may append.
struct event_type {
  /// As in "progress" or "signal.approved"; never one that begins with "process.".
  std::string name;
  /// JSON schema (`validate_schema`) of the payload, as JSON text; "true" accepts anything.
  std::string schema = "true";
  /// When an event of this type wakes the process's wake target, and with what, as JSON text:
  /// `{"input": SELECTOR, "when": SELECTOR}` (selector.hpp); empty when it never does.
  std::string wake;

  friend bool operator==(const event_type&, const event_type&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, event_type& x) {
  using inspection::field;
  return inspection::object(f, "event_type", field("type", x.name), field("schema", x.schema),
                            field("wake", x.wake));
}

/// A process as its caller wants it.
struct registration {
  /// Empty until `parse_registration` or the client has chosen one.
  process_id id;
  /// What to run, as canonical JSON text: `{"type": "tool_call", "tool": ..., "args": {...}}`.
  std::string input;
  /// Who can run it: of a tool call the tool's name, of a workflow `workflow_kind`, of an external
  /// input "external".
  std::string kind;
  std::string queue = "default";
  /// Higher runs first: -1,000 to 1,000.
  std::int32_t priority = 0;
  /// Not to be run before; 0 means at once.
  timestamp_ms due_at = 0;
  /// Longest run time of one attempt; 0 means no bound.
  duration_ms timeout_ms = 0;
  retry_policy retry;
  recovery_rule rule{};
  std::map<std::string, std::string> labels;
  /// Runs in all, interrupted ones included, after which the row is abandoned; 0 means no bound.
  std::uint32_t attempts_max = 0;
  /// The event types it declares; others may be appended by its own run only.
  std::vector<event_type> event_types;
  /// The process whose end this one's policy speaks of; empty means none.
  process_id parent;
  close_policy close = close_policy::cancel;
  /// The session that events with wake semantics wake; empty means none.
  std::string wake_session;
  /// Sessions that observe it from the beginning.
  std::vector<std::string> observers;
  /// Who started it: "host", or a session. Provenance only.
  std::string originator = "host";
  /// What caused it, as a JSON object; empty means nothing was said.
  std::string caused_by;
  /// For people: what it is about. Empty means none.
  std::string label;
  /// The identity of the definition it runs, for list filters. Empty means none.
  std::string definition;
  /// Of those with the same key in its queue, no more than the queue's `per_key_max` run at once.
  /// Empty means that it is not counted.
  std::string concurrency_key;
  /// The W3C trace context (`traceparent`) that it was registered in; empty means none. No part of
  /// the registration's hash: the same request made again in another trace is the same.
  std::string traceparent;

  friend bool operator==(const registration&, const registration&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, registration& x) {
  using inspection::field;
  return inspection::object(
    f, "registration", field("id", x.id), field("input", x.input), field("kind", x.kind),
    field("queue", x.queue), field("priority", x.priority), field("due_at", x.due_at),
    field("timeout_ms", x.timeout_ms), field("retry", x.retry), field("rule", x.rule),
    field("labels", x.labels), field("attempts_max", x.attempts_max),
    field("events", x.event_types), field("parent", x.parent), field("close", x.close),
    field("wake_session", x.wake_session), field("observers", x.observers),
    field("originator", x.originator), field("caused_by", x.caused_by), field("label", x.label),
    field("definition", x.definition), field("concurrency_key", x.concurrency_key),
    field("traceparent", x.traceparent));
}

/// Bounds on one registration.
struct registration_limits {
  /// Longest id in bytes. LMDB keys end at 511 (mdb_env_get_maxkeysize).
  std::size_t id_bytes_max = 256;
  /// Longest queue or kind name in bytes.
  std::size_t name_bytes_max = 64;
  /// Largest input, as canonical JSON text, in bytes.
  std::size_t input_bytes_max = 1'048'576;
  std::size_t labels_max = 32;
  /// Longest label key or value in bytes.
  std::size_t label_bytes_max = 256;
  /// Most declared event types.
  std::size_t event_types_max = 64;
  /// Most sessions that observe a process.
  std::size_t observers_max = 64;
  /// Longest timeout of an attempt.
  duration_ms timeout_ms_max = 366LL * 24 * 3'600 * 1'000;
};

/// Reads a registration from JSON as a user writes it (README, "A registration").
///
/// Only `input` is required: the id defaults to empty (the caller then makes one), the rule to
/// `default_rule`. Refuses (`ec::bad_request`) unknown keys ("did you mean"), wrong types and
/// values out of bounds; the text names field, value and what was expected.
[[nodiscard]] checked<registration>
parse_registration(const nlohmann::json& text, std::optional<recovery_rule> default_rule,
                   const registration_limits& limits = {});

/// Checks every bound of a registration that came over the wire. Returns nothing when all is well.
[[nodiscard]] std::optional<refusal>
validate(const registration& x, const registration_limits& limits = {});

/// Renders a registration as the JSON a user writes, every field present (`due` only when set);
/// without the trace context, which is no part of what is asked for.
[[nodiscard]] nlohmann::json to_json_value(const registration& x);

/// Returns the kind of a workflow: who offers it can run it. As in "thumbnail_album@2".
[[nodiscard]] std::string workflow_kind(std::string_view name, std::uint32_t version);

/// Whether a kind is that of a workflow.
[[nodiscard]] bool is_workflow_kind(std::string_view kind);

/// Reads back a stored canonical text. Throws `std::invalid_argument` when it is not one.
[[nodiscard]] registration registration_from_canonical(std::string_view text);

/// Returns the canonical JSON text: keys sorted by bytes, no white space, defaults written out.
[[nodiscard]] std::string canonical_text(const registration& x);

/// Returns the lower-case hex SHA-256 of a canonical text.
[[nodiscard]] std::string hash_hex(std::string_view canonical);

/// Returns whether text is UTF-8 without control characters.
[[nodiscard]] bool is_plain_text(std::string_view text);

/// Checks the name of an event type that is not the registry's own.
[[nodiscard]] std::optional<refusal>
check_event_name(const std::string& field, const std::string& name);

/// Checks one session id: as a process id. `field` names it in the refusal.
[[nodiscard]] std::optional<refusal>
validate_session(const std::string& field, std::string_view session,
                 const registration_limits& limits = {});

/// Checks the name of a queue. Returns nothing when it is acceptable.
[[nodiscard]] std::optional<refusal>
validate_queue_name(const std::string& name, const registration_limits& limits = {});

/// Whether text is a W3C trace context: version "-" trace id "-" span id "-" flags, in lower-case
/// hex, neither id all zeros; of a later version than 00 what follows after a dash is not looked
/// at. At most 512 bytes.
[[nodiscard]] bool is_traceparent(std::string_view text);

/// Checks one process id. Returns nothing when it is acceptable.
[[nodiscard]] std::optional<refusal>
validate_process_id(std::string_view id, const registration_limits& limits = {});

} // namespace belay
