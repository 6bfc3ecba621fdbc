// What may stand at the cursor of a command line, and the scripts that ask for it.
#pragma once

#include "app/command_tree.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace belay::app {

struct candidate {
  std::string text;
  /// In a few words; may be empty.
  std::string help;
};

struct completions {
  std::vector<candidate> candidates;
  /// Whether the shell is to complete names of files, or of directories alone.
  bool files = false;
  bool directories = false;
};

/// Names that only a running node knows: ids of processes, names of workers. May be empty; should
/// be quick, and answer with nothing where no node runs. Gets the words of the line, which may say
/// what node; the last one is to be completed.
using live_names
  = std::function<std::vector<candidate>(value_kind, const std::vector<std::string>& line)>;

/// Completes the last of the words, which may be empty; the first is the program.
[[nodiscard]] completions
complete(const command_doc& root, const std::vector<std::string>& words, const live_names& live);

/// Renders for the scripts: a line ":files" or ":directories", or one candidate a line with its
/// help behind a tab.
[[nodiscard]] std::string render(const completions& x);

/// Returns the script that makes a shell (bash, zsh or fish) complete the command lines of a
/// program by asking it; nothing for another shell.
[[nodiscard]] std::optional<std::string>
completion_script(const std::string& shell, const std::string& program);

} // namespace belay::app
