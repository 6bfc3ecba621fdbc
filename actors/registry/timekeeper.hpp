// The timekeeper: wakes the registry when the next due time or lease expiry comes.
#pragma once

#include "messages/protocol.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace belay::actors {

/// Holds one alarm, the earliest it was asked for. The times themselves live in the store's
/// indexes; the registry reads the next one each time it is woken.
struct timekeeper_state {
  static constexpr const char* name = "timekeeper";
  using pointer = timekeeper_actor::stateful_pointer<timekeeper_state>;

  void alarm(duration_ms wait);
  void tick(std::uint64_t number);
  std::string snapshot() const;

  pointer self = nullptr;
  registry_actor registry;
  duration_ms safety_sweep_ms = 30'000;
  /// Numbers alarms: CAF cannot cancel a delayed message, so an outdated one is told by its number.
  std::uint64_t current = 0;
  bool armed = false;
  caf::actor_clock::time_point rings_at;
};

/// `connect` hands over the registry, which is spawned later because it needs this actor's handle.
timekeeper_actor::behavior_type
timekeeper(timekeeper_state::pointer self, duration_ms safety_sweep_ms);

} // namespace belay::actors
