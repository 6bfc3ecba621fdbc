// One immutable fact in the history of a process.
#pragma once

#include "messages/ids.hpp"

#include <vector>

namespace belay {

/// An event of one process. Names that begin with "process." are written by the registry alone.
struct event {
  event_seq seq = 0;
  timestamp_ms at = 0;
  std::string type;
  /// JSON text.
  std::string payload;
  /// The idempotency key it was appended under; empty when there was none.
  std::string key;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, event& x) {
  using inspection::field;
  return inspection::object(f, "event", field("seq", x.seq), field("at", x.at),
                            field("type", x.type), field("payload", x.payload),
                            field("key", x.key));
}

/// A stretch of one process's history, oldest first.
struct event_page {
  std::vector<event> events;
  /// Whether there were more events than the page holds.
  bool more = false;
  /// Whether the process has its outcome, so that no further event will come.
  bool terminal = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, event_page& x) {
  using inspection::field;
  return inspection::object(f, "event_page", field("events", x.events), field("more", x.more),
                            field("terminal", x.terminal));
}

/// The event types that the registry writes.
namespace event_types {
inline constexpr const char* registered = "process.registered";
inline constexpr const char* started = "process.started";
inline constexpr const char* interrupted = "process.interrupted";
inline constexpr const char* released = "process.released";
inline constexpr const char* attempt_failed = "process.attempt_failed";
inline constexpr const char* quarantined = "process.quarantined";
inline constexpr const char* cancel_requested = "process.cancel_requested";
inline constexpr const char* kill_requested = "process.kill_requested";
inline constexpr const char* completed = "process.completed";
inline constexpr const char* failed = "process.failed";
inline constexpr const char* cancelled = "process.cancelled";
inline constexpr const char* abandoned = "process.abandoned";
inline constexpr const char* abandon_requested = "process.abandon_requested";
inline constexpr const char* external_ref_set = "process.external_ref_set";
inline constexpr const char* observer_added = "process.observer_added";
inline constexpr const char* observer_removed = "process.observer_removed";
inline constexpr const char* wake_retargeted = "process.wake_retargeted";
inline constexpr const char* waiting = "process.waiting";
inline constexpr const char* resumed = "process.resumed";
inline constexpr const char* unquarantined = "process.unquarantined";
/// Before a signal's name: "signal.approved".
inline constexpr const char* signal_prefix = "signal.";
} // namespace event_types

} // namespace belay
