// What tests of workflows ask of belay::testing::node again and again.
#pragma once

#include "actors/testing/node.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace belay::tests {

/// Checks every record and invariant.
inline void require_sound(const testing::node& node) {
  const auto findings = node.check();
  CAPTURE(findings);
  CHECK(findings.empty());
}

/// Returns the value of a process that has succeeded.
inline json success_of(const testing::node& node, const process_id& id) {
  const auto ended = node.outcome_of(id);
  REQUIRE(ended);
  INFO(ended->message);
  REQUIRE(ended->kind == outcome_kind::success);
  return json::parse(ended->value);
}

} // namespace belay::tests
