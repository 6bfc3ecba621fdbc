// What is read when it is asked for: the store's sizes and states, and this program.
#pragma once

#include "actors/metrics/exposition.hpp"
#include "storage/store.hpp"

#include <vector>

namespace belay::metrics {

/// Adds what one look at the store tells. Short read transactions only: no writer waits for it.
/// Throws `storage::error`.
void add_store(std::vector<reading>& to, const storage::store& store);

/// What stands in one queue.
struct queue_depth {
  std::string name;
  std::uint64_t ready = 0;
  std::uint64_t delayed = 0;
  std::uint64_t running = 0;
  std::uint64_t waiting = 0;
  /// How long the oldest that is due has waited to be claimed, in milliseconds.
  duration_ms oldest_ready_ms = 0;
};

/// Adds the queues; those beyond the bound of the label share one value, with sums and the longest
/// wait. One that was there once stays, with zeros.
void add_queues(std::vector<reading>& to, exposition& labels, const std::vector<queue_depth>& all);

/// Adds version and commit of this program.
void add_build(std::vector<reading>& to, const std::string& node, const std::string& role,
               const std::string& commit);

} // namespace belay::metrics
