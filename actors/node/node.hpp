// The node: spawns the actors of one node in order, supervises them, stops them in order.
#pragma once

#include "actors/cluster/uplink.hpp"
#include "actors/cluster/visitors.hpp"
#include "actors/metrics/readiness.hpp"
#include "actors/registry/registry.hpp"
#include "actors/registry/watcher.hpp"
#include "actors/running/tool.hpp"
#include "actors/trace/tracer.hpp"
#include "actors/worker/sweeper.hpp"
#include "messages/protocol.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <optional>

namespace belay::actors {

struct node_setup {
  std::string name = "local";
  /// None in a worker node.
  std::shared_ptr<storage::store> store;
  std::shared_ptr<const registry_clock> clock;
  std::function<std::uint64_t()> random;
  std::shared_ptr<const running::toolbox> tools;
  /// Where the code of workflows runs.
  code_runner run_code;
  /// Code that was told to stop and has not returned. May be empty.
  std::function<std::vector<running::stuck_code>()> stuck;
  registry_policy registry;
  worker_policy worker;
  watch_policy watch;
  /// Whether it runs processes itself.
  bool works = true;
  /// Of a worker node: where its registry is. `dial` is empty in a registry node.
  uplink_setup uplink;
  std::size_t readers = 2;
  /// Who may come from other nodes. None: nobody.
  std::shared_ptr<visitors> known;
  /// Largest message that they may send, in bytes; told to clients.
  std::uint64_t message_max = 0;
  duration_ms safety_sweep_ms = 30'000;
  duration_ms drain_timeout_ms = 30'000;
  std::function<bool(commit_point)> at_commit;
  /// Whether the registry, and a check of the store, get threads of their own; off only where a
  /// test owns the scheduler.
  bool detach_registry = true;
  /// Called when the registry faults or another actor ends that should not.
  std::function<void(const std::string&)> on_fault;
  /// None: nothing is counted.
  std::shared_ptr<metrics::registry_instruments> registry_meter;
  std::shared_ptr<metrics::worker_instruments> worker_meter;
  /// Told once who is there. May be empty.
  std::function<void(const metrics::parts&)> on_started;
  /// None: no traces.
  std::shared_ptr<const tracing::tracer> tracer;
};

/// What the NODE does. Start order: watcher, timekeeper, membership, registry, readers, sweeper.
/// Stop order: the sweeper (drained when asked), then timekeeper, membership, watcher, readers, and
/// last the registry, which first commits and answers all that reached it. A worker node has an
/// uplink and a sweeper only.
class node_state {
public:
  static constexpr const char* name = "node";
  using pointer = node_actor::stateful_pointer<node_state>;

  void start(pointer self, node_setup setup);
  caf::result<welcome> hello(std::uint32_t version, const std::string& client);
  caf::result<done> stop(bool drain);
  caf::result<actor_tree> tree(std::uint32_t limit);
  [[nodiscard]] std::string snapshot() const;

  [[nodiscard]] const std::shared_ptr<visitors>& known() const {
    return setup_.known;
  }

private:
  void start_registry();
  void start_worker();
  template <class Handle>
  void adopt(const Handle& child);
  /// The same for one that other nodes may address.
  template <class Handle>
  void show(const Handle& child);
  void down(const caf::down_msg& x);
  void begin_stop();
  void stop_next();

  pointer self_ = nullptr;
  node_setup setup_;
  watcher_actor watcher_;
  timekeeper_actor timekeeper_;
  membership_actor membership_;
  registry_actor registry_;
  uplink_actor uplink_;
  std::vector<reader_actor> readers_;
  sweeper_actor sweeper_;
  std::size_t next_reader_ = 0;
  /// Still alive, in stop order.
  std::deque<caf::actor> children_;
  bool draining_ = false;
  bool stopping_ = false;
  std::vector<caf::typed_response_promise<done>> stopped_;
  std::uint64_t clients_ = 0;
};

node_actor::behavior_type node(node_state::pointer self, node_setup setup);

} // namespace belay::actors
