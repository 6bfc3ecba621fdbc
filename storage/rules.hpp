// Decisions of the registry as pure functions over records: no table, no clock, no side effect.
#pragma once

#include "messages/outcome.hpp"
#include "storage/records.hpp"

#include <optional>

namespace belay::storage::rules {

/// What a presented lease is compared with.
struct presented_lease {
  /// The interned owner; nothing when the name was never seen.
  std::optional<name_id> owner;
  std::uint64_t incarnation = 0;
  lease_token token;
  fencing_token fence{};
};

/// Whether a presented lease is the live one: same owner and incarnation, token and fence, and not
/// expired. Expiry exactly now counts as expired.
[[nodiscard]] bool still_holds(const std::optional<lease_record>& stored,
                               const presented_lease& presented, timestamp_ms now);

/// Whether a failure is followed by another attempt.
[[nodiscard]] bool may_retry(const head_record& head, const outcome& result);

/// Returns the pause before the next attempt: backoff x factor^failures, at most backoff_max, give
/// or take a fifth by `random` so that a crowd does not come back at once.
[[nodiscard]] duration_ms
retry_pause(const retry_policy& policy, std::uint32_t failures, std::uint64_t random);

/// Where a row goes whose lease was lost.
enum class after_loss { ready, quarantined, cancelled };

/// `head.interruptions` counts this loss already; `interruptions_max` 0 means no bound.
[[nodiscard]] after_loss
after_interruption(const head_record& head, std::uint32_t interruptions_max);

/// Returns the event type that records an outcome.
[[nodiscard]] const char* terminal_event(outcome_kind kind);

} // namespace belay::storage::rules
