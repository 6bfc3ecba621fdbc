// The inside of a client; shared with the runtime, which makes local ones.
#pragma once

#include "actors/cluster/route.hpp"
#include "actors/node/client.hpp"
#include "actors/node/courier.hpp"
#include "actors/node/system_config.hpp"

#include <caf/actor_system.hpp>
#include <future>
#include <thread>

namespace belay::actors {

struct client::impl {
  /// Only of a remote client; declared first, so that handles die before the system.
  std::unique_ptr<system_config> config;
  std::shared_ptr<const route> way;
  std::unique_ptr<caf::actor_system> own_system;
  /// Who made the system, and should end it.
  std::thread::id maker = std::this_thread::get_id();
  caf::actor courier;
  std::shared_ptr<errand_queue> queue = std::make_shared<errand_queue>();

  /// What the last handshake said; the courier's thread writes it.
  struct greeting {
    std::mutex mutex;
    welcome node;
  };
  std::shared_ptr<greeting> greeted = std::make_shared<greeting>();

  ~impl();

  /// Starts the courier and waits for its first handshake. `setup` says how to dial.
  [[nodiscard]] std::optional<refusal> open(caf::actor_system& system, courier_setup setup);

  /// Sends a request to one of the node's actors and waits for its answer. Such a request can be
  /// repeated: it comes to the same as when it is done once.
  template <class Answer, class Far, class Handle, class... Ts>
  checked<Answer> ask(Handle Far::*to, std::chrono::milliseconds deadline, Ts... content);

  /// The same for a request that is not sent again when its answer was lost.
  template <class Answer, class Far, class Handle, class... Ts>
  checked<Answer> ask_once(Handle Far::*to, std::chrono::milliseconds deadline, Ts... content);

  template <class Answer, class Far, class Handle, class... Ts>
  checked<Answer>
  run(bool repeatable, Handle Far::*to, std::chrono::milliseconds deadline, Ts... content);
};

} // namespace belay::actors
