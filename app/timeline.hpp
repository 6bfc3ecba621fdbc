// A process's life as bars: what it did and waited for, how long, and its children.
#pragma once

#include "messages/event.hpp"
#include "messages/process_view.hpp"

#include <string>
#include <vector>

namespace belay::app {

enum class bar_kind {
  /// Ready, and nobody had claimed it.
  queued,
  /// Not due yet: by its registration, or before another attempt.
  delayed,
  /// A worker had it.
  running,
  /// Parked: a signal, a timer, another process.
  waiting,
  /// Quarantined.
  held,
  child,
};

[[nodiscard]] std::string to_string(bar_kind x);

struct bar {
  bar_kind kind = bar_kind::queued;
  std::string label;
  timestamp_ms from = 0;
  timestamp_ms until = 0;
  /// Whether it goes on still; then `until` is now.
  bool is_open = false;
  /// How it ended, in a word or two.
  std::string end;
};

struct timeline {
  process_id id;
  std::string state;
  timestamp_ms from = 0;
  timestamp_ms until = 0;
  /// In order of their beginnings.
  std::vector<bar> bars;
};

/// Reads a history, whole and oldest first, and the children as they are now.
[[nodiscard]] timeline make_timeline(const process_view& process, const std::vector<event>& history,
                                     const std::vector<process_view>& children, timestamp_ms now);

/// Renders it for a terminal of so many columns, at least 60.
[[nodiscard]] std::string timeline_text(const timeline& x, std::size_t columns);

/// Renders it as one HTML page that needs nothing else.
[[nodiscard]] std::string timeline_html(const timeline& x);

} // namespace belay::app
