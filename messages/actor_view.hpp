// Actors as they are looked at.
#pragma once

#include "messages/ids.hpp"
#include "messages/inspect.hpp"

#include <string>
#include <vector>

namespace belay {

/// One actor: where it stands in the tree of those that have spawned each other, and its state.
struct actor_view {
  /// 0 is the root.
  std::uint32_t depth = 0;
  /// As in "registry", "w1/sweeper", "w1/process/ID", "w1/keeper/ID".
  std::string name;
  /// JSON text; empty when it did not answer in time.
  std::string state_json;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, actor_view& x) {
  using inspection::field;
  return inspection::object(f, "actor_view", field("depth", x.depth), field("name", x.name),
                            field("state", x.state_json));
}

/// Actors in the order of the tree.
struct actor_tree {
  std::vector<actor_view> actors;
  /// Processes that were not looked at because of the limit.
  std::uint64_t left_out = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, actor_tree& x) {
  using inspection::field;
  return inspection::object(f, "actor_tree", field("actors", x.actors),
                            field("left_out", x.left_out));
}

} // namespace belay
