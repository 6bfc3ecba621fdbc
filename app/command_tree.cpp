#include "app/command_tree.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

namespace belay::app {

namespace {

std::vector<std::string> words_in(const std::string& braces) {
  std::vector<std::string> result;
  std::istringstream in{braces};
  for (std::string word; std::getline(in, word, ',');) {
    result.push_back(word);
  }
  return result;
}

void set_kind(argument_doc& x, const std::string& type) {
  // A check of CLI11 adds its own words behind a colon: TEXT:{table,json}.
  const auto open = type.find('{');
  const auto close = type.find('}', open);
  if (open != std::string::npos && close != std::string::npos) {
    x.words = words_in(type.substr(open + 1, close - open - 1));
    x.kind = value_kind::word;
    for (const auto& word : x.words) {
      x.value += (x.value.empty() ? "" : "|") + word;
    }
    return;
  }
  x.value = type.empty() ? "TEXT" : type;
  if (x.value == "FILE") {
    x.kind = value_kind::file;
  } else if (x.value == "DIR") {
    x.kind = value_kind::directory;
  } else if (x.value == "ID") {
    x.kind = value_kind::process;
  } else if (x.value == "NODE") {
    x.kind = value_kind::worker;
  } else if (x.value == "QUEUE") {
    x.kind = value_kind::queue;
  } else if (x.value == "ACTOR") {
    x.kind = value_kind::actor;
  }
}

argument_doc describe(const CLI::Option& option) {
  argument_doc x;
  x.help = option.get_description();
  x.required = option.get_required();
  x.repeatable = option.get_expected_max() > 1
                 || option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  if (option.nonpositional()) {
    for (const auto& name : option.get_snames()) {
      x.names.push_back("-" + name);
    }
    for (const auto& name : option.get_lnames()) {
      x.names.push_back("--" + name);
    }
    if (option.get_expected_min() > 0) {
      set_kind(x, option.get_type_name());
    }
    return x;
  }
  x.names.push_back(option.get_name());
  // The name says it, where the type does not.
  set_kind(x, option.get_type_name());
  if (x.kind == value_kind::text) {
    set_kind(x, x.names.front());
  }
  x.value = x.names.front();
  return x;
}

} // namespace

command_doc describe(const CLI::App& app) {
  command_doc x;
  x.name = app.get_name();
  x.help = app.get_description();
  x.footer = app.get_footer();
  for (const auto* option : app.get_options()) {
    (option->nonpositional() ? x.options : x.arguments).push_back(describe(*option));
  }
  for (const auto* command :
       app.get_subcommands([](const CLI::App* y) { return !y->get_group().empty(); })) {
    x.commands.push_back(describe(*command));
  }
  return x;
}

const command_doc* find_command(const command_doc& root, const std::string& name) {
  const auto found = std::find_if(root.commands.begin(), root.commands.end(),
                                  [&name](const command_doc& x) { return x.name == name; });
  return found == root.commands.end() ? nullptr : &*found;
}

} // namespace belay::app
