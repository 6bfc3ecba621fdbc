// The registry: the only writer of the store.
#pragma once

#include "actors/clock.hpp"
#include "actors/cluster/visitors.hpp"
#include "actors/metrics/registry_instruments.hpp"
#include "actors/registry/retention.hpp"
#include "actors/trace/registry_trace.hpp"
#include "messages/protocol.hpp"
#include "storage/store.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>
#include <map>
#include <memory>

namespace belay::actors {

/// The `[registry]` and `[lease]` sections of the configuration.
struct registry_policy {
  /// Most operations in one batch.
  std::size_t batch_ops_max = 1'024;
  /// Most bytes of inputs, payloads and outcomes in one batch.
  std::size_t batch_bytes_max = 8U << 20;
  /// Most registrations in one message.
  std::size_t register_max = 1'000;
  /// How long a claim or a renewal lasts.
  duration_ms ttl_ms = 30'000;
  /// The owner name of this node's own worker: its former incarnations are dead at start.
  std::string local_owner = "local";
  /// The run of this node's own worker: only it may have that name.
  std::uint64_t local_run = 0;
  /// How long the leases of a worker outlive its link, where its end was not said: 0 lets others
  /// take its rows at once.
  duration_ms link_grace_ms = 0;
  retention_policy retention;
};

/// Before and after a batch is applied.
enum class commit_point { before, after };

/// What the registry needs from outside itself.
struct registry_links {
  std::shared_ptr<storage::store> store;
  std::shared_ptr<const registry_clock> clock;
  std::function<std::uint64_t()> random;
  watcher_actor watcher;
  timekeeper_actor timekeeper;
  membership_actor membership;
  /// Called on a fault of the store, after every waiting caller has its answer. In a program it
  /// ends the process: a failed sync is never retried.
  std::function<void(const std::string&)> on_fault;
  /// Where a test lets the program die. Answers whether the registry goes on; otherwise it ends at
  /// once and answers nobody. May be empty.
  std::function<bool(commit_point)> at_commit;
  /// None: nobody comes from outside.
  std::shared_ptr<visitors> known;
  /// None: nothing is counted.
  std::shared_ptr<metrics::registry_instruments> meter;
  /// None: no traces.
  std::shared_ptr<tracing::registry_trace> trace;
};

/// What the REGISTRY does, one method per message. Operations gather in `batch_`; the `commit`
/// message that the first of them sends stands behind all that was queued at that time, so while
/// one sync runs the next batch gathers by itself.
class registry_state {
public:
  static constexpr const char* name = "registry";
  using pointer = registry_actor::stateful_pointer<registry_state>;

  void start(pointer self, registry_links links, registry_policy policy);

  caf::result<registered_list> enroll(std::vector<registration> items);
  caf::result<park_receipt> park(park_request request);
  caf::result<journal_receipt> journal(journal_request request);
  caf::result<enlisted> enlist(worker_card card, const caf::actor& sweeper);
  void give_up(const owner& who);
  caf::result<cancel_receipt> cancel(cancel_request request);
  void offer(const owner& who, std::uint32_t slots, std::vector<std::string> kinds,
             std::vector<std::string> queues);
  done withdraw(const owner& who);
  void sweep();
  void commit();
  std::string snapshot();
  void stop();

  /// Puts an operation into the batch; answers its caller after the commit.
  template <class Answer>
  caf::result<Answer> submit(operation op, std::size_t bytes = 0);

  [[nodiscard]] const std::shared_ptr<visitors>& known() const {
    return links_.known;
  }

  [[nodiscard]] duration_ms ttl() const {
    return policy_.ttl_ms;
  }

private:
  struct worker {
    worker_card card;
    owner who;
    sweeper_actor sweeper;
    std::uint32_t credit = 0;
    /// Its place in the turn, see `grant_list`.
    std::uint64_t turn = 0;
  };

  using answer_function = std::function<void(answer&)>;

  void enqueue(operation op, std::size_t bytes, answer_function answered);
  [[nodiscard]] std::optional<refusal> name_taken(const worker_card& card) const;
  /// Whether the sender of the message at hand is of this node, or nobody in particular of ours.
  [[nodiscard]] bool speaks_for(const caf::node_id& node) const;
  void take_in(worker_card card, const owner& who, const sweeper_actor& sweeper);
  void void_leases(const owner& who);
  void add_grants();
  /// Has the standing claims looked at, in the next batch.
  void serve();
  void deliver(worker& to, claimed_list rows);
  void refuse_all(const refusal& no);
  /// An error for what is refused before it comes into a batch.
  [[nodiscard]] caf::error refused(ec code, std::string text);
  /// Counts the workers.
  void count_workers();
  void vanish();
  void retain();
  void prune_more(prune_request request);
  void after_commit(const storage::batch_result& result);
  void consider_alarm(timestamp_ms at);
  void down(const caf::down_msg& x);
  void push_cancel(const storage::cancel_push& x);
  [[nodiscard]] storage::batch_context context() const;

  pointer self_ = nullptr;
  registry_links links_;
  registry_policy policy_;
  std::vector<operation> batch_;
  std::vector<answer_function> answers_;
  std::size_t batch_bytes_ = 0;
  bool commit_queued_ = false;
  bool stopping_ = false;
  /// Whether a row may have become claimable since the standing claims were last served.
  bool ready_hint_ = true;
  /// When the timekeeper rings next; 0 when it does not.
  timestamp_ms alarm_at_ = 0;
  std::map<std::string, worker> workers_;
  /// Runs that are enlisting, by name.
  std::map<std::string, std::uint64_t> enlisting_;
  struct silent_owner {
    owner who;
    caf::actor_clock::time_point until;
  };

  /// Owners whose link was lost, and whose leases are not void yet.
  std::map<std::string, silent_owner> silent_;
  /// The lowest turn of those who were last granted rows: who comes back does not make up for it.
  std::uint64_t turn_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t refused_ = 0;
  /// Rows that were given to workers.
  std::uint64_t claims_ = 0;
  std::uint64_t pruned_ = 0;
  /// Pruning messages on their way: the next round waits for them.
  std::uint32_t pruning_ = 0;
  /// When old outcomes were last looked for.
  timestamp_ms retained_at_ = 0;
  /// Commits in a row that found the disk full.
  std::uint64_t full_ = 0;
};

/// Waits for the disk: spawn it `caf::detached`. Ends on an exit message, after it has answered
/// all.
registry_actor::behavior_type
registry(registry_state::pointer self, registry_links links, registry_policy policy);

} // namespace belay::actors
