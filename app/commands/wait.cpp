// belay wait: waits for outcomes, by push.
#include "app/commands/commands.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

struct wait_options {
  std::vector<std::string> ids;
  std::string timeout;
};

void print_outcome(const common_options& common, const outcome_view& x) {
  if (common.quiet) {
    return;
  }
  auto text = nlohmann::json::parse(x.outcome_json);
  if (common.format == output_format::json) {
    print_line(nlohmann::json{{"id", x.id}, {"outcome", std::move(text)}}.dump());
    return;
  }
  auto line = x.id + "  " + to_string(x.kind);
  if (text.contains("code") && text["code"].is_string() && !text["code"].empty()) {
    line += "  " + text["code"].get<std::string>();
  }
  if (text.contains("message") && text["message"].is_string()) {
    line += "  " + text["message"].get<std::string>();
  }
  print_line(printable(line));
}

exit_code wait(const common_options& common, const wait_options& x) {
  using clock = std::chrono::steady_clock;
  const auto patience = x.timeout.empty() ? 0 : parse_duration_flag("--timeout", x.timeout);
  auto client = connect(common);
  const auto start = clock::now();
  auto worst = exit_code::success;
  for (const auto& id : x.ids) {
    const auto ask = [&] {
      duration_ms left = 0;
      if (!x.timeout.empty()) {
        const auto spent
          = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start).count();
        left = std::max<duration_ms>(patience - spent, 1);
      }
      return client->wait(id, left);
    };
    auto ended = ask();
    while (!ended && ended.why().code == ec::shutting_down) {
      client = reconnect(common); // A node that is started again goes on with it.
      ended = ask();
    }
    if (!ended && ended.why().code == ec::timed_out) {
      throw command_failure{exit_code::timed_out, "'" + id + "' has no outcome after " + x.timeout};
    }
    const auto view = expect(std::move(ended));
    print_outcome(common, view);
    worst = std::max(worst, exit_code_of(view.kind));
  }
  return worst;
}

} // namespace

void add_wait_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("wait", "Wait until processes have their outcome");
  auto x = std::make_shared<wait_options>();
  add_common(command, common);
  command.add_option("ID", x->ids, "Process ids")->required();
  command.add_option("--timeout", x->timeout, "Give up after this time, as in 10s (exit code 5)");
  command.footer("Exit code: 0 success, 1 failure, 3 cancelled, 4 abandoned, 5 timed out; of "
                 "several the largest.\n"
                 "Example: belay wait nightly-7 --timeout 10s");
  command.callback([&common, &action, x] { action = [&common, x] { return wait(common, *x); }; });
}

} // namespace belay::app
