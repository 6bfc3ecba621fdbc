// belay get, list, events: what is there.
#include "app/commands/commands.hpp"
#include "messages/time.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

constexpr std::uint32_t events_page = 500;
/// How long one request of `events --follow` is held by the node.
constexpr duration_ms follow_slice_ms = 4'000;

struct list_options {
  list_query query;
  std::string after;
  std::vector<std::string> labels;
  std::string since;
  std::string before;
};

timestamp_ms parse_time_flag(const std::string& flag, const std::string& text) {
  if (text.empty()) {
    return 0;
  }
  const auto at = parse_time(text);
  if (!at) {
    throw command_failure{exit_code::usage,
                          flag + ": '" + text
                            + "' is not a time, expected one such as 2026-12-01T03:00:00Z"};
  }
  return *at;
}

struct events_options {
  std::string id;
  bool follow = false;
  event_seq after = 0;
};

exit_code get(const common_options& common, const std::string& id) {
  const auto client = connect(common);
  const auto view = expect(client->get(id));
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    print_line(view_json(view, wall_now()).dump(2));
  } else {
    print_view(view, wall_now());
  }
  return exit_code::success;
}

exit_code list(const common_options& common, list_options x) {
  if (!x.after.empty()) {
    std::uint64_t row = 0;
    const auto* end = x.after.data() + x.after.size();
    const auto [stop, error] = std::from_chars(x.after.data(), end, row);
    if (error != std::errc{} || stop != end || row == 0) {
      throw command_failure{exit_code::usage, "--after: '" + x.after
                                                + "' is not a cursor, expected the `next` of an "
                                                  "earlier list"};
    }
    x.query.after = row_id{row};
  }
  for (const auto& text : x.labels) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      throw command_failure{exit_code::usage,
                            "--label: '" + text + "' is not acceptable, expected KEY=VALUE"};
    }
    x.query.labels[text.substr(0, equals)] = text.substr(equals + 1);
  }
  x.query.created_from = parse_time_flag("--since", x.since);
  x.query.created_before = parse_time_flag("--before", x.before);
  const auto client = connect(common);
  const auto page = expect(client->list(x.query));
  if (common.quiet) {
    return exit_code::success;
  }
  const auto next = static_cast<std::uint64_t>(page.next);
  if (common.format == output_format::json) {
    auto rows = nlohmann::json::array();
    for (const auto& view : page.processes) {
      rows.push_back(view_json(view, page.now));
    }
    print_line(nlohmann::json{
      {"processes", std::move(rows)},
      {"next", next == 0 ? nlohmann::json(nullptr) : nlohmann::json(std::to_string(next))}}
                 .dump(2));
    return exit_code::success;
  }
  text_table table{{"ID", "STATE", "KIND", "QUEUE", "ATTEMPT", "CREATED"}};
  for (const auto& view : page.processes) {
    table.add({view.id, state_word(view, page.now), view.kind, view.queue,
               std::to_string(view.attempt), age(view.created_at, page.now) + " ago"});
  }
  table.print();
  if (next != 0) {
    std::fprintf(stderr, "more: --after %llu\n", static_cast<unsigned long long>(next));
  }
  return exit_code::success;
}

void print_events(const common_options& common, const std::vector<event>& events) {
  if (common.quiet) {
    return;
  }
  for (const auto& x : events) {
    if (common.format == output_format::json) {
      // A key may be from before keys had to be UTF-8.
      print_line(event_json(x).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      print_line(std::to_string(x.seq) + "  " + format_time(x.at) + "  " + printable(x.type) + "  "
                 + printable(x.payload));
    }
  }
  std::fflush(stdout);
}

exit_code events(const common_options& common, events_options x) {
  auto client = connect(common);
  for (;;) {
    auto answered = x.follow ? client->follow(x.id, x.after, events_page, follow_slice_ms)
                             : client->events(x.id, x.after, events_page);
    const auto lost
      = !answered
        && (answered.why().code == ec::shutting_down || answered.why().code == ec::timed_out);
    if (x.follow && lost) {
      client = reconnect(common); // Goes on where it was: no gap, no repeat.
      continue;
    }
    const auto page = expect(std::move(answered));
    print_events(common, page.events);
    if (!page.events.empty()) {
      x.after = page.events.back().seq;
    }
    if (!page.more && (!x.follow || page.terminal)) {
      return exit_code::success;
    }
  }
}

} // namespace

void add_show_commands(CLI::App& app, common_options& common, command_action& action) {
  auto& get_command = *app.add_subcommand("get", "Show one process in full");
  auto id = std::make_shared<std::string>();
  add_common(get_command, common);
  get_command.add_option("ID", *id, "Process id")->required();
  get_command.footer("Example: belay get nightly-7 -o json | jq .outcome");
  get_command.callback(
    [&common, &action, id] { action = [&common, id] { return get(common, *id); }; });

  auto& list_command = *app.add_subcommand("list", "List processes, newest first");
  auto listed = std::make_shared<list_options>();
  add_common(list_command, common);
  list_command
    .add_option("--state", listed->query.state,
                "ready, delayed, running, waiting, quarantined, external, success, "
                "failure, cancelled, abandoned; live or finished")
    ->type_name("{ready,delayed,running,waiting,quarantined,external,success,failure,cancelled,"
                "abandoned,live,finished}");
  list_command.add_option("--kind", listed->query.kind, "Tool or other kind");
  list_command.add_option("--queue", listed->query.queue, "Queue")->type_name("QUEUE");
  list_command.add_option("--origin", listed->query.originator, "Started by this session, or host");
  list_command.add_option("--label", listed->labels,
                          "KEY=VALUE that must be there; repeat for more");
  list_command.add_option("--title", listed->query.label, "The registration's `label`");
  list_command.add_option("--definition", listed->query.definition,
                          "The registration's `definition`");
  list_command.add_option("--parent", listed->query.parent, "Children of this process")
    ->type_name("ID");
  list_command.add_option("--observer", listed->query.observer, "Observed by this session");
  list_command.add_option("--prefix", listed->query.id_prefix, "Ids that begin with this");
  list_command.add_option("--since", listed->since, "Registered since, as in 2026-12-01T03:00:00Z");
  list_command.add_option("--before", listed->before, "Registered before");
  list_command.add_option("--limit", listed->query.limit, "Most rows, 1 to 1000 (default: 50)");
  list_command.add_option("--after", listed->after, "Cursor: the `next` of the page before");
  list_command.footer("Example: belay list --state failure --limit 10");
  list_command.callback(
    [&common, &action, listed] { action = [&common, listed] { return list(common, *listed); }; });

  auto& events_command = *app.add_subcommand("events", "Show the history of a process");
  auto shown = std::make_shared<events_options>();
  add_common(events_command, common);
  events_command.add_option("ID", shown->id, "Process id")->required();
  events_command.add_flag("--follow,-f", shown->follow, "Go on until the process has its outcome");
  events_command.add_option("--after", shown->after, "Only events after this sequence number")
    ->check(whole_number);
  events_command.footer("Example: belay events nightly-7 --follow");
  events_command.callback(
    [&common, &action, shown] { action = [&common, shown] { return events(common, *shown); }; });
}

} // namespace belay::app
