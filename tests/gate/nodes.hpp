// CAF systems on both sides of a gate.
#pragma once

#include "actors/gate/gate.hpp"
#include "actors/node/system_config.hpp"
#include "tests/gate/authority.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>

namespace belay::tests {

/// A node with one actor that returns what it is told, behind a gate.
class served_node {
public:
  served_node() {
    actor = system.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      self->set_down_handler([this](const caf::down_msg&) { downs.put("down"); });
      return {[](const std::string& text) { return text; },
              [this, self](std::uint64_t /*anything*/) {
                self->monitor(self->current_sender());
                senders.put(to_string(self->current_sender()->node()));
                return std::uint64_t{1};
              }};
    });
    const auto found = system.middleman().publish(actor, 0, "127.0.0.1");
    REQUIRE(found);
    target = *found;
    options.target_port = target;
    options.node = to_string(system.node());
    options.on_closed = [this](const std::string&, const std::string& why) { closed.put(why); };
  }

  ~served_node() {
    door.reset();
    caf::anon_send_exit(actor, caf::exit_reason::kill);
    actor = nullptr;
  }

  served_node(const served_node&) = delete;
  served_node& operator=(const served_node&) = delete;

  void open() {
    auto made = gates::gate::open(options);
    if (!made) {
      FAIL(made.why().text);
    }
    door = std::move(*made);
  }

  actors::system_config config{true, 2};
  caf::actor_system system{config};
  caf::actor actor;
  std::uint16_t target = 0;
  gates::gate_options options;
  std::unique_ptr<gates::gate> door;
  /// Why connections were closed.
  mailbox closed;
  mailbox senders;
  mailbox downs;
};

/// A program that asks the actor of a node.
class asking_node {
public:
  /// Returns why it could not connect.
  std::string
  connect(std::uint16_t port, std::chrono::seconds patience = std::chrono::seconds{20}) {
    std::string why;
    self
      ->request(system.middleman().actor_handle(), patience, caf::connect_atom_v,
                std::string{"127.0.0.1"}, port)
      .receive(
        [this, &why](const caf::node_id&, caf::strong_actor_ptr& found,
                     const std::set<std::string>&) {
          actor = caf::actor_cast<caf::actor>(found);
          why = found ? "" : "nothing is published there";
        },
        [this, &why](const caf::error& x) { why = system.render(x); });
    return why;
  }

  std::string ask(const std::string& text) {
    std::string answer;
    self->request(actor, std::chrono::seconds{20}, text)
      .receive([&answer](const std::string& x) { answer = x; },
               [this, &answer](const caf::error& x) { answer = system.render(x); });
    return answer;
  }

  /// Waits until the node is gone.
  void wait_down() {
    self->monitor(actor);
    bool gone = false;
    self->receive([&gone](const caf::down_msg&) { gone = true; },
                  caf::after(std::chrono::seconds{20}) >> [] {});
    CHECK(gone);
  }

  actors::system_config config{true, 2};
  caf::actor_system system{config};
  caf::actor actor;
  caf::scoped_actor self{system};
};

} // namespace belay::tests
