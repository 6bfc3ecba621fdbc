// The commands of the program as data: what manual pages and shell completion are made from.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

namespace belay::app {

/// What a value is, as far as a shell can help with it.
enum class value_kind { text, word, file, directory, process, worker, queue, actor };

struct argument_doc {
  /// With their dashes, short ones first, or the one name of a positional argument.
  std::vector<std::string> names;
  /// What the value is called, as in FILE; empty: a flag.
  std::string value;
  value_kind kind = value_kind::text;
  /// The words that it may be (`value_kind::word`).
  std::vector<std::string> words;
  std::string help;
  bool required = false;
  bool repeatable = false;
};

struct command_doc {
  std::string name;
  std::string help;
  std::string footer;
  std::vector<argument_doc> options;
  /// Positional, in order.
  std::vector<argument_doc> arguments;
  std::vector<command_doc> commands;
};

/// Reads what the parser knows; commands of the empty group are left out.
///
/// The type name of an option or the name of an argument says what its value is: FILE, DIR, ID (of
/// a process), NODE (a worker's name), {one,of,these}, or anything else, which is only shown.
[[nodiscard]] command_doc describe(const CLI::App& app);

/// Returns the command below `root` of that name; nothing when there is none.
[[nodiscard]] const command_doc* find_command(const command_doc& root, const std::string& name);

} // namespace belay::app
