// What every command has in common, and the list of them.
#pragma once

#include "actors/node/client.hpp"
#include "app/command_line.hpp"
#include "app/exit_code.hpp"
#include "app/output.hpp"

#include <CLI/CLI.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace belay::app {

/// The options that every command takes.
struct common_options {
  std::string data;
  std::string node;
  /// Directory of certificates.
  std::string tls;
  bool insecure = false;
  /// Empty: 2s.
  std::string connect_timeout;
  output_format format = output_format::table;
  bool quiet = false;
  /// The words after `--`: a program and its arguments.
  std::vector<std::string> program;

  tool_adder extra_tools;
  service_link service;
};

/// Ends a command early: prints the text, if any, and exits with the code.
struct command_failure : std::exception {
  command_failure(exit_code code_, std::string text_) : code{code_}, text{std::move(text_)} {}

  [[nodiscard]] const char* what() const noexcept override {
    return text.c_str();
  }

  exit_code code;
  std::string text;
};

/// Adds --data, --node, --tls, --insecure, -o, --quiet to a command. `data` is another name where
/// --data means something else.
void add_common(CLI::App& command, common_options& common, bool remote = true,
                const char* data = "--data");

/// Adds -o and --quiet alone.
void add_output(CLI::App& command, common_options& common);

/// Connects to the node that the options name. A node that is just starting is waited for, up to
/// --connect-timeout. Throws `command_failure`.
[[nodiscard]] std::unique_ptr<actors::client> connect(const common_options& common);

/// The same once a node was lost in the middle of a wait: a restart is waited for, for
/// --connect-timeout, or half a minute where none was given.
[[nodiscard]] std::unique_ptr<actors::client> reconnect(common_options common);

/// Returns the value, or throws the refusal as a `command_failure`.
template <class T>
T expect(checked<T> x) {
  if (!x) {
    throw command_failure{exit_code_of(x.why()), x.why().text};
  }
  return std::move(*x);
}

/// Reads a duration flag. Throws `command_failure` that names the flag.
[[nodiscard]] duration_ms parse_duration_flag(const std::string& flag, const std::string& text);

/// Reads a whole file; '-' is standard input. Throws `command_failure` that names the flag.
[[nodiscard]] std::string read_file(const std::string& path, const std::string& flag);

/// Refuses "-1" and the like, which the parser would take for a very large number.
extern const CLI::Validator whole_number;
/// Refuses 0 and what is no whole number.
extern const CLI::Validator positive_number;
/// Refuses an empty text: a variable of the shell that was not set is no wish for the default.
extern const CLI::Validator not_empty;

using command_action = std::function<exit_code()>;

/// Adds one command to the program; `action` is set when it is the one to run.
void add_node_command(CLI::App& app, common_options& common, command_action& action);
void add_start_command(CLI::App& app, common_options& common, command_action& action);
void add_wait_command(CLI::App& app, common_options& common, command_action& action);
void add_show_commands(CLI::App& app, common_options& common, command_action& action);
void add_cancel_commands(CLI::App& app, common_options& common, command_action& action);
void add_upkeep_commands(CLI::App& app, common_options& common, command_action& action);
void add_store_commands(CLI::App& app, common_options& common, command_action& action);
void add_session_commands(CLI::App& app, common_options& common, command_action& action);
void add_snapshot_command(CLI::App& app, common_options& common, command_action& action);
void add_workflow_commands(CLI::App& app, common_options& common, command_action& action);
void add_look_commands(CLI::App& app, common_options& common, command_action& action);
void add_top_command(CLI::App& app, common_options& common, command_action& action);
void add_queue_commands(CLI::App& app, common_options& common, command_action& action);
void add_cluster_commands(CLI::App& app, common_options& common, command_action& action);
void add_timeline_command(CLI::App& app, common_options& common, command_action& action);
void add_run_command(CLI::App& app, common_options& common, command_action& action);
void add_tls_commands(CLI::App& app, common_options& common, command_action& action);
void add_config_command(CLI::App& app, common_options& common, command_action& action);
void add_completion_commands(CLI::App& app, common_options& common, command_action& action);

} // namespace belay::app
