// How every belay program sets up its actor system.
#pragma once

#include "actors/node/link_policy.hpp"

#include <caf/actor_system_config.hpp>

namespace belay::actors {

/// CAF's settings in one place. Policy `sharing` with as many threads as cores: the default policy
/// polls when idle and collapses when many actors are spawned (docs/decisions/0002).
struct system_config : caf::actor_system_config {
  /// `network`: load the middleman. `threads`: of the scheduler; 0 means one for each core.
  explicit system_config(bool network, std::size_t threads = 0, link_policy link = {});
};

} // namespace belay::actors
