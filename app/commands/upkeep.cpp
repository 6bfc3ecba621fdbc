// belay prune, retry, release, abandon, complete, doctor: what an operator does to processes.
#include "messages/upkeep.hpp"

#include "app/again.hpp"
#include "app/commands/commands.hpp"
#include "messages/json_strict.hpp"
#include "messages/outcome_input.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

void say(const common_options& common, const nlohmann::json& text, const std::string& line) {
  if (common.quiet) {
    return;
  }
  print_line(common.format == output_format::json ? text.dump() : printable(line));
}

// -- prune ------------------------------------------------------------------------------------

struct prune_options {
  std::string older_than;
  std::vector<std::string> states;
  prune_request request;
  bool tombstones = false;
};

exit_code prune(const common_options& common, prune_options x) {
  auto& request = x.request;
  // Longer ago than any time there is: nothing is that old.
  const auto age = std::min(parse_duration_flag("--older-than", x.older_than), wall_now() - 1);
  for (const auto& word : x.states) {
    const auto kind = outcome_kind_from(word);
    if (!kind) {
      throw command_failure{exit_code::usage, "--state: '" + word
                                                + "' is not acceptable, expected success, failure, "
                                                  "cancelled or abandoned"};
    }
    request.outcomes.push_back(*kind);
  }
  const auto client = connect(common);
  request.before = wall_now() - age;
  request.max = 1'000;
  std::uint64_t pruned = 0;
  std::uint64_t held_back = 0;
  for (;;) {
    const auto report = expect(client->prune(request));
    pruned += report.pruned;
    held_back += report.held_back;
    if (!report.more) {
      break;
    }
    request.after_time = report.after_time;
    request.after_row = report.after_row;
  }
  std::uint64_t forgotten = 0;
  if (x.tombstones && !request.dry_run) {
    for (;;) {
      compact_request old;
      old.before = wall_now() - age;
      const auto count = expect(client->compact_tombstones(old)).count;
      forgotten += count;
      if (count < old.max) {
        break;
      }
    }
  }
  say(
    common,
    {{"pruned", pruned},
     {"held_back", held_back},
     {"tombstones_forgotten", forgotten},
     {"dry_run", request.dry_run}},
    std::to_string(pruned) + (request.dry_run ? " would be pruned" : " pruned")
      + (held_back > 0 ? ", " + std::to_string(held_back) + " held back by wakes on their way" : "")
      + (forgotten > 0 ? ", " + std::to_string(forgotten) + " tombstones forgotten" : ""));
  return exit_code::success;
}

void add_prune(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("prune", "Delete finished processes");
  auto x = std::make_shared<prune_options>();
  add_common(command, common);
  command.add_option("--older-than", x->older_than, "Only those that ended longer ago, as in 7d")
    ->required();
  command.add_option("--state", x->states, "Only success, failure, cancelled or abandoned ones")
    ->type_name("{success,failure,cancelled,abandoned}");
  command.add_option("--kind", x->request.kind, "Only of this kind");
  command.add_option("--queue", x->request.queue, "Only of this queue")->type_name("QUEUE");
  command.add_option("--origin", x->request.originator, "Only those that this session started");
  command.add_option("--change-max", x->request.change_max,
                     "Only up to this position of the change feed");
  command.add_flag("--tombstones", x->tombstones,
                   "Also forget tombstones that are older: their ids may be used again");
  command.add_flag("--dry-run", x->request.dry_run, "Count, delete nothing");
  command.footer("Example: belay prune --older-than 7d --state success --dry-run");
  command.callback([&common, &action, x] { action = [&common, x] { return prune(common, *x); }; });
}

// -- retry, release, abandon --------------------------------------------------------------------

exit_code retry(const common_options& common, const std::string& id, std::string as) {
  const auto client = connect(common);
  const auto view = expect(client->get(id));
  if (view.state == process_state::ready) {
    expect(client->requeue({id, false}));
    say(common, {{"id", id}, {"ready", true}}, id + "  is ready now");
    return exit_code::success;
  }
  const auto made = expect(register_anew(*client, id, std::move(as)));
  say(common, {{"id", made}, {"retry_of", id}}, made + "  registered, as " + id + " was");
  return exit_code::success;
}

void add_retry(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("retry", "Run a process again");
  auto id = std::make_shared<std::string>();
  auto as = std::make_shared<std::string>();
  add_common(command, common);
  command.add_option("ID", *id, "Process id")->required();
  command.add_option("--as", *as, "Id of the new process (default: ID~1, ID~2, ...)");
  command.footer("A process that waits for its next attempt or its due time is ready at once. An "
                 "outcome\nnever changes: a finished process is registered anew under another id.\n"
                 "Example: belay retry nightly-7");
  command.callback(
    [&common, &action, id, as] { action = [&common, id, as] { return retry(common, *id, *as); }; });
}

void add_release(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("release", "Let a quarantined process run again");
  auto id = std::make_shared<std::string>();
  add_common(command, common);
  command.add_option("ID", *id, "Process id")->required();
  command.footer("Example: belay release nightly-7");
  command.callback([&common, &action, id] {
    action = [&common, id] {
      expect(connect(common)->requeue({*id, true}));
      say(common, {{"id", *id}, {"ready", true}},
          *id + "  is ready; its interruptions are forgotten");
      return exit_code::success;
    };
  });
}

