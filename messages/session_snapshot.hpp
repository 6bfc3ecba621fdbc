// A session's snapshot: every process that it observes or is woken by, as it stands at one moment.
//
// Facts only: whether something is stuck is for the host to decide.
#pragma once

#include "messages/event.hpp"
#include "messages/process_view.hpp"
#include "messages/registration.hpp"

namespace belay {

/// A place in the order of a snapshot: last updated first, then last registered.
struct session_place {
  timestamp_ms updated_at = 0;
  timestamp_ms created_at = 0;
  /// 0 means none: the beginning of a query, the end of a snapshot.
  row_id row{};

  friend auto operator<=>(const session_place&, const session_place&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, session_place& x) {
  using inspection::field;
  return inspection::object(f, "session_place", field("updated_at", x.updated_at),
                            field("created_at", x.created_at), field("row", x.row));
}

/// Asks for a stretch of a session's snapshot.
struct session_query {
  std::string session;
  /// Only this process; nothing when the session has nothing to do with it. Empty means all.
  process_id process;
  /// Most processes to return: 1 to 1,000.
  std::uint32_t limit = 100;
  /// Last events of each: 0 to 1,000.
  std::uint32_t events = 32;
  /// Only what stands behind this place (the `next` of the stretch before). A process that changes
  /// between two stretches moves to the front, where the next snapshot has it.
  session_place after;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, session_query& x) {
  using inspection::field;
  return inspection::object(f, "session_query", field("session", x.session),
                            field("process", x.process), field("limit", x.limit),
                            field("events", x.events), field("after", x.after));
}

/// One process as a session is shown it.
struct session_entry {
  /// With `abandon`, without the registration and the outcome's value.
  process_view process;
  /// What the session has to do with it; at least one is true.
  bool observes = false;
  bool woken_by = false;
  /// What it is about: the registration's `label`; else of an external input the `label`, `name` or
  /// `title` in its metadata; else the kind.
  std::string title;
  /// The session that it is itself the life of: `child_session_id` in an external input's metadata.
  /// Empty means none.
  std::string child_session;
  recovery_rule rule{};
  /// Of an outcome that is no success: its code (a failure's) and its text.
  std::string error_code;
  std::string error;
  /// Its last events, oldest first.
  std::vector<event> events;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, session_entry& x) {
  using inspection::field;
  return inspection::object(f, "session_entry", field("process", x.process),
                            field("observes", x.observes), field("woken_by", x.woken_by),
                            field("title", x.title), field("child_session", x.child_session),
                            field("rule", x.rule), field("error_code", x.error_code),
                            field("error", x.error), field("events", x.events));
}

/// A stretch of a session's snapshot. A session that nobody has heard of has an empty one.
struct session_snapshot {
  std::string session;
  /// The registry's time at which it was read.
  timestamp_ms now = 0;
  /// How many processes the session has to do with, those not shown here included.
  std::uint64_t total = 0;
  std::vector<session_entry> entries;
  /// Where to go on.
  session_place next;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, session_snapshot& x) {
  using inspection::field;
  return inspection::object(f, "session_snapshot", field("session", x.session), field("now", x.now),
                            field("total", x.total), field("entries", x.entries),
                            field("next", x.next));
}

/// Fills `title` and `child_session` from the registration.
void describe(session_entry& x, const registration& what);

/// Fills `error_code` and `error` from an outcome; a success leaves them empty.
void describe(session_entry& x, const outcome& ended);

/// Renders one entry for a host: times as milliseconds since 1970.
[[nodiscard]] nlohmann::json host_json(const session_entry& x, timestamp_ms now);

} // namespace belay
