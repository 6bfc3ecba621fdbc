// The sweeper: one per worker; turns granted rows into process actors.
#pragma once

#include "actors/running/tool.hpp"
#include "actors/ticks.hpp"
#include "actors/worker/alarms.hpp"
#include "actors/worker/worker_links.hpp"
#include "messages/protocol.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

namespace belay::actors {

/// The `[worker]` and `[lease]` sections of the configuration.
struct worker_policy {
  /// What it says of itself; kinds and slots are filled in.
  worker_card card;
  /// Rows held at once.
  std::uint32_t slots = 64;
  /// Kinds to claim; empty: all that the toolbox has.
  std::vector<std::string> offer;
  /// Queues to take from; empty means all.
  std::vector<std::string> queues;
  /// From the cancel to the kill.
  duration_ms cancel_grace_ms = 10'000;
  /// Pause between renewals; a third of the lease's length at most, so that it survives two missed
  /// ones.
  duration_ms renew_interval_ms = 10'000;
  /// Processes that wait in memory, without a slot; beyond that they park at once.
  std::uint32_t waiting_max = 10'000;
  workflow_policy workflow;
  /// Told, in the sweeper's turn, when the registry has taken it in, and when the link to it is
  /// lost. May be empty.
  std::function<void(bool)> on_enlisted;
};

/// What the SWEEPER does. It offers its free slots as a standing claim and keeps an account:
/// offered plus busy never exceeds `slots`, but where one that waited goes on meanwhile.
/// A process that waits gives its slot away and asks for one before it goes on. It also rings the
/// alarms of its process actors and lease keepers, because a delayed message cannot be cancelled
/// and would keep a dead actor in memory.
class sweeper_state {
public:
  static constexpr const char* name = "sweeper";
  using pointer = sweeper_actor::stateful_pointer<sweeper_state>;

  void start(pointer self, worker_links links, worker_policy policy);
  void grant(claimed_list rows);
  void cancel(row_id row, fencing_token fence, bool kill);
  void enlist();
  void link_lost(const std::string& why);
  void idle(std::uint64_t number);
  void resume(std::uint64_t number);
  void alarm(std::uint64_t number, bool keeper, std::uint32_t tag, duration_ms delay);
  void tick();
  caf::result<done> drain(duration_ms length);
  done undrain();
  caf::result<actor_tree> tree(std::uint32_t limit);
  caf::result<actor_tree> tree_of(const process_id& id);
  [[nodiscard]] std::string snapshot() const;

private:
  struct slot {
    lease held;
    process_actor process;
    lease_keeper_actor keeper;
    /// It runs nothing and takes no slot.
    bool idle = false;
    /// It waits for a slot.
    bool queued = false;
  };

  void run(claimed row);
  /// Gives a free slot to the first that waits for one, or offers it.
  void slot_freed();
  [[nodiscard]] std::uint32_t busy() const;
  void give_back(const claimed& row);
  void down(const caf::down_msg& x);
  [[nodiscard]] std::vector<std::string> kinds() const;
  void taken_in(const enlisted& x);
  void not_taken_in(const refusal& why);
  void withdrawn();
  void offer_free();
  void arm();
  void stop();
  /// Tells the instruments how things stand.
  void count() const;
  void release_all(const std::string& reason);
  void finish_drain_if_idle();

  pointer self_ = nullptr;
  worker_links links_;
  worker_policy policy_;
  owner who_;
  /// Whether the registry knows of us, as far as we know.
  bool enlisted_ = false;
  /// How often in a row the registry did not take us.
  std::uint64_t refusals_ = 0;
  duration_ms ttl_ms_ = 0;
  std::uint64_t last_slot_ = 0;
  std::map<std::uint64_t, slot> slots_;
  std::uint32_t idle_ = 0;
  /// What is left of the standing claim.
  std::uint32_t offered_ = 0;
  /// Those that want a slot, in order.
  std::deque<std::uint64_t> queue_;
  std::map<caf::actor_addr, std::uint64_t> by_process_;
  alarms alarms_;
  ticks ticks_;
  bool draining_ = false;
  bool releasing_ = false;
  /// Whether the registry grants nothing any more.
  bool withdrawn_ = false;
  std::vector<caf::typed_response_promise<done>> drained_;
  std::uint64_t released_ = 0;
  std::uint64_t started_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t lost_ = 0;
};

sweeper_actor::behavior_type
sweeper(sweeper_state::pointer self, worker_links links, worker_policy policy);

} // namespace belay::actors
