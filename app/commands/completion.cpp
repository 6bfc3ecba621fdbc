// What is made from the list of commands: completion of command lines, manual pages; and --version.
#include "app/completion.hpp"

#include "app/commands/commands.hpp"
#include "app/manual.hpp"
#include "app/version.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

/// Reads from a command line that is not complete yet which node it is about.
common_options node_of(const std::vector<std::string>& line) {
  common_options x;
  // The --data of a signal is what it says.
  const auto is_signal = line.size() > 1 && line[1] == "signal";
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto takes = [&](const std::string& name, std::string& to) {
      if (line[i] == name && i + 2 < line.size()) { // The last word is the one at the cursor.
        to = line[i + 1];
      } else if (line[i].compare(0, name.size() + 1, name + "=") == 0) {
        to = line[i].substr(name.size() + 1);
      }
    };
    takes(is_signal ? "--directory" : "--data", x.data);
    takes("--node", x.node);
    takes("--tls", x.tls);
    x.insecure = x.insecure || line[i] == "--insecure";
  }
  x.connect_timeout = "0ms";
  return x;
}

/// Nothing where no node answers.
std::vector<candidate> ask_node(value_kind kind, const std::vector<std::string>& line) {
  constexpr std::uint32_t most = 200;
  std::vector<candidate> names;
  try {
    const auto node = connect(node_of(line));
    if (kind == value_kind::worker) {
      for (const auto& x : expect(node->nodes()).nodes) {
        names.push_back({x.name, x.role + ", " + x.state});
      }
      return names;
    }
    if (kind == value_kind::queue) {
      for (const auto& x : expect(node->queues()).queues) {
        names.push_back({x.name, x.limits.paused ? "paused" : "open"});
      }
      return names;
    }
    if (kind == value_kind::actor) {
      for (const auto& x : expect(node->tree(0)).actors) {
        names.push_back({x.name, "actor"});
      }
    }
    list_query query;
    query.id_prefix = line.back();
    query.limit = most;
    const auto page = expect(node->list(query));
    for (const auto& x : page.processes) {
      names.push_back({x.id, state_word(x, page.now)});
    }
  } catch (const command_failure&) { // NOLINT(bugprone-empty-catch): then there is nothing to offer
  }
  return names;
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out{path, std::ios::binary};
  if (!(out << text).flush()) {
    throw command_failure{exit_code::fault, "cannot write " + path.string()};
  }
}

/// Writes what an installation brings beside the program.
void write_manual(const command_doc& root, const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  for (const auto& page : manual_pages(root)) {
    write_file(directory / page.file, page.text);
  }
  for (const auto* shell : {"bash", "zsh", "fish"}) {
    write_file(directory / (root.name + "." + shell), *completion_script(shell, root.name));
  }
}

} // namespace

void add_completion_commands(CLI::App& app, common_options& common, command_action& action) {
  auto& command
    = *app.add_subcommand("completion", "Print what makes a shell complete command lines");
  auto shell = std::make_shared<std::string>();
  command.add_option("SHELL", *shell, "bash, zsh or fish")
    ->required()
    ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command.footer("Example: source <(belay completion bash)\n"
                 "         belay completion zsh >\"${fpath[1]}/_belay\"\n"
                 "         belay completion fish >~/.config/fish/completions/belay.fish");
  command.callback([&app, &action, shell] {
    action = [&app, shell] {
      print_line(*completion_script(*shell, app.get_name()));
      return exit_code::success;
    };
  });

  auto& version_command = *app.add_subcommand("version", "Say what this program is, as --version");
  add_output(version_command, common);
  version_command.footer("Example: belay version -o json");
  version_command.callback([&action, &common] {
    action = [&common] {
      print_line(common.format == output_format::json ? version_json().dump() : version_text());
      return exit_code::success;
    };
  });

  // For the scripts and for the build, not for people: of no group, and so in no list.
  auto& line = *app.add_subcommand("complete-line", "Complete the words behind --")->group("");
  line.callback([&app, &action, &common] {
    action = [&app, &common] {
      const auto found = complete(describe(app), common.program, ask_node);
      std::fputs(render(found).c_str(), stdout);
      return exit_code::success;
    };
  });
  auto& manual
    = *app.add_subcommand("manual", "Write manual pages and completion scripts")->group("");
  auto directory = std::make_shared<std::string>();
  manual.add_option("DIR", *directory, "Directory; made when there is none")->required();
  manual.callback([&app, &action, directory] {
    action = [&app, directory] {
      write_manual(describe(app), *directory);
      return exit_code::success;
    };
  });
}

} // namespace belay::app
