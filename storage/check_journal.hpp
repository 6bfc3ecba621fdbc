// The part of the full scan that looks at journals, statuses and attachments.
#pragma once

#include "storage/tables.hpp"

#include <functional>

namespace belay::storage {

/// What a scan does with what it finds.
struct check_sinks {
  /// A finding about a row.
  std::function<void(row_id, const std::string&)> report;
  /// A text that a record points to.
  std::function<void(const stored_text&)> count;
};

/// Entries stand from 1 without gaps, attachments are what their hashes say, and every record
/// belongs to a row that knows of it. Reports what does not hold.
void check_journals(const transaction& txn, const table_handles& tables, const table_reader& read,
                    const check_sinks& sinks);

} // namespace belay::storage
