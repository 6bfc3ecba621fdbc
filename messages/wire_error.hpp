// Refusals on the wire: `refusal` to `caf::error` and back.
#pragma once

#include "messages/type_ids.hpp"

#include <caf/error.hpp>
#include <caf/fwd.hpp>

namespace belay {

/// Returns the error that carries a refusal: its code and, as context, its text.
[[nodiscard]] caf::error to_error(const refusal& no);

/// Returns the refusal an error carries. CAF's own errors become the nearest code: a request that
/// ran out of time `timed_out`, anything that went down `shutting_down`.
[[nodiscard]] refusal to_refusal(const caf::error& x);

/// Registers the message types and the error renderer with an actor system's configuration.
void add_messages(caf::actor_system_config& config);

} // namespace belay
