// belay cancel and kill: ask for a process's end.
#include "app/commands/commands.hpp"

#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

std::string stage_word(cancel_stage stage) {
  switch (stage) {
    case cancel_stage::requested:
      return "requested";
    case cancel_stage::done:
      return "done";
    case cancel_stage::already_terminal:
      return "already_terminal";
  }
  return "unknown";
}

std::string explain(const cancel_receipt& x) {
  switch (x.stage) {
    case cancel_stage::requested:
      if (x.holder.name.empty()) {
        return "requested; nobody runs it now: its code is told and ends it";
      }
      return "requested; " + x.holder.name + "#" + std::to_string(x.holder.incarnation)
             + " runs it and is being told";
    case cancel_stage::done:
      return "cancelled; nobody was running it";
    case cancel_stage::already_terminal:
      return "has its outcome already; nothing changed";
  }
  return "";
}

exit_code cancel(const common_options& common, const cancel_request& request) {
  const auto client = connect(common);
  const auto receipt = expect(client->cancel(request));
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    print_line(nlohmann::json{{"id", request.id}, {"stage", stage_word(receipt.stage)}}.dump());
  } else {
    print_line(printable(request.id + "  " + explain(receipt)));
  }
  return exit_code::success;
}

void add(CLI::App& app, common_options& common, command_action& action, bool kill) {
  auto& command = *app.add_subcommand(
    kill ? "kill" : "cancel", kill ? "End a process now, without grace" : "Ask a process to end");
  auto x = std::make_shared<cancel_request>();
  x->kill = kill;
  x->reason = kill ? "killed by request" : "cancelled by request";
  add_common(command, common);
  command.add_option("ID", x->id, "Process id")->required();
  command.add_option("--reason", x->reason, "Why; kept in the history");
  command.footer(kill ? "Example: belay kill nightly-7"
                      : "Example: belay cancel nightly-7 --reason 'superseded by nightly-8'");
  command.callback([&common, &action, x] { action = [&common, x] { return cancel(common, *x); }; });
}

} // namespace

void add_cancel_commands(CLI::App& app, common_options& common, command_action& action) {
  add(app, common, action, false);
  add(app, common, action, true);
}

} // namespace belay::app
