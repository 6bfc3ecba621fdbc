// belay append, observe, forget, wakes, changes: what sessions and projections use.
#include "messages/sessions.hpp"

#include "app/commands/commands.hpp"
#include "messages/inspect_json.hpp"

#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

void say(const common_options& common, const nlohmann::json& text) {
  if (!common.quiet) {
    print_line(text.dump());
  }
}

void add_append(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("append", "Send a declared event or signal to a process");
  auto x = std::make_shared<append_request>();
  x->payload = "null";
  add_common(command, common);
  command.add_option("ID", x->id, "Process id")->required();
  command.add_option("TYPE", x->type, "Event type, as in signal.approved")->required();
  command.add_option("--payload", x->payload, "Payload as JSON (default: null)");
  command.add_option("--key", x->key, "Idempotency key: the same again is the same event");
  command.footer(
    "Example: belay append order-7 signal.approved --payload '{\"by\": \"ann\"}' --key k1");
  command.callback([&common, &action, x] {
    action = [&common, x] {
      say(common, event_json(expect(connect(common)->append(*x))));
      return exit_code::success;
    };
  });
}

void add_observe(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("observe", "Add or remove a session that observes a process");
  auto x = std::make_shared<observe_request>();
  auto remove = std::make_shared<bool>(false);
  add_common(command, common);
  command.add_option("ID", x->id, "Process id")->required();
  command.add_option("SESSION", x->session, "Session id")->required();
  command.add_flag("--remove", *remove, "Remove it");
  command.add_option("--by", x->by, "Who asks for it; kept in the history");
  command.footer("Example: belay observe order-7 session-3");
  command.callback([&common, &action, x, remove] {
    action = [&common, x, remove] {
      x->add = !*remove;
      const auto changed = expect(connect(common)->observe(*x)).count > 0;
      say(common, {{"id", x->id}, {"session", x->session}, {"changed", changed}});
      return exit_code::success;
    };
  });
}

void add_forget(CLI::App& app, common_options& common, command_action& action) {
  auto& command
    = *app.add_subcommand("forget", "Forget a session: as observer and as target of wakes");
  auto session = std::make_shared<std::string>();
  add_common(command, common);
  command.add_option("SESSION", *session, "Session id")->required();
  command.footer("Ends no process; says which live ones nobody observes now.\n"
                 "Example: belay forget session-3");
  command.callback([&common, &action, session] {
    action = [&common, session] {
      say(common, to_json(expect(connect(common)->forget_session(*session))));
      return exit_code::success;
    };
  });
}

// -- wakes ------------------------------------------------------------------------------------

struct wakes_options {
  wakes_query query;
  take_wakes_request take;
  settle_wake_request settle;
  std::uint64_t id = 0;
  std::string verdict;
};

void print_wakes(const common_options& common, const wake_list& list) {
  for (const auto& x : list.wakes) {
    say(common, to_json(x));
  }
}

exit_code settle(const common_options& common, wakes_options x) {
  constexpr std::array<std::pair<std::string_view, wake_verdict>, 5> words{
    {{"delivered", wake_verdict::delivered},
     {"deferred", wake_verdict::deferred},
     {"target-gone", wake_verdict::target_gone},
     {"redrive", wake_verdict::redrive},
     {"discard", wake_verdict::discard}}};
  const auto found = std::find_if(words.begin(), words.end(),
                                  [&x](const auto& word) { return word.first == x.verdict; });
  if (found == words.end()) {
    throw command_failure{exit_code::usage, "VERDICT: '" + x.verdict
                                              + "' is not acceptable, expected delivered, "
                                                "deferred, target-gone, redrive or discard"};
  }
  x.settle.id = wake_id{x.id};
  x.settle.verdict = found->second;
  const auto changed = expect(connect(common)->settle_wake(x.settle)).count > 0;
  say(common, {{"wake", x.id}, {"changed", changed}});
  return exit_code::success;
}

void add_wakes(CLI::App& app, common_options& common, command_action& action) {
  auto& group = *app.add_subcommand("wakes", "Messages of processes to sessions");
  group.require_subcommand(1);
  group.footer("Example: belay wakes list --session session-3");
  auto x = std::make_shared<wakes_options>();
  auto& list = *group.add_subcommand("list", "Show wakes on their way");
  add_common(list, common);
  list.add_option("--session", x->query.session, "Only to this session");
  list.add_option("--process", x->query.process, "Only of this process")->type_name("ID");
  list.add_flag("--all", x->query.settled, "Also delivered and discarded ones");
  list.add_option("--limit", x->query.limit, "Most wakes, 1 to 1000 (default: 100)");
  list.footer("Example: belay wakes list --session session-3");
  list.callback([&common, &action, x] {
    action = [&common, x] {
      print_wakes(common, expect(connect(common)->wakes(x->query)));
      return exit_code::success;
    };
  });
  auto& take = *group.add_subcommand("take", "Take wakes of a session, to be settled");
  add_common(take, common);
  take.add_option("SESSION", x->take.session, "Session id")->required();
  take.add_option("--max", x->take.max, "Most wakes, 1 to 1000 (default: 1)");
  take.footer("Example: belay wakes take session-3 --max 10");
  take.callback([&common, &action, x] {
    action = [&common, x] {
      print_wakes(common, expect(connect(common)->take_wakes(x->take)));
      return exit_code::success;
    };
  });
  auto& settle_command = *group.add_subcommand("settle", "Say what became of a wake");
  add_common(settle_command, common);
  settle_command.add_option("WAKE", x->id, "Number of the wake")->required()->check(whole_number);
  settle_command
    .add_option("VERDICT", x->verdict,
                "delivered, deferred or target-gone (with --token); redrive or discard by hand")
    ->type_name("{delivered,deferred,target-gone,redrive,discard}")
    ->required();
  settle_command.add_option("--token", x->settle.token, "What `take` gave")->check(whole_number);
  settle_command.add_option("--reason", x->settle.reason, "Why; kept with the wake");
  settle_command.footer("Example: belay wakes settle 7 redrive");
  settle_command.callback(
    [&common, &action, x] { action = [&common, x] { return settle(common, *x); }; });
}

// -- changes ------------------------------------------------------------------------------------

exit_code changes(const common_options& common, std::uint64_t since, std::uint32_t limit) {
  const auto page = expect(connect(common)->changes_since(since, limit));
  for (const auto& x : page.changes) {
    nlohmann::json line{{"position", x.position}, {"id", x.process.id}};
    if (x.pruned) {
      line["pruned"] = true;
    } else {
      line["state"] = state_word(x.process, wall_now());
      line["last_seq"] = x.process.last_seq;
    }
    say(common, line);
  }
  return exit_code::success;
}

void add_changes(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("changes", "Show what has changed, in order");
  auto since = std::make_shared<std::uint64_t>(0);
  auto limit = std::make_shared<std::uint32_t>(1'000);
  add_common(command, common);
  command.add_option("--since", *since, "Only after this position")->check(whole_number);
  command.add_option("--limit", *limit, "Most changes, 1 to 1000 (default: 1000)");
  command.footer("Every process stands in the feed once, at its last change.\n"
                 "Example: belay changes --since 4711");
  command.callback([&common, &action, since, limit] {
    action = [&common, since, limit] { return changes(common, *since, *limit); };
  });
}

} // namespace

void add_session_commands(CLI::App& app, common_options& common, command_action& action) {
  add_append(app, common, action);
  add_observe(app, common, action);
  add_forget(app, common, action);
  add_wakes(app, common, action);
  add_changes(app, common, action);
}

} // namespace belay::app
