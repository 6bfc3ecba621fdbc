// What the exec tool is asked to run: its arguments, read and resolved.
#pragma once

#include "actors/running/tool.hpp"

#include <set>

namespace belay::running {

struct exec_args {
  std::vector<std::string> argv;
  std::string cwd;
  std::map<std::string, std::string> env;
  bool clear_env = false;
  std::string input;
  bool stream = false;
  std::size_t capture_bytes = 0;
  std::set<int> success_codes{0};
};

/// Returns the JSON schema of the arguments.
[[nodiscard]] nlohmann::json exec_schema(const exec_options& options);

/// Reads arguments that fit the schema. Refuses what a schema cannot say (a NUL in a string, an
/// input over the bound).
[[nodiscard]] checked<exec_args>
read_exec_args(const nlohmann::json& text, const exec_options& options);

/// What will really be executed.
struct resolved_program {
  std::string path;
  std::vector<std::string> environment;
};

/// A program that cannot run, as the failure outcome it ends in.
using resolution = std::variant<resolved_program, outcome>;

/// Finds the program by the child's own PATH and checks it against the allow-list.
[[nodiscard]] resolution
resolve(const exec_args& args, const run_info& info, const exec_options& options);

/// Returns text under `name` as it is when it is UTF-8, else in Base64 under `name` + "_base64".
void put_bytes(nlohmann::json& to, const std::string& name, const std::string& bytes);

/// Returns "SIGTERM" for 15.
[[nodiscard]] std::string signal_name(int number);

} // namespace belay::running
