// Cutting what a workflow leaves behind into messages that another node takes.
#pragma once

#include "messages/journal.hpp"

#include <deque>

namespace belay::actors {

/// Cuts a request into parts of about `bytes_max` bytes, or one thing more; at least one part. They
/// are to be written in their order, and after a crash between two of them the workflow goes on as
/// after any other: children and attachments come first, for both are the same when they are made
/// again, then the entries in their order, each with its event.
[[nodiscard]] std::deque<journal_request> parts_of(journal_request all, std::size_t bytes_max);

} // namespace belay::actors
