// Registrations where no bound of this program's own applies: read back, or on their way to a node.
#pragma once

#include "messages/registration.hpp"

namespace belay {

/// Reads a registration from a store or from an export of one. Only its form is checked: how long
/// and how many things may be, and which schemas, was decided when it came in, by the settings and
/// the rules of then.
[[nodiscard]] checked<registration> parse_stored_registration(const nlohmann::json& text);

/// The same check of one that was read. Returns nothing when all is well.
[[nodiscard]] std::optional<refusal> validate_stored(const registration& x);

/// The highest limits that a node's settings can allow (`registration.*`): for a caller who leaves
/// it to the node to refuse.
[[nodiscard]] registration_limits widest_limits();

} // namespace belay
