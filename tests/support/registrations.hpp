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

/// Returns one that may be sent events of these types, with any payload.
inline registration make_declaring(const std::string& id, const std::vector<std::string>& types) {
  auto x = make_registration(id);
  for (const auto& type : types) {
    x.event_types.push_back({type, "true", ""});
  }
  return x;
}

} // namespace belay::tests
