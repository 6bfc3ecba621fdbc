// belay run: one process in an embedded node, from start to outcome.
#include "actors/node/client.hpp"
#include "actors/node/runtime.hpp"
#include "app/commands/commands.hpp"
#include "app/commands/settings.hpp"
#include "app/signals.hpp"
#include "app/wiring.hpp"
#include "messages/registration_stored.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <unistd.h>

namespace belay::app {

namespace {

struct run_options {
  settings_options settings;
  std::string id;
  std::string timeout;
};

/// A data directory: the one given, or a temporary one that is removed afterwards.
class run_directory {
public:
  explicit run_directory(const std::string& given) : path_{given}, temporary_{given.empty()} {
    if (!temporary_) {
      return;
    }
    auto pattern = (std::filesystem::temp_directory_path() / "belay-run-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw command_failure{exit_code::fault, "cannot make a temporary directory"};
    }
    path_ = pattern;
  }

  ~run_directory() {
    if (temporary_) {
      std::error_code ignored;
      std::filesystem::remove_all(path_, ignored);
    }
  }

  run_directory(const run_directory&) = delete;
  run_directory& operator=(const run_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }

private:
  std::filesystem::path path_;
  bool temporary_;
};

registration make_registration(const run_options& x, const std::vector<std::string>& program) {
  if (program.empty()) {
    throw command_failure{exit_code::usage, "run needs a program, as in: belay run -- echo hello"};
  }
  nlohmann::json text;
  text["input"] = {{"type", "tool_call"}, {"tool", "exec"}, {"args", {{"argv", program}}}};
  text["id"] = x.id.empty() ? make_process_id() : x.id;
  if (!x.timeout.empty()) {
    text["timeout_ms"] = parse_duration_flag("--timeout", x.timeout);
  }
  return expect(parse_registration(text, recovery_rule::rerunnable, widest_limits()));
}

void print_stream(const nlohmann::json& value, const std::string& name, std::FILE* to) {
  if (value.contains(name) && value[name].is_string()) {
    const auto& text = value[name].get_ref<const std::string&>();
    std::fwrite(text.data(), 1, text.size(), to);
  }
  const auto truncated = value.find(name + "_truncated");
  if (truncated != value.end() && truncated->is_boolean() && truncated->get<bool>()) {
    print_error(name + " was longer than tools.exec.capture_max; the rest was counted, not kept");
  }
}

void print_result(const common_options& common, const outcome_view& ended) {
  const auto text = nlohmann::json::parse(ended.outcome_json);
  if (common.format == output_format::json) {
    print_line(nlohmann::json{{"id", ended.id}, {"outcome", text}}.dump());
    return;
  }
  if (const auto value = text.find("value"); value != text.end() && value->is_object()) {
    print_stream(*value, "stdout", stdout);
    print_stream(*value, "stderr", stderr);
  }
  if (ended.kind != outcome_kind::success && !common.quiet) {
    print_error(to_string(ended.kind) + ": " + text.value("message", std::string{}));
  }
}

exit_code run(const common_options& common, const run_options& x) {
  const signal_gate gate{SIGTERM, SIGINT, SIGUSR1};
  auto settings = load_settings(x.settings);
  settings.exec_allow = {"*"}; // The user names the program here and now.
  if (settings.origins.count("log.level") == 0) {
    settings.log_level = "warn"; // The program's own output is what the user wants to see.
  }
  init_log(settings);
  const auto item = make_registration(x, common.program);
  const run_directory directory{common.data};
  const tool_shop shop{settings, common.extra_tools};
  auto options = make_runtime_options(settings, directory.path(), shop.tools());
  options.stuck_tools = shop.stuck();
  options.publish = false;
  options.metrics.is_on = false;
  actors::runtime node{std::move(options)};
  const auto client = node.make_client();
  const auto canceller = node.make_client();
  std::atomic<bool> is_over{false};
  std::thread signals{[&gate, &canceller, &item, &is_over] {
    for (auto asked = 0; !is_over;) {
      if (gate.next() != SIGUSR1) { // Which is our own word for the end, or somebody else's.
        static_cast<void>(canceller->cancel({item.id, "interrupted", asked++ > 0}));
      }
    }
  }};
  auto registered = client->enroll({item});
  auto ended = registered ? client->wait(item.id, 0) : checked<outcome_view>{registered.why()};
  is_over = true;
  kill(getpid(), SIGUSR1);
  signals.join();
  const auto view = expect(std::move(ended));
  print_result(common, view);
  return exit_code_of(view.kind);
}

} // namespace

void add_run_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("run", "Run one program in an embedded node and wait for it");
  auto x = std::make_shared<run_options>();
  add_common(command, common, false);
  add_settings(command, x->settings);
  command.add_option("--id", x->id, "Process id; with --data the same again is the same process");
  command.add_option("--timeout", x->timeout, "Longest run time, as in 30s");
  command.footer("The program follows after --. Without --data a temporary data directory is used "
                 "and removed. Ctrl-C cancels.\n"
                 "Example: belay run -- sha256sum /etc/os-release");
  command.callback([&common, &action, x] { action = [&common, x] { return run(common, *x); }; });
}

} // namespace belay::app
