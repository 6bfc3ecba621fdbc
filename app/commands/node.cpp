// belay node: runs a node in the foreground.
#include "actors/log.hpp"
#include "actors/node/runtime.hpp"
#include "app/commands/commands.hpp"
#include "app/commands/settings.hpp"
#include "app/node_file.hpp"
#include "app/signals.hpp"
#include "app/wiring.hpp"

#include <csignal>
#include <thread>
#include <unistd.h>

namespace belay::app {

namespace {

/// Waits for signals until the node has stopped. The first SIGTERM or SIGINT drains, the second
/// stops now. SIGUSR1 is our own word for "stopped".
void serve(actors::runtime& node, const signal_gate& gate) {
  std::thread stopped{[&node] {
    node.wait_stopped();
    kill(getpid(), SIGUSR1);
  }};
  auto asked = 0;
  for (;;) {
    const auto number = gate.next();
    if (number == SIGUSR1) {
      break;
    }
    if (number == SIGHUP) {
      continue;
    }
    ++asked;
    log::info("node", "node.stopping", {{"signal", number}},
              asked == 1 ? "draining; a second signal stops now" : "stopping now");
    node.stop(asked == 1);
  }
  stopped.join();
}

exit_code run_node(const common_options& common, const settings_options& given) {
  const signal_gate gate{SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  const auto settings = load_settings(given);
  const auto directory
    = common.data.empty() ? default_data_directory() : std::filesystem::path{common.data};
  init_log(settings);
  const tool_shop shop{settings, common.extra_tools};
  auto options = make_runtime_options(settings, directory, shop.tools());
  options.stuck_tools = shop.stuck();
  actors::runtime node{std::move(options)};
  write_node_file(directory, {settings.node_address, node.port()}, settings.node_name);
  log::info("node", "node.ready",
            {{"address", settings.node_address},
             {"port", node.port()},
             {"data", directory.string()},
             {"pid", getpid()}},
            "ready");
  serve(node, gate);
  remove_node_file(directory);
  log::info("node", "node.stopped", {}, "stopped");
  log::flush();
  return exit_code::success;
}

} // namespace

void add_node_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("node", "Run a node: registry, sweeper and workers");
  auto given = std::make_shared<settings_options>();
  command.add_option("--data", common.data, "Data directory; made when there is none");
  add_settings(command, *given);
  command.footer(
    "SIGTERM or Ctrl-C drains: no new rows, what runs gets node.drain_timeout, the rest\n"
    "is given back. A second one stops now.\n"
    "Example: belay node --data /var/lib/belay --conf conf/belay.toml");
  command.callback(
    [&common, &action, given] { action = [&common, given] { return run_node(common, *given); }; });
}

} // namespace belay::app
