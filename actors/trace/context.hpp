// Which trace a process belongs to, and the ids of its spans.
//
// Nothing here is drawn by chance: every node, and the successor of a node that was killed, comes
// to the same ids.
#pragma once

#include "messages/ids.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace belay::tracing {

/// A place in a trace, as a `traceparent` says it.
struct context {
  /// 32 lower-case hex digits.
  std::string trace_id;
  /// 16 lower-case hex digits: the span that comes before. Empty at the root of a trace.
  std::string span_id;
  /// Whether spans of this trace are to be kept.
  bool sampled = false;
};

/// Reads a `traceparent`, of a later version what version 00 has too. Nothing when it is not one
/// (`is_traceparent`).
[[nodiscard]] std::optional<context> parse_traceparent(std::string_view text);

/// Returns a `traceparent` as who knows version 00 passes it on; what is none as it is.
[[nodiscard]] std::string as_version_00(std::string text);

/// Renders a `traceparent` of version 00. Requires both ids.
[[nodiscard]] std::string to_traceparent(const context& x);

/// The trace of a process that was registered without one: the first 16 bytes of a SHA-256.
[[nodiscard]] std::string derive_trace_id(const process_id& id, row_id row);

/// The id of a process's span: the first 8 bytes of a SHA-256. `fence` tells the runs of one
/// process apart and is 0 where there is one such span only.
[[nodiscard]] std::string derive_span_id(const std::string& trace_id, const process_id& id,
                                         fencing_token fence, std::string_view name);

/// Whether a trace is among the `ratio` (0 to 1) that is kept: decided by the id alone, so that all
/// nodes with one setting agree.
[[nodiscard]] bool is_sampled(const std::string& trace_id, double ratio);

} // namespace belay::tracing
