// The configuration flags that `node`, `run` and `config` share.
#pragma once

#include "app/configuration.hpp"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace belay::app {

struct settings_options {
  std::string file;
  /// KEY=VALUE, the value as TOML.
  std::vector<std::string> overrides;
};

/// Adds --conf and --set to a command.
void add_settings(CLI::App& command, settings_options& given);

/// Loads defaults, file, environment and flags; refuses with `bad_request`.
[[nodiscard]] checked<configuration> try_load_settings(const settings_options& given);

/// The same; throws `command_failure` when one is refused.
[[nodiscard]] configuration load_settings(const settings_options& given);

/// Starts logging as the settings say.
void init_log(const configuration& settings);

} // namespace belay::app
