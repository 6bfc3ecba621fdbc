// From configuration to a node: which tools, which bounds, which directory.
#pragma once

#include "actors/node/runtime.hpp"
#include "app/command_line.hpp"
#include "app/configuration.hpp"

#include <functional>
#include <memory>

namespace belay::app {

/// The tools of a node with the threads they run on; outlives the node.
class tool_shop {
public:
  /// `extra` adds the tools of an embedding program.
  tool_shop(const configuration& settings, const tool_adder& extra);
  ~tool_shop();
  tool_shop(const tool_shop&) = delete;
  tool_shop& operator=(const tool_shop&) = delete;

  [[nodiscard]] std::shared_ptr<const running::toolbox> tools() const;
  /// Tool functions that were told to stop and have not returned. May be asked after the shop is
  /// gone.
  [[nodiscard]] std::function<std::vector<running::stuck_code>()> stuck() const;

private:
  std::shared_ptr<running::tool_threads> threads_;
  std::shared_ptr<running::exec_service> exec_;
  std::shared_ptr<running::toolbox> tools_;
};

/// Returns the options of a node on `directory` with these settings.
[[nodiscard]] actors::runtime_options
make_runtime_options(const configuration& settings, const std::filesystem::path& directory,
                     std::shared_ptr<const running::toolbox> tools);

} // namespace belay::app
