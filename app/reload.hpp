// SIGHUP: the configuration and the certificates are read again while the node runs.
#pragma once

#include "app/configuration.hpp"
#include "messages/error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace belay::app {

/// Returns the keys whose values differ.
[[nodiscard]] std::vector<std::string>
changed_keys(const configuration& one, const configuration& other);

/// The settings of a running node. What can change while it runs is the `[log]` section and what is
/// in the files of `node.tls`; everything else is named as needing a restart.
class live_configuration {
public:
  struct setup {
    /// Reads the configuration as it was read at the start.
    std::function<checked<configuration>()> load;
    /// Reads the certificates in use again.
    std::function<std::optional<refusal>()> certificates;
    /// Sets the log up.
    std::function<void(const configuration&)> log;
  };

  live_configuration(configuration at_start, setup given);

  /// Reads everything again and says in the log what came of it. Returns why it was refused: then
  /// nothing has changed.
  std::optional<refusal> reload();

private:
  /// What runs: as at the start, but for the log.
  configuration running_;
  setup setup_;
};

} // namespace belay::app
