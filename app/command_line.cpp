#include "app/command_line.hpp"

#include "app/commands/commands.hpp"
#include "app/version.hpp"
#include "messages/did_you_mean.hpp"
#include "storage/store.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string_view>

namespace belay::app {

namespace {

void add_commands(CLI::App& app, common_options& common, command_action& action) {
  add_node_command(app, common, action);
  add_start_command(app, common, action);
  add_wait_command(app, common, action);
  add_show_commands(app, common, action);
  add_cancel_commands(app, common, action);
  add_upkeep_commands(app, common, action);
  add_session_commands(app, common, action);
  add_snapshot_command(app, common, action);
  add_store_commands(app, common, action);
  add_workflow_commands(app, common, action);
  add_queue_commands(app, common, action);
  add_cluster_commands(app, common, action);
  add_look_commands(app, common, action);
  add_top_command(app, common, action);
  add_timeline_command(app, common, action);
  add_run_command(app, common, action);
  add_tls_commands(app, common, action);
  add_config_command(app, common, action);
  add_completion_commands(app, common, action);
}

exit_code run(const command_action& action) {
  try {
    const auto code = action();
    if (std::fflush(stdout) != 0) {
      print_error("cannot write to standard output");
      return exit_code::fault;
    }
    return code;
  } catch (const command_failure& x) {
    if (!x.text.empty()) {
      print_error(x.text);
    }
    return x.code;
  } catch (const storage::error& x) {
    print_error(x.what());
    return x.kind() == storage::error_kind::unusable ? exit_code::usage : exit_code::fault;
  } catch (const std::invalid_argument& x) {
    print_error(x.what());
    return exit_code::usage;
  } catch (const std::exception& x) {
    print_error(x.what());
    return exit_code::fault;
  }
}

bool takes_program(std::string_view command) {
  return command == "start" || command == "run" || command == "complete-line";
}

} // namespace

int run_command_line(int argc, char** argv, const tool_adder& extra_tools,
                     const service_link& service) {
  std::signal(SIGPIPE, SIG_IGN); // NOLINT(cert-err33-c): cannot fail for SIGPIPE
  CLI::App app{"Runs processes to exactly one recorded outcome, whatever crashes on the way.",
               argc > 0 ? std::filesystem::path{argv[0]}.filename().string() : "belay"};
  app.set_version_flag("--version", version_text,
                       "Say what this program is: version, commit, build, durability");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 success, 1 failure, 2 bad usage or refused input, 3 cancelled,\n"
             "4 abandoned, 5 timed out, 69 no node reached, 74 fault of disk or store.\n"
             "Example:\n"
             "  belay node --data /tmp/belay --set 'tools.exec.allow=[\"*\"]' &\n"
             "  belay start --data /tmp/belay --id hello exec -- echo hello\n"
             "  belay wait --data /tmp/belay hello");
  common_options common;
  common.extra_tools = extra_tools;
  common.service = service;
  command_action action;
  add_commands(app, common, action);
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands({})) {
    names.push_back(command->get_name());
  }
  if (argc > 1 && argv[1][0] != '-'
      && std::find(names.begin(), names.end(), std::string_view{argv[1]}) == names.end()) {
    print_error("unknown command '" + std::string{argv[1]} + "'" + suggestion(argv[1], names));
    return static_cast<int>(exit_code::usage);
  }
  if (argc > 2 && argv[1][0] != '-' && argv[2][0] != '-') {
    std::vector<std::string> words;
    for (const auto* command : app.get_subcommand(argv[1])->get_subcommands({})) {
      words.push_back(command->get_name());
    }
    if (!words.empty()
        && std::find(words.begin(), words.end(), std::string_view{argv[2]}) == words.end()) {
      print_error("unknown command '" + std::string{argv[1]} + " " + argv[2] + "'"
                  + suggestion(argv[2], words));
      return static_cast<int>(exit_code::usage);
    }
  }
  // What follows `--` is a program's own; it is kept away from the parser altogether. Elsewhere it
  // says that no more options come: an id may begin with a dash.
  const auto* const end = argv + argc;
  const auto runs_program = argc > 1 && takes_program(argv[1]);
  auto* const mark
    = runs_program ? std::find(argv, argv + argc, std::string_view{"--"}) : argv + argc;
  if (mark != end) {
    common.program.assign(mark + 1, argv + argc);
  }
  try {
    app.parse(static_cast<int>(mark - argv), argv);
  } catch (const CLI::Success& x) {
    return app.exit(x);
  } catch (const CLI::ParseError& x) {
    app.exit(x);
    return static_cast<int>(exit_code::usage);
  }
  return static_cast<int>(run(action));
}

} // namespace belay::app
