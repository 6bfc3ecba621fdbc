// belay signal, journal, attachment: what workflows are told and what they keep.
#include "app/commands/commands.hpp"
#include "messages/event.hpp"
#include "messages/json_strict.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

constexpr std::uint32_t journal_page_max = 500;

struct signal_options {
  append_request request;
  std::string name;
};

exit_code signal(const common_options& common, signal_options x) {
  if (const auto text = parse_json_strict(x.request.payload); !text) {
    throw command_failure{exit_code::usage, "--data: " + text.why().text};
  }
  x.request.type = event_types::signal_prefix + x.name;
  const auto sent = expect(connect(common)->append(x.request));
  if (!common.quiet) {
    print_line(event_json(sent).dump());
  }
  return exit_code::success;
}

void add_signal(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("signal", "Send a signal to a process");
  auto x = std::make_shared<signal_options>();
  x->request.payload = "null";
  add_common(command, common, true, "--directory");
  command.add_option("ID", x->request.id, "Process id")->required();
  command.add_option("NAME", x->name, "The signal's name, as in approved")->required();
  command.add_option("--data", x->request.payload, "What it says, as JSON (default: null)");
  command.add_option("--key", x->request.key, "Idempotency key: the same again is the same signal");
  command.footer("It is kept until the process takes it. A workflow that declares no signals takes "
                 "any.\n"
                 "Example: belay signal album-1 approved --data '{\"by\": \"ann\"}' --key k1");
  command.callback([&common, &action, x] { action = [&common, x] { return signal(common, *x); }; });
}

nlohmann::json entry_json(const journal_entry& x) {
  nlohmann::json result{
    {"number", x.number}, {"kind", to_string(x.kind)},
    {"name", x.name},     {"ordinal", x.ordinal},
    {"done", x.done},     {"result", nlohmann::json::parse(x.result, nullptr, false)}};
  if (!x.scope.empty()) {
    result["branch"] = x.scope;
  }
  if (!x.input_hash.empty()) {
    result["input_hash"] = x.input_hash;
  }
  return result;
}

void print_entry(const common_options& common, const journal_entry& x) {
  if (common.format == output_format::json) {
    print_line(entry_json(x).dump());
    return;
  }
  constexpr std::size_t shown_max = 120;
  auto result = x.result.substr(0, shown_max);
  result += x.result.size() > shown_max ? "..." : "";
  print_line(std::to_string(x.number) + "  " + (x.scope.empty() ? "" : "[" + x.scope + "] ")
             + to_string(x.kind) + " " + printable(x.name) + " " + std::to_string(x.ordinal)
             + (x.done != 0 ? "  done " + std::to_string(x.done) : "") + "  " + printable(result));
}

exit_code journal(const common_options& common, const std::string& id) {
  const auto client = connect(common);
  std::uint64_t after = 0;
  for (auto more = true; more;) {
    const auto page = expect(client->journal(id, after, journal_page_max));
    for (const auto& x : page.entries) {
      after = x.number;
      if (!common.quiet) {
        print_entry(common, x);
      }
    }
    more = page.more;
  }
  return exit_code::success;
}

void add_journal(CLI::App& app, common_options& common, command_action& action) {
  auto& command
    = *app.add_subcommand("journal", "Show what a workflow asked for, and what came of it");
  auto id = std::make_shared<std::string>();
  add_common(command, common);
  command.add_option("ID", *id, "Process id")->required();
  command.footer("Example: belay journal album-1");
  command.callback(
    [&common, &action, id] { action = [&common, id] { return journal(common, *id); }; });
}

struct attachment_options {
  std::string id;
  std::string ref;
  std::string out;
};

/// An attachment by its reference or, where that is one of them only, by its name.
std::string find_ref(const process_view& view, const std::string& asked) {
  std::string found;
  for (const auto& x : view.attachments) {
    if (x.ref == asked) {
      return asked;
    }
    if (x.name == asked) {
      if (!found.empty() && found != x.ref) {
        throw command_failure{exit_code::usage, "several attachments of '" + view.id
                                                  + "' are named '" + asked
                                                  + "': give the reference"};
      }
      found = x.ref;
    }
  }
  if (found.empty()) {
    throw command_failure{exit_code::usage, "'" + view.id + "' has no attachment '" + asked
                                              + "', expected a reference or a name that `belay get "
                                              + view.id + "` lists"};
  }
  return found;
}

exit_code attachment(const common_options& common, const attachment_options& x) {
  const auto client = connect(common);
  const auto view = expect(client->get(x.id));
  const auto kept = expect(client->attached(x.id, find_ref(view, x.ref)));
  if (x.out.empty()) {
    std::fwrite(kept.bytes.data(), 1, kept.bytes.size(), stdout);
    return exit_code::success;
  }
  std::ofstream out{x.out, std::ios::binary};
  out << kept.bytes;
  out.close();
  if (!out) {
    throw command_failure{exit_code::fault, "--out: cannot write '" + x.out + "'"};
  }
  return exit_code::success;
}

void add_attachment(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("attachment", "Write bytes that a process has attached");
  auto x = std::make_shared<attachment_options>();
  add_common(command, common);
  command.add_option("ID", x->id, "Process id")->required();
  command.add_option("REF", x->ref, "Reference or name, as `get` lists them")->required();
  command.add_option("--out", x->out, "File to write to (default: standard output)")
    ->type_name("FILE");
  command.footer("Example: belay attachment album-1 manifest.json --out manifest.json");
  command.callback(
    [&common, &action, x] { action = [&common, x] { return attachment(common, *x); }; });
}

} // namespace

void add_workflow_commands(CLI::App& app, common_options& common, command_action& action) {
  add_signal(app, common, action);
  add_journal(app, common, action);
  add_attachment(app, common, action);
}

} // namespace belay::app
