// Where `belay top` has its frames from: requests to a node, each bounded and with a deadline.
#pragma once

#include "actors/node/client.hpp"
#include "app/top/model.hpp"

namespace belay::app::top {

/// Looks at a node once: counts, the registry's state, the nodes, and what the question names.
/// Blocks. Refuses when the node cannot be reached; what is refused for another reason is said in
/// `answer::refused`.
[[nodiscard]] checked<answer> look(actors::client& client, const question& asked);

/// Does what was wished for, and returns what came of it for people.
[[nodiscard]] std::string act(actors::client& client, const wish& wanted);

} // namespace belay::app::top
