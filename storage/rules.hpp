// Decisions of the registry as pure functions over records: no table, no clock, no side effect.
#pragma once

#include "messages/outcome.hpp"
#include "messages/upkeep.hpp"
#include "storage/records.hpp"

#include <optional>

namespace belay::storage::rules {

inline constexpr std::int64_t us_per_ms = 1'000;

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

/// Whether a cancel or kill request ends a row that nobody holds: code with a journal is let know
/// of a cancel, and ends by itself.
[[nodiscard]] bool ends_cancelled(const head_record& head);

/// Where a row goes whose lease was lost.
enum class after_loss { ready, quarantined, cancelled, abandoned };

/// `head.interruptions` counts this loss already; `interruptions_max` 0 means no bound.
[[nodiscard]] after_loss
after_interruption(const head_record& head, std::uint32_t interruptions_max);

/// The same for a row that its holder gives back. `started` says whether the run had begun.
[[nodiscard]] after_loss after_release(const head_record& head, bool started);

/// Returns the fence of the next grant; nothing when there is none left.
[[nodiscard]] std::optional<fencing_token> next_fence(fencing_token last);

/// Whether a row has run as often as it may; a row that goes on after a wait does not run again.
[[nodiscard]] bool attempts_used_up(const head_record& head);

/// Whether an authority may complete a process without its lease, and with this outcome. Returns
/// the reason against it, or nothing.
[[nodiscard]] std::optional<std::string>
authority_refused(authority by, recovery_rule rule, outcome_kind kind);

/// Returns the pause before a wake is handed out again: a second, doubled for each time, up to five
/// minutes.
[[nodiscard]] duration_ms wake_pause(std::uint32_t attempts);

/// Returns from when on, in microseconds, the rate of a queue allows a claim if the next one is
/// expected at `expected_us`. Requires that there is a rate.
///
/// The generic cell rate algorithm (ITU-T I.371): claims are expected one interval apart, and may
/// come early by as much as the burst allows.
[[nodiscard]] std::int64_t rate_allows_at(const queue_limits& limits, std::int64_t expected_us);

/// Returns when the next claim is expected after one at `now_us`.
[[nodiscard]] std::int64_t
expected_after_claim(const queue_limits& limits, std::int64_t expected_us, std::int64_t now_us);

/// Returns the expectation after the limits have changed: at most one interval away.
[[nodiscard]] std::int64_t
expected_after_change(const queue_limits& limits, std::int64_t expected_us, std::int64_t now_us);

/// Returns the event type that records an outcome.
[[nodiscard]] const char* terminal_event(outcome_kind kind);

} // namespace belay::storage::rules
