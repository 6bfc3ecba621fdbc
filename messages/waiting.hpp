// What a process can wait for without a lease, a slot or an actor.
#pragma once

#include "messages/lease.hpp"

#include <vector>

namespace belay {

/// Stored: append, never reorder.
enum class wait_kind : std::uint8_t {
  none = 0,
  /// The n-th event of type "signal.<name>".
  signal = 1,
  /// A point in time.
  timer = 2,
  /// The outcome of another process.
  child = 3,
  /// Its own outcome is known; it is held back until its children (close policy `await`) end.
  closing = 4,
};

[[nodiscard]] std::string to_string(wait_kind kind);

/// The condition under which a parked process is ready again.
struct wait_condition {
  wait_kind kind = wait_kind::none;
  /// Of a signal: its name, without "signal.". Of a child: the process id.
  std::string name;
  /// Of a signal: which of that name, 1 or more.
  std::uint64_t ordinal = 0;
  /// Wakes at this time all the same, as a time-out; of a timer the time itself. 0 means never.
  timestamp_ms deadline = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, wait_condition& x) {
  using inspection::field;
  return inspection::object(f, "wait_condition", field("kind", x.kind), field("name", x.name),
                            field("ordinal", x.ordinal), field("deadline", x.deadline));
}

/// A process that waits, as `get` shows it.
struct wait_view {
  wait_condition until;
  timestamp_ms since = 0;
  /// What else it waits for; any of them wakes it.
  std::vector<wait_condition> also;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, wait_view& x) {
  using inspection::field;
  return inspection::object(f, "wait", field("until", x.until), field("since", x.since),
                            field("also", x.also));
}

/// Gives the lease back and waits. Fenced. A condition that holds already makes the row ready at
/// once. A cancel request that stands does so too where the process has a journal that has no entry
/// of kind `cancel` yet; where it has one, the code knows and may wait for what it puts right. A
/// cancel request without a journal and an abandon request end the process. Refuses with
/// `lease_superseded`, `bad_request` (also a wait for itself or for a process that waits for this
/// one in turn), `unknown_process` (of a child). Answer: `park_receipt`.
struct park_request {
  lease held;
  wait_condition until;
  /// Further conditions: 9,999 at most.
  std::vector<wait_condition> also;
  /// How many of the conditions must hold. More than 1 only where all are children; a deadline
  /// wakes all the same.
  std::uint64_t needed = 1;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, park_request& x) {
  using inspection::field;
  return inspection::object(f, "park_request", field("held", x.held), field("until", x.until),
                            field("also", x.also), field("needed", x.needed));
}

struct park_receipt {
  /// Whether the condition held already, so that the row is ready again.
  bool woken = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, park_receipt& x) {
  return inspection::object(f, "park_receipt", inspection::field("woken", x.woken));
}

} // namespace belay
