// What is read when it is asked for: the store's sizes and states, and this program.
#pragma once

#include "actors/metrics/exposition.hpp"
#include "storage/store.hpp"

#include <vector>

namespace belay::metrics {

/// Adds what one look at the store tells. Short read transactions only: no writer waits for it.
/// Throws `storage::error`.
void add_store(std::vector<reading>& to, const storage::store& store);

/// Adds version and commit of this program.
void add_build(std::vector<reading>& to, const std::string& node, const std::string& role);

} // namespace belay::metrics
