// Manual pages in the man(7) language, made from what the program knows of its commands and
// settings.
#pragma once

#include "app/command_tree.hpp"

#include <string>
#include <vector>

namespace belay::app {

struct manual_page {
  /// As in "belay.1".
  std::string file;
  std::string text;
};

/// Returns the page of the program, one of each command, and that of the configuration file.
[[nodiscard]] std::vector<manual_page> manual_pages(const command_doc& root);

} // namespace belay::app
