// The inside of a client; shared with the runtime, which makes local ones.
#pragma once

#include "actors/node/client.hpp"
#include "actors/node/system_config.hpp"
#include "messages/protocol.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

namespace belay::actors {

struct client::impl {
  /// Only of a remote client; declared first, so that handles die before the system.
  std::unique_ptr<system_config> config;
  std::unique_ptr<caf::actor_system> own_system;
  caf::actor_system* system = nullptr;
  welcome node;
  node_actor supervisor;
  std::unique_ptr<caf::scoped_actor> self;

  ~impl();

  /// Sends a request and waits for its answer.
  template <class Answer, class Handle, class... Ts>
  checked<Answer> ask(const Handle& to, std::chrono::milliseconds deadline, Ts&&... content);

  /// Shakes hands with a node actor.
  [[nodiscard]] checked<welcome> greet(const node_actor& to, std::chrono::milliseconds deadline);
};

} // namespace belay::actors
