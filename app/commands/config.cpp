// belay config: check a configuration, or show what is in force.
#include "app/commands/commands.hpp"
#include "app/commands/settings.hpp"

namespace belay::app {

void add_settings(CLI::App& command, settings_options& given) {
  command.add_option("--conf", given.file, "Configuration file (TOML)")->type_name("FILE");
  command.add_option("--set", given.overrides, "KEY=VALUE, over file and environment; repeatable")
    ->type_name("KEY=VALUE")
    ->allow_extra_args(false)
    ->take_all();
}

checked<configuration> try_load_settings(const settings_options& given) {
  const auto file
    = given.file.empty() ? std::nullopt : std::optional<std::filesystem::path>{given.file};
  return load_configuration(file, process_environment(), given.overrides);
}

configuration load_settings(const settings_options& given) {
  return expect(try_load_settings(given));
}

void init_log(const configuration& settings) {
  log::options opts;
  opts.level_min = log::level_from(settings.log_level).value_or(log::level::info);
  if (settings.log_format == "human") {
    opts.format = log::line_format::human;
  } else if (settings.log_format == "json") {
    opts.format = log::line_format::json;
  }
  for (const auto& text : settings.log_levels) {
    const auto equals = text.find('=');
    opts.levels[text.substr(0, equals)] = *log::level_from(text.substr(equals + 1));
  }
  log::init(opts);
}

void add_config_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("config", "Check a configuration or show what is in force");
  command.require_subcommand(1);
  command.footer("Example: belay config show --conf conf/belay.toml");
  auto given = std::make_shared<settings_options>();
  auto& check = *command.add_subcommand("check", "Say whether it is acceptable");
  add_settings(check, *given);
  check.callback([&action, given] {
    action = [given] {
      static_cast<void>(load_settings(*given));
      print_line("ok");
      return exit_code::success;
    };
  });
  auto& show = *command.add_subcommand("show", "Print every key, its value and where it came from");
  add_settings(show, *given);
  show.callback([&action, given, &common] {
    action = [given, &common] {
      const auto settings = load_settings(*given);
      if (!common.quiet) {
        print_line(render_configuration(settings));
      }
      return exit_code::success;
    };
  });
}

} // namespace belay::app
