// The whole conversation: every actor's typed interface, a sentence for each message.
//
// Refusals travel as `caf::error` of category "belay" with the text in the context
// (wire_error.hpp). Every request to another node carries a deadline: a lost node answers nothing.
// Whose certificate does not allow a message is refused with `not_permitted`; the role that each
// needs stands before its handler.
#pragma once

#include "messages/type_ids.hpp"

#include <caf/actor.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

namespace belay {

/// What two programs must agree on to talk at all; compared in `hello`.
inline constexpr std::uint32_t protocol_version = 5;

/// Part of every interface: the actor's state as JSON text, see inspect_json.hpp.
using observed_actor = caf::typed_actor<caf::replies_to<atom::snapshot>::with<std::string>>;

/// PROCESS: runs one claimed row and ends in one fenced write, or none.
using process_actor = caf::typed_actor<
  // Asks the runner to stop; after the grace period kills it. `true` kills at once.
  caf::reacts_to<atom::cancel, bool>,
  // The lease is gone: stops the runner at once and ends without any write.
  caf::reacts_to<atom::lost, std::string>,
  // Gives the row back: stops the runner at once, releases the lease, ends.
  caf::reacts_to<atom::release, std::string>,
  // INTERNAL: the run is over.
  caf::reacts_to<atom::finished, outcome>,
  // INTERNAL: a tool that the run called has ended (which call, how).
  caf::reacts_to<atom::finished, std::uint64_t, outcome>,
  // INTERNAL: the code of a workflow has come to a wait or to its end.
  caf::reacts_to<atom::advance>,
  // The sweeper has a slot for it again.
  caf::reacts_to<atom::resume>,
  // The sweeper holds as many waiting ones as it may: park now.
  caf::reacts_to<atom::park>,
  // INTERNAL: the run has something to be shown of it (JSON text).
  caf::reacts_to<atom::status, std::string>,
  // INTERNAL: the run attaches bytes.
  caf::reacts_to<atom::attach, attachment>,
  // INTERNAL: the run has something for the history (type, JSON text).
  caf::reacts_to<atom::append, std::string, std::string>,
  // INTERNAL: an alarm of the sweeper rang.
  caf::reacts_to<atom::alarm, std::uint32_t>>::extend_with<observed_actor>;

/// LEASE KEEPER: renews one lease until told to exit, or until it is lost.
using lease_keeper_actor = caf::typed_actor<
  // The link to the registry is there again: renew now, whatever is still unanswered.
  caf::reacts_to<atom::renew>,
  // INTERNAL: an alarm of the sweeper rang.
  caf::reacts_to<atom::alarm, std::uint32_t>>::extend_with<observed_actor>;

/// SWEEPER: one per worker; turns grants into process actors and never holds more than its slots.
using sweeper_actor = caf::typed_actor<
  // The registry granted rows against offered slots.
  caf::reacts_to<atom::grant, claimed_list>,
  // Somebody asked for a process's end (row, fence of the lease it runs under, kill).
  caf::reacts_to<atom::cancel, row_id, fencing_token, bool>,
  // The registry can be reached, perhaps again: enlist.
  caf::reacts_to<atom::enlist>,
  // The link to the registry is lost: what was offered is void, what runs goes on while its lease
  // lasts.
  caf::reacts_to<atom::lost, std::string>,
  // Sets an alarm for one actor of a slot (slot, for the keeper, tag, delay).
  caf::reacts_to<atom::alarm, std::uint64_t, bool, std::uint32_t, duration_ms>,
  // A process waits and gives its slot to others; it keeps its lease.
  caf::reacts_to<atom::idle, std::uint64_t>,
  // It wants to go on: answered by `resume` to the process once there is a slot.
  caf::reacts_to<atom::resume, std::uint64_t>,
  // INTERNAL: the earliest alarm is due.
  caf::reacts_to<atom::tick>,
  // Stops claiming, waits for what runs up to the given time, releases the rest. Answers how many
  // leases were released.
  caf::replies_to<atom::drain, duration_ms>::with<done>,
  // Claims again after a drain. Answers 1, or 0 where there was none.
  caf::replies_to<atom::undrain>::with<done>,
  // Itself and up to so many of its processes with their lease keepers, each with its state.
  caf::replies_to<atom::tree, std::uint32_t>::with<actor_tree>,
  // The actors of one process; none when it has none here.
  caf::replies_to<atom::tree, process_id>::with<actor_tree>>::extend_with<observed_actor>;

/// REGISTRY: the only writer of the store. Every answer means "on disk".
/// Any of them may be refused with `store_full` (new work only), `outcome_unknown`,
/// `shutting_down`.
using registry_actor = caf::typed_actor<
  // Registers all or none. Refuses with `bad_request`, `registration_conflict`, `store_full`.
  caf::replies_to<atom::enroll, std::vector<registration>>::with<registered_list>,
  // Claims up to max ready rows of these kinds and queues (all when empty), now.
  caf::replies_to<atom::claim, owner, std::vector<std::string>, std::vector<std::string>,
                  std::uint32_t>::with<claimed_list>,
  // Extends a lease. Refuses with `lease_superseded`.
  caf::replies_to<atom::renew, lease>::with<lease>,
  // Gives a row back. A stale lease changes nothing.
  caf::replies_to<atom::release, lease, std::string>::with<done>,
  // Gives the row back before the run has begun: it is as if it had not been claimed.
  caf::replies_to<atom::release, lease>::with<done>,
  // Gives the lease back and waits for a condition. Refuses with `lease_superseded`, `bad_request`,
  // `unknown_process`.
  caf::replies_to<atom::park, lease, wait_condition>::with<park_receipt>,
  // The same for one of several conditions, or several of them.
  caf::replies_to<atom::park, park_request>::with<park_receipt>,
  // What a resume of a workflow leaves behind. Refuses with `lease_superseded`, `bad_request`,
  // `registration_conflict`, `store_full`, `overloaded`.
  caf::replies_to<atom::journal, journal_request>::with<journal_receipt>,
  // Appends an event. Refuses with `unknown_process`, `pruned`, `lease_superseded`,
  // `event_conflict`, `bad_request` (undeclared type, payload that does not fit),
  // `already_terminal`, `overloaded`.
  caf::replies_to<atom::append, append_request>::with<event>,
  // Ends an attempt. Refuses with `lease_superseded`, `bad_request`.
  caf::replies_to<atom::complete, lease, outcome>::with<completion>,
  // Asks for a process's end. Refuses with `unknown_process`, `pruned`, `bad_request`.
  caf::replies_to<atom::cancel, cancel_request>::with<cancel_receipt>,
  // Completes a process without its lease, under a named authority. Refuses with
  // `authority_refused`, `already_terminal`, `unknown_process`, `pruned`, `bad_request`.
  caf::replies_to<atom::settle, settle_request>::with<completion>,
  // Authorises that a process be given up once nobody holds it. Refuses with `already_set`,
  // `already_terminal`, `unknown_process`, `pruned`, `bad_request`.
  caf::replies_to<atom::abandon, abandon_request>::with<abandon_receipt>,
  // Lets a quarantined or delayed process run now. Refuses with `wrong_state`, `unknown_process`,
  // `pruned`, `exhausted`.
  caf::replies_to<atom::requeue, requeue_request>::with<done>,
  // Registers a finished process anew under another id. Refuses with `wrong_state` and what
  // registering refuses.
  caf::replies_to<atom::again, again_request>::with<registered_list>,
  // Sets the external reference; the first one stands. Refuses with `already_set`,
  // `unknown_process`, `pruned`, `bad_request`.
  caf::replies_to<atom::reference, external_ref_request>::with<done>,
  // Adds or removes an observer. Refuses with `unknown_process`, `pruned`, `bad_request`,
  // `overloaded`.
  caf::replies_to<atom::observe, observe_request>::with<done>,
  // Moves observation from one session to another, all or none. Refuses with `unknown_observer`,
  // `unknown_process`, `pruned`, `bad_request`.
  caf::replies_to<atom::transfer, transfer_request>::with<done>,
  // Forgets a session as observer and wake target. Refuses with `bad_request`.
  caf::replies_to<atom::forget, std::string>::with<session_report>,
  // Sets another wake target. Refuses with `already_terminal`, `unknown_process`, `pruned`,
  // `bad_request`.
  caf::replies_to<atom::retarget, retarget_request>::with<done>,
  // Takes wakes of a session. Refuses with `bad_request`.
  caf::replies_to<atom::wakes, take_wakes_request>::with<wake_list>,
  // Settles a wake. Refuses with `lease_superseded` (another receiver has it), `wrong_state`,
  // `bad_request`.
  caf::replies_to<atom::settle, settle_wake_request>::with<done>,
  // Pauses a queue, resumes it, bounds it. Refuses with `bad_request`.
  caf::replies_to<atom::queue, queue_request>::with<queue_settings>,
  // Deletes finished processes, a bounded number in one message. Refuses with `bad_request`.
  caf::replies_to<atom::prune, prune_request>::with<prune_report>,
  // Forgets old tombstones. Refuses with `bad_request`.
  caf::replies_to<atom::compact, compact_request>::with<done>,
  // Enlists a sweeper under its owner name: a new incarnation, earlier leases of it are void; or,
  // after its link was lost, the one it has. The registry monitors the actor, a sweeper; when it
  // goes down its leases are void at once, or after `cluster.link_grace`. Refuses with
  // `bad_request`, `name_taken`, `lease_superseded` (a later incarnation has been here: enlist with
  // a new one).
  caf::replies_to<atom::enlist, worker_card, caf::actor>::with<enlisted>,
  // A standing claim: the sweeper can take this many more rows of these kinds and queues. Answered
  // by grants, each in the transaction that made a row ready where that is possible.
  caf::reacts_to<atom::offer, owner, std::uint32_t, std::vector<std::string>,
                 std::vector<std::string>>,
  // Takes back what is left of the standing claim. Grants on their way still arrive.
  caf::replies_to<atom::withdraw, owner>::with<done>,
  // The timekeeper's alarm or the safety sweep: ends expired leases, serves standing claims.
  caf::reacts_to<atom::sweep>,
  // INTERNAL: the grace of an owner whose link was lost is over.
  caf::reacts_to<atom::lost, owner>,
  // INTERNAL: commits the open batch.
  caf::reacts_to<atom::commit>>::extend_with<observed_actor>;

/// READER: short read-only transactions; a small pool of them.
using reader_actor = caf::typed_actor<
  // Refuses with `unknown_process`.
  caf::replies_to<atom::get, process_id>::with<process_view>,
  // Newest first, a page at a time. Refuses with `bad_request`.
  caf::replies_to<atom::list, list_query>::with<process_page>,
  // The events after a sequence number, oldest first, limit at most. Refuses with
  // `unknown_process`.
  caf::replies_to<atom::events, process_id, event_seq, std::uint32_t>::with<event_page>,
  // The last events, oldest first. Refuses as above.
  caf::replies_to<atom::recent, process_id, std::uint32_t>::with<event_page>,
  // How many events of a type there are up to and including a sequence number. Refuses as above.
  caf::replies_to<atom::count, process_id, std::string, event_seq>::with<std::uint64_t>,
  // The change feed after a position, oldest first; every process stands in it once, at its last
  // change. Refuses with `bad_request`.
  caf::replies_to<atom::changes, std::uint64_t, std::uint32_t>::with<change_page>,
  // The journal after an entry, oldest first, limit entries and about 1 MiB at most. Refuses as
  // above.
  caf::replies_to<atom::journal, process_id, std::uint64_t, std::uint32_t>::with<journal_page>,
  // Attached bytes, by their reference. Refuses as above, and with `bad_request` when the process
  // has nothing of that reference.
  caf::replies_to<atom::attach, process_id, std::string>::with<attachment>,
  // How many live processes run each definition (without one: each kind).
  caf::replies_to<atom::reference>::with<process_counts>,
  // Wakes, oldest first. Refuses with `bad_request`.
  caf::replies_to<atom::wakes, wakes_query>::with<wake_list>,
  // A session's snapshot: what it observes or is woken by, last updated first, each with its last
  // events; a stretch at a time. Refuses with `bad_request`.
  caf::replies_to<atom::session, session_query>::with<session_snapshot>,
  // A full scan of the live store: every checksum, index and invariant. Takes its time; one reader
  // is busy with it.
  caf::replies_to<atom::check>::with<check_report>,
  // What stands in each queue, and how it is worked off.
  caf::replies_to<atom::queues>::with<queue_list>,
  // How many processes there are in each state.
  caf::replies_to<atom::count>::with<process_counts>>::extend_with<observed_actor>;

/// WATCHER: who waits for what.
using watcher_actor = caf::typed_actor<
  // Answers with the outcome once there is one. Refuses with `timed_out` after the given time
  // (`watch.wait_max` at most: ask again; 0 only looks), `unknown_process`, `overloaded`.
  caf::replies_to<atom::wait, process_id, duration_ms>::with<outcome_view>,
  // Answers once there are events after a sequence number, or the process has its outcome; an empty
  // page after the given time. Refuses with `unknown_process`, `overloaded`.
  caf::replies_to<atom::follow, process_id, event_seq, std::uint32_t,
                  duration_ms>::with<event_page>,
  // Answers with the first event of a type after a sequence number. Refuses with `timed_out`,
  // `unknown_process`, `pruned`, `already_terminal` (none will come any more), `overloaded`.
  caf::replies_to<atom::follow, process_id, std::string, event_seq, duration_ms>::with<event>,
  // Answers with the n-th signal of a name (from 1). Refuses as above.
  caf::replies_to<atom::signal, process_id, std::string, std::uint64_t, duration_ms>::with<event>,
  // Answers once a session has a wake that may be taken: 1, or 0 after the given time. Refuses with
  // `overloaded`.
  caf::replies_to<atom::wakes, std::string, duration_ms>::with<done>,
  // From the registry, after each commit: rows with something new.
  caf::reacts_to<atom::changed, std::vector<row_id>>,
  // INTERNAL: the earliest deadline has passed.
  caf::reacts_to<atom::tick>>::extend_with<observed_actor>;

/// TIMEKEEPER: wakes the registry at the next due time or lease expiry; holds one alarm.
using timekeeper_actor = caf::typed_actor<
  // At start: whom to wake (a registry; it is spawned after the timekeeper).
  caf::reacts_to<atom::connect, caf::actor>,
  // Ring in this many milliseconds, unless an earlier alarm is set.
  caf::reacts_to<atom::alarm, duration_ms>,
  // INTERNAL: an alarm; the number tells whether it is still meant.
  caf::reacts_to<atom::tick, std::uint64_t>,
  // INTERNAL: the slow safety sweep.
  caf::reacts_to<atom::sweep>>::extend_with<observed_actor>;

/// What the actors of a worker ask of the registry: it, or an uplink to it.
using worker_registry
  = caf::typed_actor<caf::replies_to<atom::enlist, worker_card, caf::actor>::with<enlisted>,
                     caf::reacts_to<atom::offer, owner, std::uint32_t, std::vector<std::string>,
                                    std::vector<std::string>>,
                     caf::replies_to<atom::withdraw, owner>::with<done>,
                     caf::replies_to<atom::renew, lease>::with<lease>,
                     caf::replies_to<atom::release, lease, std::string>::with<done>,
                     caf::replies_to<atom::release, lease>::with<done>,
                     caf::replies_to<atom::park, park_request>::with<park_receipt>,
                     caf::replies_to<atom::journal, journal_request>::with<journal_receipt>,
                     caf::replies_to<atom::append, append_request>::with<event>,
                     caf::replies_to<atom::complete, lease, outcome>::with<completion>>;

/// What they ask of a reader.
using worker_reader = caf::typed_actor<
  caf::replies_to<atom::journal, process_id, std::uint64_t, std::uint32_t>::with<journal_page>>;

/// What they ask of the watcher.
using worker_watcher = caf::typed_actor<
  caf::replies_to<atom::wait, process_id, duration_ms>::with<outcome_view>,
  caf::replies_to<atom::signal, process_id, std::string, std::uint64_t, duration_ms>::with<event>>;

/// UPLINK: stands for the registry node in a worker node. Connects, and connects again; while there
/// is no link it refuses with `shutting_down`, and what the lost link has left unanswered with
/// `outcome_unknown`.
using uplink_actor
  = worker_registry::extend_with<worker_reader>::extend_with<worker_watcher>::extend<
    // At start: the sweeper that is to be told.
    caf::reacts_to<atom::connect, caf::actor>,
    // INTERNAL: try to connect.
    caf::reacts_to<atom::connect>,
    // INTERNAL: compare clocks.
    caf::reacts_to<atom::tick>>::extend_with<observed_actor>;

/// MEMBERSHIP: which workers are here.
using membership_actor = caf::typed_actor<
  // From the registry: a worker has enlisted.
  caf::reacts_to<atom::enlist, node_info, caf::actor>,
  // Who is here, each asked for its state; who does not answer within a second is "silent".
  caf::replies_to<atom::nodes>::with<node_list>,
  // The kinds that connected workers offer, sorted.
  caf::replies_to<atom::offer>::with<std::vector<std::string>>,
  // Drains a worker: no new rows, what runs gets the given time (ms), the rest is given back.
  // Answers how many were. Refuses with `unknown_node`, `shutting_down`, `timed_out` (it is
  // silent).
  caf::replies_to<atom::drain, std::string, duration_ms>::with<done>,
  // Lets it claim again. Refuses as above.
  caf::replies_to<atom::undrain, std::string>::with<done>,
  // The workers' trees, up to so many processes of each.
  caf::replies_to<atom::tree, std::uint32_t>::with<actor_tree>,
  // The actors of one process on a worker. Refuses with `unknown_node`.
  caf::replies_to<atom::tree, std::string,
                  process_id>::with<actor_tree>>::extend_with<observed_actor>;

/// What a client is given to begin with.
struct welcome {
  std::uint32_t version = protocol_version;
  /// The node's name.
  std::string node;
  registry_actor registry;
  reader_actor reader;
  watcher_actor watcher;
  membership_actor membership;
  /// Most registrations in one message.
  std::uint32_t batch_max = 0;
  /// The kinds that connected workers run.
  std::vector<std::string> tools;
  /// The registry's time, in milliseconds since 1970.
  timestamp_ms now = 0;
  /// Largest message that the node takes from other programs, in bytes; 0: no bound.
  std::uint64_t message_max = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, welcome& x) {
  return f(x.version, x.node, x.registry, x.reader, x.watcher, x.membership, x.batch_max, x.tools,
           x.now, x.message_max);
}

/// NODE: supervises all of the above; the one actor that is published.
using node_actor = caf::typed_actor<
  // The handshake: protocol version and the client's name. Refuses with `protocol_mismatch`,
  // naming both versions, and `shutting_down`.
  caf::replies_to<atom::hello, std::uint32_t, std::string>::with<welcome>,
  // Stops everything in order; with `true` drains first. Answers when all is stopped.
  caf::replies_to<atom::stop, bool>::with<done>,
  // The live actors of the node and of its workers, up to so many processes of each worker. Who
  // does not answer in time is in it without a state. Refuses with `bad_request`.
  caf::replies_to<atom::tree, std::uint32_t>::with<actor_tree>>::extend_with<observed_actor>;

} // namespace belay
