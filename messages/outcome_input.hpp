// An outcome as a person writes it, for a process that is completed from outside.
#pragma once

#include "messages/error.hpp"
#include "messages/outcome.hpp"

#include <nlohmann/json_fwd.hpp>

namespace belay {

/// Reads `{"type": "success", "value": ...}`, or another type with a `message`; of a failure also
/// `class` (default: external), `code` (default: failed) and `retryable` (default: false).
///
/// Only `type` is required. Refuses (`ec::bad_request`) unknown keys ("did you mean"), wrong types
/// and what another type has; the text names the key, the value and what was expected.
[[nodiscard]] checked<outcome> parse_outcome(const nlohmann::json& text);

} // namespace belay
