#include "actors/registry/registry.hpp"

#include <algorithm>
#include <array>

namespace belay::actors {

namespace {

constexpr std::array outcome_kinds{outcome_kind::success, outcome_kind::failure,
                                   outcome_kind::cancelled, outcome_kind::abandoned};

} // namespace

duration_ms retention_policy::pause() const {
  constexpr duration_ms pause_max = 30'000;
  constexpr duration_ms part = 10; // Of the shortest time that is kept.
  auto shortest = part * pause_max;
  for (const auto kind : outcome_kinds) {
    if (of(kind) > 0) {
      shortest = std::min(shortest, of(kind));
    }
  }
  return shortest / part;
}

duration_ms retention_policy::of(outcome_kind kind) const {
  switch (kind) {
    case outcome_kind::success:
      return success_ms;
    case outcome_kind::failure:
      return failure_ms;
    case outcome_kind::cancelled:
      return cancelled_ms;
    case outcome_kind::abandoned:
      return abandoned_ms;
  }
  return 0;
}

void registry_state::retain() {
  if (pruning_ > 0) {
    return;
  }
  const auto& keep = policy_.retention;
  const auto now = links_.clock->now();
  // A look reads every outcome that another kind keeps longer.
  const auto looks = now < retained_at_ || now - retained_at_ >= keep.pause();
  retained_at_ = looks ? now : retained_at_;
  for (const auto kind : outcome_kinds) {
    if (looks && keep.of(kind) > 0) {
      prune_request request;
      request.before = now - keep.of(kind);
      request.outcomes = {kind};
      request.max = keep.batch;
      prune_more(std::move(request));
    }
  }
  if (keep.bytes_max > 0 && links_.store->used_bytes() > keep.bytes_max) {
    prune_request request;
    request.before = now;
    request.max = keep.batch;
    prune_more(std::move(request));
  }
  if (keep.tombstone_ms > 0) {
    compact_request request;
    request.before = now - keep.tombstone_ms;
    enqueue(request, 0, [](answer&) {});
  }
}

void registry_state::prune_more(prune_request request) {
  if (request.before <= 0) {
    return;
  }
  ++pruning_;
  auto again = request;
  enqueue(std::move(request), 0, [this, again](answer& x) mutable {
    --pruning_;
    const auto* report = std::get_if<prune_report>(&x);
    if (report == nullptr || stopping_) {
      return;
    }
    pruned_ += report->pruned;
    const auto by_bytes = again.outcomes.empty();
    if (report->more && (!by_bytes || links_.store->used_bytes() > policy_.retention.bytes_max)) {
      again.after_time = report->after_time;
      again.after_row = report->after_row;
      prune_more(std::move(again)); // In a batch of its own, behind what waits now.
    }
  });
}

} // namespace belay::actors
