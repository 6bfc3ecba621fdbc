// Membership: which workers are here, what they say of themselves, and orders to them.
#pragma once

#include "actors/cluster/visitors.hpp"
#include "messages/protocol.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <map>

namespace belay::actors {

/// What the MEMBERSHIP actor does. It knows whom the registry has taken in; how busy they are it
/// asks them when somebody wants to know, so that an idle cluster sends nothing for it.
class membership_state {
public:
  static constexpr const char* name = "membership";
  using pointer = membership_actor::stateful_pointer<membership_state>;

  /// `own` is the node itself; its role says whether it has a worker too.
  void start(pointer self, node_info own);
  void enlist(node_info who, const caf::actor& sweeper);
  caf::result<node_list> nodes();
  [[nodiscard]] std::vector<std::string> kinds() const;
  caf::result<done> drain(const std::string& who, duration_ms length);
  caf::result<done> undrain(const std::string& who);
  caf::result<actor_tree> tree(std::uint32_t limit);
  caf::result<actor_tree> tree_of(const std::string& who, const process_id& id);
  [[nodiscard]] std::string snapshot() const;

private:
  struct member {
    node_info shown;
    sweeper_actor sweeper;
  };
  /// A list under way: how many answers are still to come.
  struct collection {
    node_list found;
    std::size_t open = 0;
    caf::typed_response_promise<node_list> promise;
  };

  void down(const caf::down_msg& x);
  [[nodiscard]] caf::error unknown(const std::string& who) const;

  pointer self_ = nullptr;
  node_info own_;
  std::map<std::string, member> members_;
};

membership_actor::behavior_type
membership(membership_state::pointer self, node_info own, std::shared_ptr<visitors> known);

} // namespace belay::actors
