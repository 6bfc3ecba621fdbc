// What the registry is asked to do, and its answers. One batch of them is one transaction.
#pragma once

#include "messages/error.hpp"
#include "messages/event.hpp"
#include "messages/journal.hpp"
#include "messages/lease.hpp"
#include "messages/outcome.hpp"
#include "messages/process_view.hpp"
#include "messages/queues.hpp"
#include "messages/registration.hpp"
#include "messages/sessions.hpp"
#include "messages/upkeep.hpp"
#include "messages/waiting.hpp"

#include <variant>
#include <vector>

namespace belay {

// -- requests ---------------------------------------------------------------------------------

/// Registers all of `items` or, when one is refused, none. Answer: `registered_list`.
struct register_request {
  std::vector<registration> items;
};

/// Claims up to `max` ready rows for `holder`, in the order priority (high first), due time, row.
/// Refused (`lease_superseded`) when the owner has a later incarnation. Answer: `claimed_list`.
struct claim_request {
  owner holder;
  /// Kinds the worker can run; rows of other kinds are not touched.
  std::vector<std::string> kinds;
  /// Queues to take from; empty means all.
  std::vector<std::string> queues;
  std::uint32_t max = 0;
  duration_ms ttl = 0;
};

/// Moves the expiry to now + ttl. Refused (`lease_superseded`) unless the lease is the live one.
/// Answer: the `lease` with its new expiry.
struct renew_request {
  lease held;
  duration_ms ttl = 0;
};

/// Gives the row back before the lease ends: ready again at once, no interruption counted. A stale
/// lease changes nothing. Answer: `done`.
///
/// An owner-bound row that was started ends `abandoned`: nobody else may go on with it.
struct release_request {
  lease held;
  std::string reason;
  /// False: the run never began, so that the row is as if it had not been claimed.
  bool started = true;
};

/// Appends an event. With a lease it is fenced. In this order: same key and payload again: the
/// first event; same key, other payload: `event_conflict`; a type that is not declared (a fenced
/// one may be any but "process." and "signal."), or a payload that does not fit the type's schema:
/// `bad_request`; a process that has its outcome: `already_terminal`. An event with wake semantics
/// puts a wake into the outbox, a signal wakes who waits for it, in the same transaction.
/// Answer: the `event`.
struct append_request {
  process_id id;
  std::string type;
  /// JSON text.
  std::string payload;
  std::string key;
  /// Whether `held` must be the live lease of the process.
  bool fenced = false;
  lease held;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, append_request& x) {
  using inspection::field;
  return inspection::object(f, "append_request", field("id", x.id), field("type", x.type),
                            field("payload", x.payload), field("key", x.key),
                            field("fenced", x.fenced), field("held", x.held));
}

/// Ends the attempt: the outcome is recorded or, if it is a retryable failure and the policy has
/// attempts left, the row is ready again after a pause. Fenced. The same outcome again under the
/// same fence is answered `already_applied`. Answer: `completion`.
struct complete_request {
  lease held;
  outcome result;
};

/// Asks that a process end. A row that nobody runs is cancelled at once; the owner of a running one
/// is told. A row with a journal is not ended but ready again: its code learns of it and ends in
/// its own way; what it has started is cancelled now. `kill` skips the grace period, and ends a row
/// with a journal too. Answer: `cancel_receipt`.
struct cancel_request {
  process_id id;
  std::string reason;
  bool kill = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cancel_request& x) {
  using inspection::field;
  return inspection::object(f, "cancel_request", field("id", x.id), field("reason", x.reason),
                            field("kill", x.kill));
}

/// Starts a new incarnation of an owner; its earlier leases are void. With an incarnation: goes on
/// as that one, or is refused with `lease_superseded` where it is not the last. Answer: the
/// `owner`.
struct enlist_request {
  std::string name;
  std::uint64_t incarnation = 0;
};

/// A worker with free slots, see `grant_request`.
struct claimant {
  owner holder;
  std::vector<std::string> kinds;
  /// Empty: all.
  std::vector<std::string> queues;
  /// Rows that it can take now.
  std::uint32_t max = 0;
  /// All that it runs at once: its share.
  std::uint32_t slots = 1;
  /// Its place in the turn, see `grant_list`.
  std::uint64_t turn = 0;
};

/// Claims rows for several workers, each in the proportion of its slots: row by row, in the order
/// of the rows, for the one of those who can take it whose turn is lowest. Answer: `grant_list`.
struct grant_request {
  std::vector<claimant> claimants;
  duration_ms ttl = 0;
};

/// Voids every lease of an owner's incarnation (`holder.incarnation` or older). Answer: `done`.
struct void_request {
  owner holder;
  std::string reason;
};

/// Ends leases past their expiry, wakes parked rows whose deadline has come, gives wakes up that
/// are too old; oldest first, `max` of each at most. Answer: `done` with the number of leases
/// ended.
struct expire_request {
  std::uint32_t max = 256;
};

/// At start: leases of `local` are void (the directory lock proves it dead), those of others run
/// until now + ttl. Answer: `done`.
struct recover_request {
  std::string local;
  duration_ms ttl = 0;
};

using operation = std::variant<
  register_request, claim_request, renew_request, release_request, append_request, complete_request,
  cancel_request, enlist_request, void_request, expire_request, recover_request, park_request,
  observe_request, transfer_request, forget_session_request, retarget_request, take_wakes_request,
  settle_wake_request, external_ref_request, settle_request, abandon_request, requeue_request,
  again_request, prune_request, compact_request, journal_request, grant_request, queue_request>;

// -- answers ----------------------------------------------------------------------------------

struct registered {
  process_id id;
  row_id row{};
  /// False when the same registration was there before.
  bool created = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, registered& x) {
  using inspection::field;
  return inspection::object(f, "registered", field("id", x.id), field("row", x.row),
                            field("created", x.created));
}

struct registered_list {
  std::vector<registered> items;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, registered_list& x) {
  return inspection::object(f, "registered_list", inspection::field("items", x.items));
}

/// One claimed row: all that a process actor needs.
struct claimed {
  lease held;
  /// Canonical JSON text of the registration.
  std::string registration_json;
  std::uint32_t attempt = 0;
  std::uint32_t interruptions = 0;
  /// A cancel that was asked for while an earlier owner ran it.
  bool cancel_requested = false;
  /// Of a row that was parked: why it is ready again, as JSON text (`process.resumed`); else empty.
  std::string woken;
  /// Earlier runs that ended in a failure that the retry policy answered; each began anew.
  std::uint32_t failures = 0;
  /// Whether this run has a journal to go on from.
  bool journaled = false;
  /// When the process was first claimed.
  timestamp_ms started_at = 0;
  /// When it was registered, and when it became due: what it waited for since then is a claim.
  timestamp_ms created_at = 0;
  timestamp_ms due_at = 0;
  /// The trace context that it was registered in; empty when there was none.
  std::string traceparent;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, claimed& x) {
  using inspection::field;
  return inspection::object(f, "claimed", field("held", x.held),
                            field("registration", x.registration_json), field("attempt", x.attempt),
                            field("interruptions", x.interruptions),
                            field("cancel_requested", x.cancel_requested), field("woken", x.woken),
                            field("failures", x.failures), field("journaled", x.journaled),
                            field("started_at", x.started_at), field("created_at", x.created_at),
                            field("due_at", x.due_at), field("traceparent", x.traceparent));
}

struct claimed_list {
  std::vector<claimed> items;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, claimed_list& x) {
  return inspection::object(f, "claimed_list", inspection::field("items", x.items));
}

/// What each claimant of a `grant_request` is given.
struct grant_list {
  /// One for each claimant, in order.
  std::vector<claimed_list> each;
  /// Their places in the turn afterwards: a row moves a worker on by the inverse of its slots.
  std::vector<std::uint64_t> turns;
  /// When the rate of a queue lets the next row be claimed that somebody here has room for; 0 when
  /// no rate holds one back.
  timestamp_ms again_at = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, grant_list& x) {
  return inspection::object(f, "grant_list", inspection::field("each", x.each),
                            inspection::field("turns", x.turns),
                            inspection::field("again_at", x.again_at));
}

/// What became of a `complete_request`. Sent: append, never reorder.
enum class completion_status : std::uint8_t {
  /// The outcome is recorded.
  committed = 1,
  /// It was recorded before, by the same holder.
  already_applied = 2,
  /// A retryable failure: the row is ready again at `retry_at`.
  retry_scheduled = 3,
  /// The outcome is kept, and recorded once the children that it waits for have ended.
  closing = 4,
};

struct completion {
  completion_status status = completion_status::committed;
  timestamp_ms retry_at = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, completion& x) {
  using inspection::field;
  return inspection::object(f, "completion", field("status", x.status),
                            field("retry_at", x.retry_at));
}

/// What became of a cancel or kill request. Sent: append, never reorder.
enum class cancel_stage : std::uint8_t {
  /// Recorded; the owner is being told.
  requested = 1,
  /// Nobody ran it: it is cancelled now.
  done = 2,
  /// It had its outcome before.
  already_terminal = 3,
};

struct cancel_receipt {
  cancel_stage stage = cancel_stage::requested;
  row_id row{};
  /// Who runs it; the name is empty when nobody does.
  owner holder;
  fencing_token fence{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cancel_receipt& x) {
  using inspection::field;
  return inspection::object(f, "cancel_receipt", field("stage", x.stage), field("row", x.row),
                            field("holder", x.holder), field("fence", x.fence));
}

/// Done, nothing to say; `count` rows were changed.
struct done {
  std::uint64_t count = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, done& x) {
  return inspection::object(f, "done", inspection::field("count", x.count));
}

using answer
  = std::variant<refusal, registered_list, claimed_list, lease, event, completion, cancel_receipt,
                 owner, done, park_receipt, session_report, wake_list, abandon_receipt,
                 prune_report, journal_receipt, grant_list, queue_settings>;

/// How a process ended, as a waiter is told.
struct outcome_view {
  process_id id;
  outcome_kind kind = outcome_kind::success;
  /// JSON text, see `to_json_value(const outcome&)`.
  std::string outcome_json;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, outcome_view& x) {
  using inspection::field;
  return inspection::object(f, "outcome_view", field("id", x.id), field("kind", x.kind),
                            field("outcome", x.outcome_json));
}

} // namespace belay
