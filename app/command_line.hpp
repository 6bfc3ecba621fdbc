// The belay command line.
#pragma once

#include "actors/running/tool.hpp"
#include "app/service_manager.hpp"

#include <functional>

namespace belay::app {

/// Adds the tools and workflows of an embedding program; blocking functions run on the threads.
using tool_adder = std::function<void(running::toolbox&, running::tool_threads&)>;

/// Runs one command and returns the program's exit code (exit_code.hpp). `extra_tools` adds the
/// tools of an embedding program to the nodes that `node` and `run` start; `service` is where a
/// node says that it is ready and alive.
int run_command_line(int argc, char** argv, const tool_adder& extra_tools = {},
                     const service_link& service = {});

} // namespace belay::app
