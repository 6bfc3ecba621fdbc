// The identifiers of the house: rows, fencing tokens, lease tokens, owners.
#pragma once

#include "messages/inspect.hpp"

#include <compare>
#include <cstdint>
#include <string>

namespace belay {

/// A process's stable name, chosen by the caller or made by `make_process_id()` (UUIDv7).
/// 1 to 256 bytes of UTF-8 without control characters, not blank.
using process_id = std::string;

/// Where a process lives in the store: rises with every registration, never reused.
enum class row_id : std::uint64_t {};

/// Rises with every grant of a row's lease. A writer with a smaller one is refused.
enum class fencing_token : std::uint64_t {};

/// A position in one process's history: 1, 2, 3, ... without gaps. 0 means "before the first".
using event_seq = std::uint64_t;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z by the registry's clock. 0 means none.
using timestamp_ms = std::int64_t;

/// A length of time in milliseconds. 0 means none, or no bound; the field says which.
using duration_ms = std::int64_t;

/// Who holds leases: a node's name and how many times it has been started.
struct owner {
  std::string name;
  std::uint64_t incarnation = 0;

  friend bool operator==(const owner&, const owner&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, owner& x) {
  return inspection::object(f, "owner", inspection::field("name", x.name),
                            inspection::field("incarnation", x.incarnation));
}

/// The random part of a lease: proves that the writer was handed this very grant.
struct lease_token {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend bool operator==(const lease_token&, const lease_token&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_token& x) {
  return inspection::object(f, "lease_token", inspection::field("high", x.high),
                            inspection::field("low", x.low));
}

/// Makes a new process id: a UUIDv7, so that ids made later sort later.
[[nodiscard]] process_id make_process_id();

} // namespace belay
