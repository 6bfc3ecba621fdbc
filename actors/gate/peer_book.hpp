// Which node has come in over which connection.
#pragma once

#include "actors/gate/gate.hpp"

#include <map>
#include <mutex>

namespace belay::gates {

/// Invariants: a node is entered by one connection at a time. For `hold_ns` after that has ended,
/// its id is let only to the bearer of the same certificate's name: messages that came over the old
/// connection may still be waiting in a mailbox, and are judged by the id alone.
///
/// Concurrency: every member from any thread. `connection` is a name, never looked into.
class peer_book {
public:
  /// Chosen: far longer than the registry ever is behind its mailbox.
  static constexpr std::uint64_t hold_ns = 30'000'000'000;

  /// Returns why the node may not come in.
  [[nodiscard]] std::optional<std::string>
  enter(const void* connection, const peer& one, std::uint64_t now_ns);
  void leave(const void* connection, std::uint64_t now_ns);

  [[nodiscard]] std::optional<peer> find(const node_key& node) const;
  [[nodiscard]] std::vector<peer> all() const;

private:
  struct held {
    std::string name;
    std::uint64_t until_ns = 0;
  };

  mutable std::mutex mutex_;
  std::map<node_key, peer> present_;
  std::map<const void*, node_key> by_connection_;
  std::map<node_key, held> gone_;
};

} // namespace belay::gates
