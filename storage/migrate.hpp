// Brings a store of the first format up to the present one.
#pragma once

#include "storage/tables.hpp"

namespace belay::storage {

/// Rewrites heads and bodies and fills the tables that the first format did not have: the change
/// feed (rows in the order of their registration), `finished`, `event_by_type`, `blob`.
void migrate(transaction& txn, const table_handles& tables, const blob_store& blobs);

} // namespace belay::storage
