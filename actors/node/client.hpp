// A client of a node: the operations of the registry as plain calls that block.
//
// Free of CAF. Concurrency: any number of threads.
#pragma once

#include "actors/node/link_policy.hpp"
#include "messages/actor_view.hpp"
#include "messages/membership.hpp"
#include "messages/operations.hpp"
#include "messages/session_snapshot.hpp"

#include <filesystem>
#include <memory>

namespace caf {
class actor_system;
}

namespace belay::actors {

struct client_options {
  /// How long one try to connect may take, in milliseconds.
  duration_ms timeout_ms = 5'000;
  /// How long a request waits for a lost node to come back, in milliseconds; 0: not at all.
  duration_ms reconnect_for_ms = 30'000;
  /// Directory with ca.pem, cert.pem and key.pem, as `belay tls issue` makes it; empty: plain TCP,
  /// which reaches this machine only.
  std::filesystem::path tls;
  /// Whether plain TCP may go to another machine, which is to trust the whole network.
  bool plain_anywhere = false;
  link_policy link;
};

/// Every call answers, or refuses within its deadline. When the node is lost, a request that can be
/// repeated is sent again once it is back: ids and idempotency keys, which are made where none was
/// given, see to it that it has happened once. One that cannot (`requeue`, `again`, `abandon`,
/// `transfer`, taking and settling wakes) is refused with `outcome_unknown` when its answer was
/// lost. `shutting_down`: the node is gone and did not come back in time.
class client {
public:
  /// Connects to a node. Refuses with `shutting_down` (nobody listens or answers there),
  /// `protocol_mismatch`, or `bad_request` (plain TCP to another machine, certificates that cannot
  /// be used or do not fit).
  [[nodiscard]] static checked<std::unique_ptr<client>>
  connect(const std::string& host, std::uint16_t port, const client_options& options = {});

  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Registers all or none; at most `batch_max()` in one call.
  [[nodiscard]] checked<registered_list> enroll(std::vector<registration> items);
  /// Waits for the outcome by push. Refuses with `timed_out` after `timeout` (0: no bound).
  [[nodiscard]] checked<outcome_view> wait(const process_id& id, duration_ms timeout);
  [[nodiscard]] checked<process_view> get(const process_id& id);
  [[nodiscard]] checked<process_page> list(const list_query& query);
  [[nodiscard]] checked<process_counts> counts();
  [[nodiscard]] checked<event_page>
  events(const process_id& id, event_seq after, std::uint32_t limit);
  /// Like `events`, but waits up to `length` for the next one.
  [[nodiscard]] checked<event_page>
  follow(const process_id& id, event_seq after, std::uint32_t limit, duration_ms length);
  [[nodiscard]] checked<event> append(append_request request);
  [[nodiscard]] checked<cancel_receipt> cancel(const cancel_request& request);
  [[nodiscard]] checked<completion> settle(const settle_request& request);
  [[nodiscard]] checked<abandon_receipt> abandon(const abandon_request& request);
  [[nodiscard]] checked<done> requeue(const requeue_request& request);
  [[nodiscard]] checked<registered_list> again(const again_request& request);
  [[nodiscard]] checked<done> set_external_ref(const external_ref_request& request);
  [[nodiscard]] checked<done> observe(const observe_request& request);
  [[nodiscard]] checked<done> transfer(const transfer_request& request);
  [[nodiscard]] checked<session_report> forget_session(const std::string& session);
  /// A stretch of a session's snapshot.
  [[nodiscard]] checked<session_snapshot> session(const session_query& query);
  [[nodiscard]] checked<done> retarget(const retarget_request& request);
  [[nodiscard]] checked<wake_list> wakes(const wakes_query& query);
  [[nodiscard]] checked<wake_list> take_wakes(const take_wakes_request& request);
  [[nodiscard]] checked<done> settle_wake(const settle_wake_request& request);
  /// Waits until a session has a wake that may be taken: 1, or 0 after the given time.
  [[nodiscard]] checked<done> wait_wake(const std::string& session, duration_ms length);
  /// Waits for the first event of a type after a sequence number.
  [[nodiscard]] checked<event>
  wait_event(const process_id& id, const std::string& type, event_seq after, duration_ms length);
  [[nodiscard]] checked<event_page> recent_events(const process_id& id, std::uint32_t limit);
  [[nodiscard]] checked<std::uint64_t>
  count_events(const process_id& id, const std::string& type, event_seq through);
  [[nodiscard]] checked<change_page> changes_since(std::uint64_t position, std::uint32_t limit);
  /// The journal of a workflow after an entry.
  [[nodiscard]] checked<journal_page>
  journal(const process_id& id, std::uint64_t after, std::uint32_t limit);
  /// Attached bytes, by the reference that `get` lists.
  [[nodiscard]] checked<attachment> attached(const process_id& id, const std::string& ref);
  /// The node's own state as JSON text.
  [[nodiscard]] checked<std::string> node_snapshot();
  /// The registry's.
  [[nodiscard]] checked<std::string> registry_snapshot();
  /// The live actors of the node and its workers, `limit` processes of each worker at most.
  [[nodiscard]] checked<actor_tree> tree(std::uint32_t limit);
  /// The actors of a process on the worker that holds it. Refuses with `unknown_node`.
  [[nodiscard]] checked<actor_tree> actors_of(const std::string& worker, const process_id& id);
  [[nodiscard]] checked<process_counts> live_references();
  /// What stands in each queue, and how it is worked off.
  [[nodiscard]] checked<queue_list> queues();
  /// Pauses a queue, resumes it, bounds it.
  [[nodiscard]] checked<queue_settings> configure(const queue_request& request);
  [[nodiscard]] checked<prune_report> prune(const prune_request& request);
  [[nodiscard]] checked<done> compact_tombstones(const compact_request& request);
  /// A full scan of the live store.
  [[nodiscard]] checked<check_report> check();

  /// Who is in the cluster. A worker that does not answer within a second is "silent".
  [[nodiscard]] checked<node_list> nodes();
  /// Drains a worker: no new rows, what runs gets `length`, the rest is given back; `done` says how
  /// many. Refuses with `unknown_node`.
  [[nodiscard]] checked<done> drain(const std::string& node, duration_ms length);
  /// Lets it claim again; 0 where it was not drained.
  [[nodiscard]] checked<done> undrain(const std::string& node);

  [[nodiscard]] std::uint32_t batch_max() const;
  /// Largest message that the node takes, in bytes; 0: no bound. Larger ones are refused with
  /// `bad_request` before they are sent.
  [[nodiscard]] std::uint64_t message_max() const;
  [[nodiscard]] std::string node_name() const;
  /// The kinds that connected workers ran at the last handshake.
  [[nodiscard]] std::vector<std::string> tools() const;

private:
  friend class runtime;
  struct impl;
  explicit client(std::unique_ptr<impl> x);
  std::unique_ptr<impl> impl_;
};

} // namespace belay::actors

namespace belay {

using actors::client;
using actors::client_options;

} // namespace belay
