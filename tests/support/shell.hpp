// What tests of real programs check again and again.
#pragma once

#include "tests/support/program.hpp"

#include <catch2/catch.hpp>
#include <csignal>

namespace belay::tests {

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Ends a node as a person would, and has its store checked.
inline void stop_and_check(node_process& node) {
  CHECK(node.end(SIGTERM) == 0);
  const auto checked = run_belay({"store", "check", "--data", node.directory().string()});
  INFO(checked.out << checked.err);
  CHECK(checked.code == 0);
}

} // namespace belay::tests
