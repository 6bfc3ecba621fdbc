// How long the actors of a worker wait for the registry.
#pragma once

#include "messages/ids.hpp"

#include <chrono>

namespace belay::actors {

/// How long a request to the registry may take.
inline constexpr std::chrono::seconds registry_deadline{10};
/// Pause before a request that was not answered, or found the store full, is sent again.
inline constexpr duration_ms again_pause_ms = 250;

} // namespace belay::actors
