// What a registry prunes by itself.
#pragma once

#include "messages/outcome.hpp"

namespace belay::actors {

/// The `[retention]` section of the configuration: what is pruned by itself.
struct retention_policy {
  /// How long a process is kept after its outcome, by the kind of outcome; 0 means for ever.
  duration_ms success_ms = 0;
  duration_ms failure_ms = 0;
  duration_ms cancelled_ms = 0;
  duration_ms abandoned_ms = 0;
  /// How long the tombstone of a pruned process is kept; 0 means for ever.
  duration_ms tombstone_ms = 0;
  /// The oldest finished processes are pruned while the store uses more, in bytes; 0: no bound.
  std::uint64_t bytes_max = 0;
  /// Most rows of one transaction.
  std::uint32_t batch = 200;

  [[nodiscard]] duration_ms of(outcome_kind kind) const;
  /// From one look for old outcomes to the next.
  [[nodiscard]] duration_ms pause() const;
};

} // namespace belay::actors
