// A process as it is shown: the row, its lease and its outcome at one instant.
#pragma once

#include "messages/ids.hpp"
#include "messages/outcome.hpp"
#include "messages/waiting.hpp"

#include <map>
#include <vector>

namespace belay {

/// Where a process stands. Stored: append, never reorder.
enum class process_state : std::uint8_t {
  /// May be claimed once its due time has come.
  ready = 1,
  /// Somebody holds the lease.
  running = 2,
  /// Waits for a condition: no lease, no slot.
  waiting = 3,
  /// Interrupted too often, or owner-bound with its owner gone: released or cancelled by hand.
  quarantined = 4,
  /// Has its outcome.
  finished = 5,
  /// Externally owned: waits to be completed from outside.
  external = 6,
};

[[nodiscard]] std::string to_string(process_state state);

/// Bytes kept with a process, without the bytes.
struct attachment_view {
  std::string ref;
  std::string name;
  std::uint64_t bytes = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, attachment_view& x) {
  using inspection::field;
  return inspection::object(f, "attachment", field("ref", x.ref), field("name", x.name),
                            field("bytes", x.bytes));
}

/// One row, as `get` and `list` show it.
struct process_view {
  process_id id;
  row_id row{};
  process_state state = process_state::ready;
  /// Set when `state` is `finished`.
  outcome_kind ended = outcome_kind::success;
  std::string kind;
  std::string queue;
  std::int32_t priority = 0;
  timestamp_ms created_at = 0;
  timestamp_ms updated_at = 0;
  /// Not claimed before; later than now means "delayed".
  timestamp_ms due_at = 0;
  /// First time a lease was granted; 0 when never.
  timestamp_ms started_at = 0;
  timestamp_ms finished_at = 0;
  /// Claimed runs so far, counted from 1.
  std::uint32_t attempt = 0;
  /// Attempts that ended in a failure that the retry policy answered.
  std::uint32_t failures = 0;
  /// Runs that ended because the owner was lost.
  std::uint32_t interruptions = 0;
  fencing_token fence{};
  event_seq last_seq = 0;
  bool cancel_requested = false;
  bool kill_requested = false;
  /// The holder while running; the name is empty otherwise.
  owner holder;
  timestamp_ms lease_expires_at = 0;
  /// Rises with every change of any process: a position in the change feed.
  std::uint64_t change = 0;
  std::string originator;
  std::string label;
  std::string definition;
  /// What it waits for; kind `none` when it does not.
  wait_view waiting;
  /// Who ran it first, under which fence; the name is empty when nobody did yet. The time is
  /// `started_at`.
  owner first_owner;
  fencing_token first_fence{};
  /// Due, but held back while others with its concurrency key run.
  bool blocked = false;
  /// Filled by `get` only; empty when there is none.
  std::string concurrency_key;
  std::string traceparent;
  /// Filled by `get` only: the session that it wakes, and, as JSON text or empty, the external
  /// reference and the abandon request.
  std::string wake_session;
  std::string external_ref;
  std::string abandon;
  std::vector<std::string> observers;
  /// Filled by `get` only: the canonical registration, its hash, and the outcome as JSON text.
  std::string registration_json;
  std::string registration_hash;
  std::string outcome_json;
  /// What the run last said of itself, as JSON text or empty; in lists only up to 256 bytes of it
  /// in all. The next two are filled by `get` only: its journal's entries, and what is attached.
  std::string status_json;
  std::uint64_t journal_entries = 0;
  std::vector<attachment_view> attachments;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, process_view& x) {
  using inspection::field;
  return inspection::object(
    f, "process", field("id", x.id), field("row", x.row), field("state", x.state),
    field("ended", x.ended), field("kind", x.kind), field("queue", x.queue),
    field("priority", x.priority), field("created_at", x.created_at),
    field("updated_at", x.updated_at), field("due_at", x.due_at), field("started_at", x.started_at),
    field("finished_at", x.finished_at), field("attempt", x.attempt), field("failures", x.failures),
    field("interruptions", x.interruptions), field("fence", x.fence), field("last_seq", x.last_seq),
    field("cancel_requested", x.cancel_requested), field("kill_requested", x.kill_requested),
    field("holder", x.holder), field("lease_expires_at", x.lease_expires_at),
    field("change", x.change), field("originator", x.originator), field("label", x.label),
    field("definition", x.definition), field("waiting", x.waiting),
    field("first_owner", x.first_owner), field("first_fence", x.first_fence),
    field("wake_session", x.wake_session), field("external_ref", x.external_ref),
    field("abandon", x.abandon), field("observers", x.observers),
    field("registration", x.registration_json), field("registration_hash", x.registration_hash),
    field("outcome", x.outcome_json), field("status", x.status_json),
    field("journal_entries", x.journal_entries), field("attachments", x.attachments),
    field("blocked", x.blocked), field("concurrency_key", x.concurrency_key),
    field("traceparent", x.traceparent));
}

/// Returns the word a user sees and filters by: "ready", "delayed", "running", "waiting",
/// "quarantined", "external", "success", "failure", "cancelled" or "abandoned".
[[nodiscard]] std::string state_word(const process_view& x, timestamp_ms now);

/// What `list` asks for. Newest first.
struct list_query {
  /// A word of `state_word`, or "live" / "finished"; empty means any.
  std::string state;
  std::string kind;
  std::string queue;
  /// Words of registration; empty means any.
  std::string originator;
  std::string label;
  std::string definition;
  std::string parent;
  /// The session that must observe it; empty means any.
  std::string observer;
  /// Ids that begin with this.
  std::string id_prefix;
  /// Labels that must be there with these values.
  std::map<std::string, std::string> labels;
  /// Registered at or after, and before; 0 means no bound.
  timestamp_ms created_from = 0;
  timestamp_ms created_before = 0;
  /// Most rows to return: 1 to 1,000.
  std::uint32_t limit = 50;
  /// Only rows older than this one (the `next` of the page before); 0 begins at the newest.
  row_id after{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, list_query& x) {
  using inspection::field;
  return inspection::object(
    f, "list_query", field("state", x.state), field("kind", x.kind), field("queue", x.queue),
    field("originator", x.originator), field("label", x.label), field("definition", x.definition),
    field("parent", x.parent), field("observer", x.observer), field("id_prefix", x.id_prefix),
    field("labels", x.labels), field("created_from", x.created_from),
    field("created_before", x.created_before), field("limit", x.limit), field("after", x.after));
}

/// One process that has changed, at its place in the feed.
struct change {
  std::uint64_t position = 0;
  process_view process;
  /// Of a pruned process: only `process.id` is set.
  bool pruned = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, change& x) {
  using inspection::field;
  return inspection::object(f, "change", field("position", x.position), field("process", x.process),
                            field("pruned", x.pruned));
}

/// A stretch of the change feed. Each process stands in the feed once, at its last change.
struct change_page {
  std::vector<change> changes;
  /// Where to go on.
  std::uint64_t next = 0;
  bool more = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, change_page& x) {
  using inspection::field;
  return inspection::object(f, "change_page", field("changes", x.changes), field("next", x.next),
                            field("more", x.more));
}

struct process_page {
  std::vector<process_view> processes;
  /// Where to go on; 0 when the end was reached.
  row_id next{};
  /// The registry's time at which the page was read.
  timestamp_ms now = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, process_page& x) {
  using inspection::field;
  return inspection::object(f, "process_page", field("processes", x.processes),
                            field("next", x.next), field("now", x.now));
}

/// Exact number of processes, by state word ("running", "success", ...; delayed counts as ready).
struct process_counts {
  std::map<std::string, std::uint64_t> by_state;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, process_counts& x) {
  return inspection::object(f, "process_counts", inspection::field("by_state", x.by_state));
}

} // namespace belay
