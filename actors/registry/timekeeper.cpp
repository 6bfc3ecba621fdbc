#include "actors/registry/timekeeper.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

void timekeeper_state::alarm(duration_ms wait) {
  if (wait > safety_sweep_ms) {
    return; // The safety sweep comes first, and asks again.
  }
  const auto delay = std::chrono::milliseconds{std::max<duration_ms>(wait, 1)};
  const auto at = self->clock().now() + delay;
  if (armed && rings_at <= at) {
    return;
  }
  armed = true;
  rings_at = at;
  self->delayed_send(self, delay, atom::tick_v, ++current);
}

void timekeeper_state::tick(std::uint64_t number) {
  if (number != current) {
    return;
  }
  armed = false;
  if (registry) {
    self->send(registry, atom::sweep_v);
  }
}

std::string timekeeper_state::snapshot() const {
  return nlohmann::json{{"actor", name}, {"armed", armed}, {"alarms", current}}.dump();
}

timekeeper_actor::behavior_type
timekeeper(timekeeper_state::pointer self, duration_ms safety_sweep_ms) {
  install_fault_handlers(self, component::registry);
  auto& state = self->state;
  state.self = self;
  state.safety_sweep_ms = safety_sweep_ms;
  self->delayed_send(self, std::chrono::milliseconds{safety_sweep_ms}, atom::sweep_v);
  return {
    [&state](atom::connect, const caf::actor& registry) {
      state.registry = caf::actor_cast<registry_actor>(registry);
    },
    [&state](atom::alarm, duration_ms wait) { state.alarm(wait); },
    [&state](atom::tick, std::uint64_t number) { state.tick(number); },
    [&state, self](atom::sweep) {
      if (state.registry) {
        self->send(state.registry, atom::sweep_v);
      }
      self->delayed_send(self, std::chrono::milliseconds{state.safety_sweep_ms}, atom::sweep_v);
    },
    [&state](atom::snapshot) { return state.snapshot(); },
  };
}

} // namespace belay::actors
