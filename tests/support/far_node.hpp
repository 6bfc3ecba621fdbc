// A plain CAF program that talks to the actors of a node in another process.
#pragma once

#include "actors/node/system_config.hpp"
#include "messages/protocol.hpp"
#include "messages/wire_error.hpp"

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace belay::tests {

class far_node {
public:
  explicit far_node(std::uint16_t port) {
    auto found = system_.middleman().remote_actor<node_actor>("127.0.0.1", port);
    if (!found) {
      throw std::runtime_error{system_.render(found.error())};
    }
    supervisor = *found;
    caf::scoped_actor self{system_};
    self->request(supervisor, patience, atom::hello_v, protocol_version, std::string{"test"})
      .receive([this](const welcome& x) { to = x; },
               [this](const caf::error& no) { throw std::runtime_error{system_.render(no)}; });
  }

  ~far_node() {
    supervisor = nullptr;
    to = {};
  }

  far_node(const far_node&) = delete;
  far_node& operator=(const far_node&) = delete;

  /// Returns an actor's state.
  template <class Handle>
  nlohmann::json snapshot(const Handle& of) {
    caf::scoped_actor self{system_};
    nlohmann::json state;
    self->request(of, patience, atom::snapshot_v)
      .receive([&state](const std::string& text) { state = nlohmann::json::parse(text); },
               [this](const caf::error& no) { throw std::runtime_error{system_.render(no)}; });
    return state;
  }

private:
  static constexpr std::chrono::seconds patience{20};

  actors::system_config config_{true, 2};
  caf::actor_system system_{config_};

public:
  node_actor supervisor;
  welcome to;
};

} // namespace belay::tests
