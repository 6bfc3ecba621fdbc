// Queues: what stands in them, and how they are worked off.
#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/inspect.hpp"

#include <optional>
#include <string>
#include <vector>

namespace belay {

/// How a queue is worked off. Kept in the store; a queue that nothing was said of has these values.
struct queue_limits {
  /// Nothing of it is claimed. What runs goes on.
  bool paused = false;
  /// Most of its processes that run at once; 0 means no bound. A workflow that waits counts until
  /// it is parked (`workflow.park_after`).
  std::uint32_t concurrency_max = 0;
  /// Most of its processes with the same `concurrency_key` that run at once; 0 means no bound.
  std::uint32_t per_key_max = 0;
  /// Claims in one period, evenly spread; 0 means no bound. A workflow that goes on after it was
  /// parked is claimed again, and counts again.
  std::uint32_t rate = 0;
  duration_ms rate_period_ms = 1'000;
  /// Claims that may be made at once after a quiet time; 0 means as many as a tenth of a second
  /// allows, and at least one.
  std::uint32_t burst = 0;

  friend bool operator==(const queue_limits&, const queue_limits&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, queue_limits& x) {
  using inspection::field;
  return inspection::object(f, "queue_limits", field("paused", x.paused),
                            field("concurrency_max", x.concurrency_max),
                            field("per_key_max", x.per_key_max), field("rate", x.rate),
                            field("rate_period_ms", x.rate_period_ms), field("burst", x.burst));
}

/// Changes how a queue is worked off; what is `unchanged` stays. Refuses with `bad_request` (a name
/// that no queue can have, a value out of bounds, too many names). Answer: `queue_settings`.
struct queue_request {
  static constexpr std::int64_t unchanged = -1;

  std::string queue;
  /// 0 or 1.
  std::int64_t paused = unchanged;
  /// 0 to 1,000,000.
  std::int64_t concurrency_max = unchanged;
  /// 0 to 1,000,000.
  std::int64_t per_key_max = unchanged;
  /// 0 to 1,000,000, and at most 1,000 in each millisecond of the period.
  std::int64_t rate = unchanged;
  /// 1 ms to 24 h.
  std::int64_t rate_period_ms = unchanged;
  /// 0 to 1,000,000.
  std::int64_t burst = unchanged;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, queue_request& x) {
  using inspection::field;
  return inspection::object(f, "queue_request", field("queue", x.queue), field("paused", x.paused),
                            field("concurrency_max", x.concurrency_max),
                            field("per_key_max", x.per_key_max), field("rate", x.rate),
                            field("rate_period_ms", x.rate_period_ms), field("burst", x.burst));
}

/// Returns what a request makes of the limits of a queue, or why it is not acceptable.
[[nodiscard]] checked<queue_limits>
changed_limits(const queue_limits& before, const queue_request& x);

/// How a queue is worked off from now on.
struct queue_settings {
  /// Whether anything was ever registered or said of this queue before.
  bool known = false;
  queue_limits limits;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, queue_settings& x) {
  using inspection::field;
  return inspection::object(f, "queue_settings", field("known", x.known),
                            field("limits", x.limits));
}

/// One queue as `belay queues` shows it.
struct queue_view {
  std::string name;
  /// Due, and nothing but a free slot is missing (or the queue is paused or at its bound).
  std::uint64_t ready = 0;
  /// Due, but others with the same concurrency key run.
  std::uint64_t blocked = 0;
  /// Due later.
  std::uint64_t delayed = 0;
  std::uint64_t running = 0;
  std::uint64_t waiting = 0;
  std::uint64_t quarantined = 0;
  /// Outcomes `failure` in the last 60 minutes, the present one included.
  std::uint64_t failed_last_hour = 0;
  /// Since when the oldest that is due waits to be claimed; 0 when none does.
  timestamp_ms oldest_ready_at = 0;
  /// There are more due rows than were looked at: `ready`, `blocked` and `delayed` may be off,
  /// their sum is exact.
  bool estimated = false;
  /// When the rate lets the next one be claimed; 0 means now.
  timestamp_ms next_claim_at = 0;
  queue_limits limits;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, queue_view& x) {
  using inspection::field;
  return inspection::object(
    f, "queue", field("name", x.name), field("ready", x.ready), field("blocked", x.blocked),
    field("delayed", x.delayed), field("running", x.running), field("waiting", x.waiting),
    field("quarantined", x.quarantined), field("failed_last_hour", x.failed_last_hour),
    field("oldest_ready_at", x.oldest_ready_at), field("estimated", x.estimated),
    field("next_claim_at", x.next_claim_at), field("limits", x.limits));
}

/// All queues that have rows, failures of the last hour or limits, by name.
struct queue_list {
  std::vector<queue_view> queues;
  /// The registry's time.
  timestamp_ms now = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, queue_list& x) {
  using inspection::field;
  return inspection::object(f, "queue_list", field("queues", x.queues), field("now", x.now));
}

} // namespace belay
