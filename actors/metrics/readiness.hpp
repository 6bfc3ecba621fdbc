// Whether a node can do its work now.
#pragma once

#include "messages/protocol.hpp"

#include <caf/actor_system.hpp>
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace belay::metrics {

/// Whom to ask; those that a node does not have are null.
struct parts {
  node_actor node;
  registry_actor registry;
  uplink_actor uplink;
  sweeper_actor sweeper;
};

/// Asks a node's actors how they are, in front of their other mail. One that answers can commit and
/// claim: the registry does both in its own turn.
///
/// Concurrency: every member from any thread.
class readiness {
public:
  readiness(caf::actor_system& system, std::chrono::milliseconds within);

  /// The node has started.
  void meet(parts who);
  /// Nobody is asked any more, and no handle is kept.
  void part();

  /// Returns why the node is not ready, a line each; nothing when it is. Takes as long as the
  /// slowest answer, `within` at most. While one caller waits others get the last answer.
  [[nodiscard]] std::vector<std::string> why_not();

private:
  [[nodiscard]] std::vector<std::string> ask(const parts& who) const;

  caf::actor_system& system_;
  std::chrono::milliseconds within_;
  std::mutex asking_;
  std::mutex mutex_;
  parts who_;
  std::vector<std::string> last_{"starting"};
};

} // namespace belay::metrics
