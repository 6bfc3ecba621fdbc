// Running a process again.
#pragma once

#include "actors/node/client.hpp"

namespace belay::app {

/// Registers a finished process anew, under `as` or, where that is empty, the first of ID~1, ID~2,
/// ... that is free. Refuses as `client::again` does. Returns the new id.
[[nodiscard]] checked<process_id>
register_anew(actors::client& client, const process_id& id, process_id as = {});

} // namespace belay::app
