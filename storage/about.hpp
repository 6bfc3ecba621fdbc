// What the store rests on, for `belay --version`.
#pragma once

#include <cstdint>
#include <string>

namespace belay::storage {

/// Returns the version of LMDB, as in "0.9.24".
[[nodiscard]] std::string lmdb_version();

/// Returns the version of the store's format.
[[nodiscard]] std::uint64_t store_format();

/// Says in a sentence what an acknowledged write has been through.
[[nodiscard]] std::string durability_text();

} // namespace belay::storage
