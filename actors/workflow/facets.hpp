// How durable effects and the stores beneath them are, and which fit together.
#pragma once

#include "messages/error.hpp"

#include <optional>

namespace belay {

/// What is left of something after a crash. Ordered.
enum class durability {
  /// Nothing: it lives in the program.
  in_memory,
  /// Everything that was acknowledged.
  durable,
};

[[nodiscard]] std::string to_string(durability tier);

/// The stores that effects rest on; one that a node does not have is not asked for.
struct facets {
  std::optional<durability> attachment_store = durability::durable;
  std::optional<durability> process_env_store;
  std::optional<durability> session_store;
  std::optional<durability> process_registry = durability::durable;
  std::optional<durability> trigger_store;
};

/// Checks that durable effects rest on durable stores; effects in memory rest on any. Refuses
/// (`ec::bad_request`) with the first facet that does not fit, as in "durable_store_required:
/// session_store".
[[nodiscard]] std::optional<refusal> check_facets(durability effects, const facets& stores);

} // namespace belay
