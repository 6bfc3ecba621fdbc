#include "actors/gate/peer_book.hpp"

namespace belay::gates {

std::optional<std::string>
peer_book::enter(const void* connection, const peer& one, std::uint64_t now_ns) {
  const std::lock_guard guard{mutex_};
  std::erase_if(gone_, [now_ns](const auto& x) { return x.second.until_ns <= now_ns; });
  if (const auto found = present_.find(one.node); found != present_.end()) {
    return "node id " + to_string(one.node) + " is in use by the connection from "
           + found->second.address;
  }
  if (const auto found = gone_.find(one.node);
      found != gone_.end() && found->second.name != one.who.name) {
    return "node id " + to_string(one.node) + " was just in use by '" + found->second.name + "'";
  }
  gone_.erase(one.node);
  present_.emplace(one.node, one);
  by_connection_.emplace(connection, one.node);
  return std::nullopt;
}

void peer_book::leave(const void* connection, std::uint64_t now_ns) {
  const std::lock_guard guard{mutex_};
  const auto found = by_connection_.find(connection);
  if (found == by_connection_.end()) {
    return;
  }
  const auto one = present_.find(found->second);
  gone_[one->first] = {one->second.who.name, now_ns + hold_ns};
  present_.erase(one);
  by_connection_.erase(found);
}

std::optional<peer> peer_book::find(const node_key& node) const {
  const std::lock_guard guard{mutex_};
  const auto found = present_.find(node);
  return found == present_.end() ? std::nullopt : std::optional{found->second};
}

std::vector<peer> peer_book::all() const {
  const std::lock_guard guard{mutex_};
  std::vector<peer> result;
  for (const auto& [node, one] : present_) {
    result.push_back(one);
  }
  return result;
}

} // namespace belay::gates
