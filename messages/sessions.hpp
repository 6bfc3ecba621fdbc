// Sessions: who observes a process, and the wakes that processes send to sessions.
//
// Observing means that a session can see and address a process, nothing more: a process lives on
// without observers. A wake is written in the transaction of the event that causes it and is handed
// to a receiver until the receiver settles it.
#pragma once

#include "messages/ids.hpp"

#include <vector>

namespace belay {

/// Adds or removes one observer; the edge's change is an event of the process. Adding twice and
/// removing twice change nothing. Refuses with `unknown_process`, `pruned`, `bad_request`,
/// `overloaded` (too many observers). Answer: `done`, count 1 when it changed something.
struct observe_request {
  process_id id;
  std::string session;
  bool add = true;
  /// Who asked for it; kept in the history.
  std::string by;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, observe_request& x) {
  using inspection::field;
  return inspection::object(f, "observe_request", field("id", x.id), field("session", x.session),
                            field("add", x.add), field("by", x.by));
}

/// Moves observation of processes from one session to another: all of them or, when one is not
/// observed by `from` (`unknown_observer`), none. Answer: `done` with the number moved.
struct transfer_request {
  std::string from;
  std::string to;
  std::vector<process_id> ids;
  std::string by;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, transfer_request& x) {
  using inspection::field;
  return inspection::object(f, "transfer_request", field("from", x.from), field("to", x.to),
                            field("ids", x.ids), field("by", x.by));
}

/// A session is gone: removes it as observer and as wake target, and discards wakes to it. Ends and
/// cancels nothing. Answer: `session_report`.
struct forget_session_request {
  std::string session;
};

/// What forgetting a session changed.
struct session_report {
  std::string session;
  std::uint64_t removed_observers = 0;
  std::uint64_t discarded_wakes = 0;
  /// Live processes it observed that nobody observes now, and those that somebody still does; by
  /// id.
  std::vector<process_id> orphaned;
  std::vector<process_id> preserved;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, session_report& x) {
  using inspection::field;
  return inspection::object(f, "session_report", field("session", x.session),
                            field("removed_observers", x.removed_observers),
                            field("discarded_wakes", x.discarded_wakes),
                            field("orphaned", x.orphaned), field("preserved", x.preserved));
}

/// Sets another wake target (empty: none) and discards wakes on their way to the old one. Refuses
/// with `unknown_process`, `pruned`, `already_terminal`, `bad_request`. Answer: `done`, count 1
/// when it changed something.
struct retarget_request {
  process_id id;
  std::string session;
  std::string by;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, retarget_request& x) {
  using inspection::field;
  return inspection::object(f, "retarget_request", field("id", x.id), field("session", x.session),
                            field("by", x.by));
}

// -- wakes ------------------------------------------------------------------------------------

/// Rises with every wake; never used twice.
enum class wake_id : std::uint64_t {};

/// Where a wake stands. Stored: append, never reorder.
enum class wake_state : std::uint8_t {
  /// May be taken once its time has come and no earlier one of its process waits.
  pending = 1,
  /// Taken by a receiver that has not settled it yet.
  taken = 2,
  delivered = 3,
  /// Given up; holds back later ones of its process until it is redriven or discarded by hand.
  undeliverable = 4,
  discarded = 5,
};

[[nodiscard]] std::string to_string(wake_state state);

/// A message to a session that something happened to a process.
struct wake {
  wake_id id{};
  std::string session;
  process_id process;
  event_seq seq = 0;
  std::string event_type;
  /// What the session is told.
  std::string input;
  wake_state state = wake_state::pending;
  /// Times it was taken.
  std::uint32_t attempts = 0;
  timestamp_ms created_at = 0;
  /// Not taken before; of a taken one the time at which the receiver has lost it.
  timestamp_ms next_at = 0;
  /// Proves who took it.
  std::uint64_t token = 0;
  /// Why it was put back, given up or discarded.
  std::string reason;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, wake& x) {
  using inspection::field;
  return inspection::object(
    f, "wake", field("id", x.id), field("session", x.session), field("process", x.process),
    field("seq", x.seq), field("event_type", x.event_type), field("input", x.input),
    field("state", x.state), field("attempts", x.attempts), field("created_at", x.created_at),
    field("next_at", x.next_at), field("token", x.token), field("reason", x.reason));
}

struct wake_list {
  std::vector<wake> wakes;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, wake_list& x) {
  return inspection::object(f, "wake_list", inspection::field("wakes", x.wakes));
}

/// Which wakes are to be listed, oldest first.
struct wakes_query {
  /// Empty means any.
  std::string session;
  process_id process;
  /// Whether delivered and discarded ones are wanted too.
  bool settled = false;
  /// Most wakes to return: 1 to 1,000.
  std::uint32_t limit = 100;
  /// Only later ones than this.
  wake_id after{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, wakes_query& x) {
  using inspection::field;
  return inspection::object(f, "wakes_query", field("session", x.session),
                            field("process", x.process), field("settled", x.settled),
                            field("limit", x.limit), field("after", x.after));
}

/// Takes up to `max` wakes of a session, oldest first, those of one process in the order of their
/// events. One not settled within `ttl` may be taken again. Answer: `wake_list`.
struct take_wakes_request {
  std::string session;
  std::uint32_t max = 1;
  duration_ms ttl = 30'000;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, take_wakes_request& x) {
  using inspection::field;
  return inspection::object(f, "take_wakes_request", field("session", x.session),
                            field("max", x.max), field("ttl", x.ttl));
}

/// What is to become of a wake. Sent: append, never reorder.
enum class wake_verdict : std::uint8_t {
  /// It has arrived.
  delivered = 1,
  /// It could not be delivered now: again after a pause that grows.
  deferred = 2,
  /// Its target will never take it: given up.
  target_gone = 3,
  /// By hand, without a token: again from the beginning.
  redrive = 4,
  /// By hand, without a token: never again.
  discard = 5,
};

/// Settles a wake. The first three need the token of the one who took it; another token is refused
/// (`lease_superseded`), the same verdict again is a success. Refuses with `bad_request` (no such
/// wake), `wrong_state`. Answer: `done`.
struct settle_wake_request {
  wake_id id{};
  std::uint64_t token = 0;
  wake_verdict verdict = wake_verdict::delivered;
  std::string reason;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, settle_wake_request& x) {
  using inspection::field;
  return inspection::object(f, "settle_wake_request", field("id", x.id), field("token", x.token),
                            field("verdict", x.verdict), field("reason", x.reason));
}

/// Returns what a session is told in full: a heading, the process, the event's number, the input.
[[nodiscard]] std::string wake_text(const wake& x);

} // namespace belay
