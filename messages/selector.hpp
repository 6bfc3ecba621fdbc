// Selectors: how a wake's condition and input are taken from an event's payload.
//
//   {"type": "payload"}                                   the whole payload
//   {"type": "pointer", "pointer": "/a/b"}                what the JSON pointer leads to
//   {"type": "const", "value": ...}                       always this value
//   {"type": "template", "template": "{x} of {y}", "fields": {"x": SELECTOR, "y": SELECTOR}}
//   {"type": "present", "pointer": "/a"}                  whether the pointer leads anywhere
#pragma once

#include "messages/error.hpp"

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace belay {

/// Checks the shape of a selector; `field` names it in the refusal (`bad_request`).
[[nodiscard]] std::optional<refusal>
validate_selector(const std::string& field, const nlohmann::json& selector);

/// Returns what a valid selector takes from a payload. Refuses (`bad_request`) when a pointer leads
/// nowhere.
[[nodiscard]] checked<nlohmann::json>
select(const nlohmann::json& selector, const nlohmann::json& payload);

/// Whether a selected value counts as true: all but null, false, "", [] and {}.
[[nodiscard]] bool truthy(const nlohmann::json& value);

/// Returns a value as text: a string as it is, anything else as JSON.
[[nodiscard]] std::string text_of(const nlohmann::json& value);

/// Returns what a wake says when its type names no input: the payload's `text`, else its `value`,
/// else all of it.
[[nodiscard]] std::string default_wake_input(const nlohmann::json& payload);

} // namespace belay