void add_abandon(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("abandon", "Give a process up once nobody holds it");
  auto x = std::make_shared<abandon_request>();
  x->by = "operator";
  add_common(command, common);
  command.add_option("ID", x->id, "Process id")->required();
  command.add_option("--reason", x->reason, "Why; kept in the history")->required();
  command.add_option("--by", x->by, "Who asks for it (default: operator)");
  command.footer("The request is kept. While somebody holds the lease it changes nothing; once the "
                 "lease\nis lost or given back the process ends abandoned.\n"
                 "Example: belay abandon nightly-7 --reason 'machine is gone'");
  command.callback([&common, &action, x] {
    action = [&common, x] {
      const auto receipt = expect(connect(common)->abandon(*x));
      say(common, {{"id", x->id}, {"abandoned", receipt.abandoned}},
          x->id + (receipt.abandoned ? "  is abandoned" : "  is abandoned once its lease is lost"));
      return exit_code::success;
    };
  });
}

// -- complete -----------------------------------------------------------------------------------

struct complete_options {
  settle_request request;
  std::string by = "external-owner";
  std::string file;
};

exit_code complete(const common_options& common, complete_options x) {
  const auto by = authority_from(x.by);
  if (!by) {
    throw command_failure{exit_code::usage, "--authority: '" + x.by
                                              + "' is not acceptable, expected external-owner, "
                                                "workflow-key or reconciled-abandon"};
  }
  x.request.by = *by;
  const auto parsed = parse_json_strict(read_file(x.file, "--outcome"));
  if (!parsed) {
    throw command_failure{exit_code::usage, "--outcome: " + x.file + ": " + parsed.why().text};
  }
  auto result = parse_outcome(*parsed);
  if (!result) {
    throw command_failure{exit_code::usage, "--outcome: " + x.file + ": " + result.why().text};
  }
  x.request.result = std::move(*result);
  const auto done = expect(connect(common)->settle(x.request));
  const auto again = done.status == completion_status::already_applied;
  say(common, {{"id", x.request.id}, {"already", again}},
      x.request.id + "  " + to_string(x.request.result.kind)
        + (again ? " (it was recorded before)" : ""));
  return exit_code::success;
}

void add_complete(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("complete", "Record the outcome of an external process");
  auto x = std::make_shared<complete_options>();
  add_common(command, common);
  command.add_option("ID", x->request.id, "Process id")->required();
  command.add_option("--outcome", x->file, "File with the outcome as JSON; '-' is standard input")
    ->type_name("FILE")
    ->required();
  command.add_option("--authority", x->by,
                     "external-owner (default), workflow-key or reconciled-abandon");
  command.add_option("--key", x->request.key, "Key of a workflow-key authority");
  command.footer(
    "Types: success, failure, cancelled, abandoned; a `message` for people; of a failure "
    "also\n`class`, `code` and `retryable`.\n"
    "Example: echo '{\"type\": \"success\", \"value\": {\"n\": 3}}' | "
    "belay complete invoice-9 --outcome -");
  command.callback(
    [&common, &action, x] { action = [&common, x] { return complete(common, *x); }; });
}

// -- doctor -------------------------------------------------------------------------------------

/// Wakes that cannot be delivered.
nlohmann::json stuck_wakes(actors::client& client) {
  wakes_query query;
  query.limit = 1'000;
  auto stuck = nlohmann::json::array();
  for (;;) {
    const auto page = expect(client.wakes(query));
    for (const auto& x : page.wakes) {
      if (x.state == wake_state::undeliverable) {
        stuck.push_back({{"wake", static_cast<std::uint64_t>(x.id)},
                         {"process", x.process},
                         {"session", x.session},
                         {"reason", x.reason}});
      }
    }
    if (page.wakes.size() < query.limit) {
      break;
    }
    query.after = page.wakes.back().id;
  }
  return stuck;
}

exit_code doctor(const common_options& common) {
  const auto client = connect(common);
  auto findings = expect(client->check()).findings;
  const auto stuck = stuck_wakes(*client);
  const auto code = nlohmann::json::parse(expect(client->node_snapshot()))
                      .value("stuck", nlohmann::json::array());
  const auto counts = expect(client->counts()).by_state;
  const auto found = counts.find("quarantined");
  const auto quarantined = found == counts.end() ? 0 : found->second;
  if (common.format == output_format::json) {
    print_line(nlohmann::json{{"findings", findings},
                              {"undeliverable_wakes", stuck},
                              {"stuck_code", code},
                              {"quarantined", quarantined}}
                 .dump(2));
  } else {
    for (const auto& finding : findings) {
      print_line("BROKEN  " + printable(finding));
    }
    for (const auto& x : stuck) {
      print_line("STUCK   wake " + x["wake"].dump() + " of "
                 + printable(x["process"].get<std::string>()) + " to "
                 + printable(x["session"].get<std::string>()) + ": "
                 + printable(x["reason"].get<std::string>()));
    }
    for (const auto& x : code) {
      print_line("STUCK   code of " + printable(x["id"].get<std::string>())
                 + " was told to stop and has not returned for " + x["ms"].dump() + " ms");
    }
    if (quarantined > 0) {
      print_line("NOTE    " + std::to_string(quarantined)
                 + " quarantined: belay list --state quarantined");
    }
    if (findings.empty() && !common.quiet) {
      print_line("every checksum, index and invariant holds");
    }
  }
  return findings.empty() && stuck.empty() && code.empty() ? exit_code::success
                                                           : exit_code::failure;
}

void add_doctor(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("doctor", "Check the invariants of a running node's store");
  add_common(command, common);
  command.footer("Exit code 1 when something is broken or stuck.\nExample: belay doctor -o json");
  command.callback([&common, &action] { action = [&common] { return doctor(common); }; });
}

} // namespace

void add_upkeep_commands(CLI::App& app, common_options& common, command_action& action) {
  add_prune(app, common, action);
  add_retry(app, common, action);
  add_release(app, common, action);
  add_abandon(app, common, action);
  add_complete(app, common, action);
  add_doctor(app, common, action);
}

} // namespace belay::app
