// Who is in the cluster: what a worker says of itself, what the registry answers, what is shown.
#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/inspect.hpp"

#include <optional>
#include <string>
#include <vector>

namespace belay {

/// The release that this was built from.
inline constexpr const char* program_version = "0.1.0";

/// What a worker says of itself when it enlists. Checked by `validate`.
struct worker_card {
  /// The owner of its leases: unique in the cluster.
  std::string name;
  /// Random, drawn at the start of the program: tells one that comes back from another of its name.
  std::uint64_t run = 0;
  /// The incarnation that it has and wants to keep after its link was lost; 0: a new one.
  std::uint64_t incarnation = 0;
  /// Rows that it runs at once, at least 1.
  std::uint32_t slots = 0;
  /// Tools by name and workflows by kind, as in "album@2".
  std::vector<std::string> kinds;
  /// Queues that it takes from; empty: all.
  std::vector<std::string> queues;
  /// Of its program.
  std::string version = program_version;
  /// Where it runs: host and process id, for people.
  std::string place;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, worker_card& x) {
  using inspection::field;
  return inspection::object(f, "worker_card", field("name", x.name), field("run", x.run),
                            field("incarnation", x.incarnation), field("slots", x.slots),
                            field("kinds", x.kinds), field("queues", x.queues),
                            field("version", x.version), field("place", x.place));
}

/// Returns why a card is not acceptable: a name of other than 1 to 128 bytes of plain text, no slot
/// or more than 65,536, no run, more than 10,000 kinds or queues, or one of them of more than 300
/// bytes.
[[nodiscard]] std::optional<refusal> validate(const worker_card& x);

/// What a worker is given when it has enlisted.
struct enlisted {
  owner who;
  /// How long a lease lasts, in milliseconds: the registry's setting.
  duration_ms ttl = 0;
  /// The registry's time, in milliseconds since 1970.
  timestamp_ms now = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, enlisted& x) {
  using inspection::field;
  return inspection::object(f, "enlisted", field("who", x.who), field("ttl", x.ttl),
                            field("now", x.now));
}

/// One node as `belay nodes` shows it.
struct node_info {
  std::string name;
  std::uint64_t incarnation = 0;
  /// "registry", "worker" or "registry+worker".
  std::string role;
  /// "connected", "draining", "drained" or "silent" (no answer within a second).
  std::string state;
  std::vector<std::string> kinds;
  std::vector<std::string> queues;
  std::uint32_t slots = 0;
  /// Slots taken, and processes that wait in memory without one.
  std::uint32_t busy = 0;
  std::uint32_t waiting = 0;
  timestamp_ms connected_at = 0;
  /// Microseconds from the question to its answer; 0 where there was none.
  std::uint64_t round_trip_us = 0;
  std::string version;
  std::string place;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_info& x) {
  using inspection::field;
  return inspection::object(
    f, "node_info", field("name", x.name), field("incarnation", x.incarnation),
    field("role", x.role), field("state", x.state), field("kinds", x.kinds),
    field("queues", x.queues), field("slots", x.slots), field("busy", x.busy),
    field("waiting", x.waiting), field("connected_at", x.connected_at),
    field("round_trip_us", x.round_trip_us), field("version", x.version), field("place", x.place));
}

struct node_list {
  std::vector<node_info> nodes;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_list& x) {
  return inspection::object(f, "node_list", inspection::field("nodes", x.nodes));
}

} // namespace belay
