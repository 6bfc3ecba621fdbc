// Reaching a node actor over the network.
#pragma once

#include "messages/protocol.hpp"
#include "messages/wire_error.hpp"

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <chrono>
#include <functional>
#include <set>
#include <string>

namespace belay::actors {

/// One try; CAF answers sooner where nobody listens.
inline constexpr std::chrono::seconds dial_deadline{5};

/// Looks for the node actor at HOST:PORT and calls one of the two, in the asking actor's own turn.
/// Refuses with `shutting_down` (nobody listens, nothing is published) or `timed_out`.
template <class Self>
void dial(Self* self, const std::string& host, std::uint16_t port,
          std::chrono::milliseconds deadline, std::function<void(node_actor)> reached,
          std::function<void(const refusal&)> failed) {
  self
    ->request(self->system().middleman().actor_handle(), deadline, caf::connect_atom_v, host, port)
    .then(
      [reached, failed](const caf::node_id&, caf::strong_actor_ptr& found,
                        const std::set<std::string>&) {
        if (found) {
          reached(caf::actor_cast<node_actor>(found));
        } else {
          failed({ec::shutting_down, "nothing is published there"});
        }
      },
      [failed](const caf::error& why) { failed(to_refusal(why)); });
}

} // namespace belay::actors
