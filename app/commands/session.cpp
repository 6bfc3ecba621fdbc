// belay session: everything that one session has to do with.
#include "app/commands/commands.hpp"
#include "messages/session_snapshot.hpp"

#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

/// Asked for in one message.
constexpr std::uint32_t stretch_max = 200;

struct snapshot_options {
  session_query query;
  std::uint64_t most = 1'000;
};

/// Reads stretches until there are enough processes or no more.
session_snapshot read_all(actors::client& client, const snapshot_options& x) {
  session_snapshot all;
  auto query = x.query;
  do {
    query.limit = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(stretch_max, x.most - all.entries.size()));
    auto part = expect(client.session(query));
    auto entries = std::move(all.entries);
    std::move(part.entries.begin(), part.entries.end(), std::back_inserter(entries));
    all = std::move(part);
    all.entries = std::move(entries);
    query.after = all.next;
  } while (all.next.row != row_id{} && all.entries.size() < x.most);
  return all;
}

void print_json(const session_snapshot& all) {
  auto processes = nlohmann::json::array();
  for (const auto& x : all.entries) {
    processes.push_back(host_json(x, all.now));
  }
  print_line(nlohmann::json{{"session", all.session},
                            {"now_ms", all.now},
                            {"total", all.total},
                            {"processes", std::move(processes)}}
               .dump(2));
}

void print_table(const session_snapshot& all) {
  text_table table{{"ID", "STATE", "LABEL", "AS", "UPDATED", "LAST EVENT", "ERROR"}};
  for (const auto& x : all.entries) {
    const auto* role = x.observes ? (x.woken_by ? "observer, wake" : "observer") : "wake";
    table.add({x.process.id, state_word(x.process, all.now), x.title, role,
               age(x.process.updated_at, all.now) + " ago",
               x.events.empty() ? "-" : x.events.back().type, x.error.empty() ? "-" : x.error});
  }
  table.print();
}

exit_code snapshot(const common_options& common, const snapshot_options& x) {
  if (x.most == 0) {
    throw command_failure{exit_code::usage, "--limit: 0 is not acceptable, expected 1 or more"};
  }
  const auto client = connect(common);
  const auto all = read_all(*client, x);
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    print_json(all);
  } else {
    print_table(all);
  }
  if (all.next.row != row_id{}) {
    std::fprintf(stderr, "%zu of %llu shown; --limit N shows more\n", all.entries.size(),
                 static_cast<unsigned long long>(all.total));
  }
  return exit_code::success;
}

} // namespace

void add_snapshot_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand(
    "session", "Show what a session observes or is woken by, last updated first");
  auto x = std::make_shared<snapshot_options>();
  add_common(command, common);
  command.add_option("SESSION", x->query.session, "Session id")->required();
  command.add_option("--process", x->query.process, "Only this process")->type_name("ID");
  command.add_option("--limit", x->most, "Most processes (default: 1000)");
  command.add_option("--events", x->query.events,
                     "Last events of each, 0 to 1000 (default: 32); shown with -o json");
  command.footer("Times in -o json are milliseconds since 1970.\n"
                 "Example: belay session session-3 -o json");
  command.callback(
    [&common, &action, x] { action = [&common, x] { return snapshot(common, *x); }; });
}

} // namespace belay::app
