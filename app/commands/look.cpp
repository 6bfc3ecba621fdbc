// belay tree, inspect, explain: what each actor thinks, and why something does not run.
#include "app/commands/commands.hpp"
#include "app/facts.hpp"
#include "messages/did_you_mean.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

/// Processes of each worker that are looked at unless told otherwise.
constexpr std::uint32_t limit_default = 100;

nlohmann::json view_of(const actor_view& x) {
  nlohmann::json result{{"name", x.name}, {"depth", x.depth}, {"answered", !x.state_json.empty()}};
  if (!x.state_json.empty()) {
    result["state"] = nlohmann::json::parse(x.state_json, nullptr, false);
  }
  return result;
}

/// Returns the lines that lead to each actor, from the last up: whether an actor is the last below
/// its parent is then known without a look at those that follow.
std::vector<std::string> branches(const std::vector<actor_view>& all) {
  std::vector<std::string> result(all.size());
  std::vector<bool> goes_on; // By depth: whether one of it follows below the same parent.
  for (auto i = all.size(); i-- > 0;) {
    const auto own = all[i].depth;
    goes_on.resize(own + 1, false);
    for (std::uint32_t depth = 1; depth <= own; ++depth) {
      result[i]
        += depth == own ? (goes_on[depth] ? "├─ " : "└─ ") : (goes_on[depth] ? "│  " : "   ");
    }
    goes_on[own] = true;
  }
  return result;
}

void draw(const std::vector<actor_view>& all) {
  const auto leads = branches(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    print_line(leads[i] + printable(all[i].name) + "  " + printable(actor_line(all[i].state_json)));
  }
}

exit_code tree(const common_options& common, std::uint32_t limit) {
  const auto found = expect(connect(common)->tree(limit));
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    for (const auto& x : found.actors) {
      print_line(view_of(x).dump());
    }
    return exit_code::success;
  }
  draw(found.actors);
  if (found.left_out > 0) {
    print_error(std::to_string(found.left_out) + " more processes: --limit");
  }
  return exit_code::success;
}

void print_actors(const common_options& common, const std::vector<actor_view>& actors) {
  if (common.quiet) {
    return;
  }
  for (const auto& x : actors) {
    if (common.format == output_format::json) {
      print_line(view_of(x).dump());
      continue;
    }
    print_line(printable(x.name));
    const auto state = nlohmann::json::parse(x.state_json, nullptr, false);
    print_line(x.state_json.empty() ? "does not answer" : state.dump(2));
  }
}

/// Prints an actor of a process by the name that `tree` gives it, as in "local/process/ID"; false
/// when there is none.
bool inspect_part(const common_options& common, actors::client& client, const std::string& name,
                  const std::vector<std::string>& live) {
  constexpr std::string_view of_node = "/sweeper";
  for (const auto& actor : live) {
    if (!actor.ends_with(of_node)) {
      continue;
    }
    const auto node = actor.substr(0, actor.size() - of_node.size());
    for (const auto* part : {"/process/", "/keeper/"}) {
      const auto start = node + part;
      if (!name.starts_with(start)) {
        continue;
      }
      const auto actors = client.actors_of(node, name.substr(start.size()));
      for (const auto& x : actors ? actors->actors : std::vector<actor_view>{}) {
        if (x.name == name) {
          print_actors(common, {x});
          return true;
        }
      }
    }
  }
  return false;
}

exit_code inspect(const common_options& common, const std::string& name) {
  const auto client = connect(common);
  auto found = expect(client->tree(0));
  std::vector<std::string> names;
  for (const auto& x : found.actors) {
    if (x.name == name) {
      print_actors(common, {x});
      return exit_code::success;
    }
    names.push_back(x.name);
  }
  if (inspect_part(common, *client, name, names)) {
    return exit_code::success;
  }
  const auto view = client->get(name);
  if (!view && view.why().code == ec::pruned) {
    throw command_failure{exit_code::usage, view.why().text};
  }
  if (!view) {
    throw command_failure{exit_code::usage, "'" + name + "' is no actor and no process"
                                              + suggestion(name, names)
                                              + "; `belay tree` lists the actors"};
  }
  if (view->state != process_state::running) {
    if (common.quiet) {
      return exit_code::success;
    }
    print_line("'" + printable(name) + "' has no actor: it is " + state_word(*view, wall_now())
               + "; `belay get` shows its row");
    return exit_code::success;
  }
  const auto actors = client->actors_of(view->holder.name, name);
  if (!actors) {
    throw command_failure{exit_code_of(actors.why()), actors.why().text};
  }
  print_actors(common, actors->actors);
  return exit_code::success;
}

exit_code explain_process(const common_options& common, const process_id& id) {
  const auto client = connect(common);
  const auto known = expect(gather(*client, id));
  const auto said = explain(known);
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    auto facts = nlohmann::json::array();
    for (const auto& [key, value] : said.facts) {
      facts.push_back({{"fact", key}, {"value", value}});
    }
    print_line(nlohmann::json{
      {"id", id},
      {"state", state_word(known.process, known.now)},
      {"why", said.why},
      {"sentence", said.sentence},
      {"facts",
       facts}}.dump(2));
    return exit_code::success;
  }
  print_line(printable(said.sentence));
  for (const auto& [key, value] : said.facts) {
    auto line = "  " + key;
    line.append(line.size() < 22 ? 22 - line.size() : 1, ' ');
    print_line(printable(line + value));
  }
  return exit_code::success;
}

} // namespace

void add_look_commands(CLI::App& app, common_options& common, command_action& action) {
  auto& drawn = *app.add_subcommand("tree", "Draw the live actors, each with its state");
  auto limit = std::make_shared<std::uint32_t>(limit_default);
  add_common(drawn, common);
  drawn.add_option("--limit", *limit, "Most processes of each worker (default: 100)")
    ->check(whole_number);
  drawn.footer("Who does not answer in time is shown so; nobody is held up by it.\n"
               "Example: belay tree --node 127.0.0.1:7400");
  drawn.callback(
    [&common, &action, limit] { action = [&common, limit] { return tree(common, *limit); }; });

  auto& one = *app.add_subcommand("inspect", "Print an actor's state, or those of a process");
  auto name = std::make_shared<std::string>();
  add_common(one, common);
  one.add_option("ACTOR", *name, "An actor as `tree` names it, or a process id")
    ->type_name("ACTOR")
    ->required();
  one.footer("Example: belay inspect registry\n         belay inspect nightly-7");
  one.callback(
    [&common, &action, name] { action = [&common, name] { return inspect(common, *name); }; });

  auto& why = *app.add_subcommand("explain", "Say why a process does not run, or what it does");
  auto id = std::make_shared<std::string>();
  add_common(why, common);
  why.add_option("ID", *id, "Process id")->required();
  why.footer("Example: belay explain nightly-7");
  why.callback(
    [&common, &action, id] { action = [&common, id] { return explain_process(common, *id); }; });
}

} // namespace belay::app
