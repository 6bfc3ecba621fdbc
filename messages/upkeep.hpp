// What is asked of a process from outside its run: references, completion without a lease, giving
// up, trying again, pruning.
#pragma once

#include "messages/outcome.hpp"

#include <vector>

namespace belay {

/// Says under which name another system knows the process. The first one stands: the same again
/// changes nothing, another is refused (`already_set`). Refuses with `unknown_process`, `pruned`,
/// `bad_request`. Answer: `done`, count 1 when it was set now.
struct external_ref_request {
  process_id id;
  /// The other system, and the name there.
  std::string backend;
  std::string reference;
  /// A JSON object, or empty.
  std::string metadata;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, external_ref_request& x) {
  using inspection::field;
  return inspection::object(f, "external_ref_request", field("id", x.id),
                            field("backend", x.backend), field("reference", x.reference),
                            field("metadata", x.metadata));
}

/// On what ground a process is completed by someone who holds no lease. Sent: append, never
/// reorder.
enum class authority : std::uint8_t {
  /// The owner of an externally owned process; any outcome.
  external_owner = 1,
  /// A workflow engine that runs each process once by its key; not of an externally owned one.
  workflow_key = 2,
  /// An operator's abandon request; externally owned, outcome `abandoned` only.
  reconciled_abandon = 3,
};

[[nodiscard]] std::string to_string(authority by);
[[nodiscard]] std::optional<authority> authority_from(std::string_view name);

/// Completes a process without a lease. The authority is checked against the process's recovery
/// rule in the same transaction and kept in the history. The same outcome again is answered
/// `already_applied`, another one refused (`already_terminal`). Refuses with `unknown_process`,
/// `pruned`, `authority_refused`, `bad_request`. Answer: `completion`.
struct settle_request {
  process_id id;
  authority by = authority::external_owner;
  /// Of `workflow_key`: the key.
  std::string key;
  outcome result;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, settle_request& x) {
  using inspection::field;
  return inspection::object(f, "settle_request", field("id", x.id), field("by", x.by),
                            field("key", x.key), field("result", x.result));
}

/// Authorises that a process be given up. It ends `abandoned` once nobody holds its lease, which
/// may be at once; time alone never ends anything. The first request stands: the same again changes
/// nothing, another is refused (`already_set`). Refuses with `unknown_process`, `pruned`,
/// `already_terminal`, `bad_request`. Answer: `abandon_receipt`.
struct abandon_request {
  process_id id;
  std::string by;
  std::string reason;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, abandon_request& x) {
  using inspection::field;
  return inspection::object(f, "abandon_request", field("id", x.id), field("by", x.by),
                            field("reason", x.reason));
}

struct abandon_receipt {
  /// False: somebody holds the lease still; the end comes when they lose it.
  bool abandoned = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, abandon_receipt& x) {
  return inspection::object(f, "abandon_receipt", inspection::field("abandoned", x.abandoned));
}

/// Lets a quarantined process run again, its interruptions forgotten; a delayed one is ready now.
/// Refuses with `unknown_process`, `pruned`, `wrong_state` (also: an owner-bound process that was
/// started). Answer: `done`.
struct requeue_request {
  process_id id;
  /// True: only from quarantine. False: only a delayed one, its due time is now.
  bool from_quarantine = true;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, requeue_request& x) {
  using inspection::field;
  return inspection::object(f, "requeue_request", field("id", x.id),
                            field("from_quarantine", x.from_quarantine));
}

/// Registers what a finished process was registered with under another id. Refuses with
/// `unknown_process`, `pruned`, `wrong_state` (not finished), `registration_conflict`,
/// `store_full`. Answer: `registered_list` of one.
struct again_request {
  process_id id;
  process_id new_id;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, again_request& x) {
  using inspection::field;
  return inspection::object(f, "again_request", field("id", x.id), field("new_id", x.new_id));
}

/// Deletes finished processes with all that belongs to them; their tombstones stay. Never one that
/// is not finished. One transaction of at most `max` rows: ask again while `more`. Answer:
/// `prune_report`.
struct prune_request {
  /// Only processes that ended before this time (exclusive).
  timestamp_ms before = 0;
  /// Only these outcomes; empty means all.
  std::vector<outcome_kind> outcomes;
  /// Only of this originator, kind, queue; empty means any.
  std::string originator;
  std::string kind;
  std::string queue;
  /// Only rows whose last change a reader of the change feed has seen: up to this; 0 means no
  /// bound.
  std::uint64_t change_max = 0;
  /// Most rows deleted: 1 to 10,000.
  std::uint32_t max = 200;
  /// Counts, deletes nothing.
  bool dry_run = false;
  /// Where the answer before ended; both 0 to begin.
  timestamp_ms after_time = 0;
  row_id after_row{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, prune_request& x) {
  using inspection::field;
  return inspection::object(
    f, "prune_request", field("before", x.before), field("outcomes", x.outcomes),
    field("originator", x.originator), field("kind", x.kind), field("queue", x.queue),
    field("change_max", x.change_max), field("max", x.max), field("dry_run", x.dry_run),
    field("after_time", x.after_time), field("after_row", x.after_row));
}

struct prune_report {
  /// Rows deleted or, in a dry run, that would be.
  std::uint64_t pruned = 0;
  /// Rows that match and stay, because wakes of theirs are still on their way.
  std::uint64_t held_back = 0;
  /// Whether there may be more: ask again from `after_time`, `after_row`.
  bool more = false;
  timestamp_ms after_time = 0;
  row_id after_row{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, prune_report& x) {
  using inspection::field;
  return inspection::object(f, "prune_report", field("pruned", x.pruned),
                            field("held_back", x.held_back), field("more", x.more),
                            field("after_time", x.after_time), field("after_row", x.after_row));
}

/// Forgets tombstones written before a time and within a change-feed watermark (0: no bound); their
/// ids may then be registered anew, with fences that go on above. Answer: `done`.
struct compact_request {
  timestamp_ms before = 0;
  std::uint64_t change_max = 0;
  /// Most tombstones forgotten: 1 to 10,000.
  std::uint32_t max = 1'000;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, compact_request& x) {
  using inspection::field;
  return inspection::object(f, "compact_request", field("before", x.before),
                            field("change_max", x.change_max), field("max", x.max));
}

/// What a full scan of a store found.
struct check_report {
  /// One sentence for each violation; it names the row.
  std::vector<std::string> findings;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, check_report& x) {
  return inspection::object(f, "check_report", inspection::field("findings", x.findings));
}

} // namespace belay
