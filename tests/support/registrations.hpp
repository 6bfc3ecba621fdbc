// Registrations for tests.
#pragma once

#include "messages/registration.hpp"

#include <nlohmann/json.hpp>

namespace belay::tests {

/// Returns a registration of a tool call without arguments.
inline registration make_registration(const std::string& id, const std::string& tool = "fake") {
  const nlohmann::json text{
    {"id", id},
    {"input", {{"type", "tool_call"}, {"tool", tool}, {"args", nlohmann::json::object()}}}};
  auto parsed = parse_registration(text, recovery_rule::rerunnable);
  return *parsed;
}

} // namespace belay::tests
