// The lease keeper: renews one lease, and says so when it is lost.
#pragma once

#include "actors/metrics/worker_instruments.hpp"
#include "messages/protocol.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace belay::actors {

struct keeper_setup {
  lease held;
  std::uint64_t slot = 0;
  worker_registry registry;
  sweeper_actor sweeper;
  process_actor process;
  duration_ms ttl_ms = 0;
  duration_ms renew_interval_ms = 0;
  /// None: nothing is counted.
  std::shared_ptr<metrics::worker_instruments> meter;
};

/// What the LEASE KEEPER does. It judges by its own steady clock: the lease has run out `ttl` after
/// the last *successful* renewal was *sent*, which is before the registry may give the row away.
class lease_keeper_state {
public:
  static constexpr const char* name = "lease-keeper";
  using pointer = lease_keeper_actor::stateful_pointer<lease_keeper_state>;

  void start(pointer self, keeper_setup setup);
  void alarm(std::uint32_t number);
  void renew_now();
  [[nodiscard]] std::string snapshot() const;

private:
  using time_point = caf::actor_clock::time_point;

  void renew();
  void lose(const std::string& why);
  void set_alarm(caf::actor_clock::duration_type delay);
  [[nodiscard]] time_point now() const;

  pointer self_ = nullptr;
  keeper_setup setup_;
  time_point deadline_;
  time_point next_renewal_;
  bool renewing_ = false;
  bool lost_ = false;
  /// Numbers alarms: an outdated one is told by its number.
  std::uint32_t current_alarm_ = 0;
  std::uint64_t renewals_ = 0;
};

lease_keeper_actor::behavior_type
lease_keeper(lease_keeper_state::pointer self, keeper_setup setup);

} // namespace belay::actors
