// What `explain` needs to know, asked of a node.
#pragma once

#include "actors/node/client.hpp"
#include "app/explanation.hpp"

namespace belay::app {

/// Gathers what is known of a process. Refuses as `client::get` does.
[[nodiscard]] checked<known_facts> gather(actors::client& client, const process_id& id);

} // namespace belay::app
