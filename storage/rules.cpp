#include "storage/rules.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace belay::storage::rules {

namespace {

std::int64_t interval_us(const queue_limits& x) {
  return x.rate_period_ms * us_per_ms / x.rate;
}

std::int64_t burst_of(const queue_limits& x) {
  constexpr duration_ms tenth_of_a_second = 100;
  return x.burst != 0 ? x.burst
                      : std::max<std::int64_t>(1, x.rate * tenth_of_a_second / x.rate_period_ms);
}

} // namespace

bool still_holds(const std::optional<lease_record>& stored, const presented_lease& presented,
                 timestamp_ms now) {
  return stored && presented.owner == stored->owner && presented.incarnation == stored->incarnation
         && presented.token == stored->token && presented.fence == stored->fence
         && stored->expires_at > now;
}

bool may_retry(const head_record& head, const outcome& result) {
  return result.kind == outcome_kind::failure && result.retryable && !head.cancel_requested
         && !head.kill_requested && head.failures + 1 < head.retry.attempts;
}

duration_ms retry_pause(const retry_policy& policy, std::uint32_t failures, std::uint64_t random) {
  constexpr double thousand = 1'000.0;
  constexpr std::uint64_t jitter_steps = 4'001; // -20.00 % to +20.00 % in steps of 0.01 %.
  const auto grown = static_cast<double>(policy.backoff_ms)
                     * std::pow(policy.factor_permille / thousand, failures);
  const auto capped = std::min(grown, static_cast<double>(policy.backoff_max_ms));
  const auto jitter = (static_cast<double>(random % jitter_steps) - 2'000.0) / 10'000.0;
  return static_cast<duration_ms>(std::llround(capped * (1.0 + jitter)));
}

bool ends_cancelled(const head_record& head) {
  return head.kill_requested || (head.cancel_requested && !head.journaled);
}

after_loss after_interruption(const head_record& head, std::uint32_t interruptions_max) {
  if (ends_cancelled(head)) {
    return after_loss::cancelled;
  }
  if (head.abandon_requested) {
    return after_loss::abandoned;
  }
  const auto too_often = interruptions_max != 0 && head.interruptions >= interruptions_max;
  if (too_often || head.rule == recovery_rule::owner_bound) {
    return head.cancel_requested ? after_loss::cancelled : after_loss::quarantined;
  }
  return after_loss::ready;
}

after_loss after_release(const head_record& head, bool started) {
  if (ends_cancelled(head)) {
    return after_loss::cancelled;
  }
  if (head.abandon_requested) {
    return after_loss::abandoned;
  }
  if (head.rule == recovery_rule::owner_bound && started) {
    return head.cancel_requested ? after_loss::cancelled : after_loss::abandoned;
  }
  return after_loss::ready;
}

std::optional<fencing_token> next_fence(fencing_token last) {
  const auto number = static_cast<std::uint64_t>(last);
  if (number == std::numeric_limits<std::uint64_t>::max()) {
    return std::nullopt;
  }
  return fencing_token{number + 1};
}

bool attempts_used_up(const head_record& head) {
  return head.attempts_max != 0 && head.attempt >= head.attempts_max && !head.resumed;
}

std::optional<std::string> authority_refused(authority by, recovery_rule rule, outcome_kind kind) {
  const auto external = rule == recovery_rule::externally_owned;
  switch (by) {
    case authority::external_owner:
      return external ? std::nullopt
                      : std::optional<std::string>{"only the holder of its lease completes it"};
    case authority::workflow_key:
      return external ? std::optional<std::string>{"it is completed by its external owner"}
                      : std::nullopt;
    case authority::reconciled_abandon:
      if (!external) {
        return "it is abandoned under its lease";
      }
      return kind == outcome_kind::abandoned
               ? std::nullopt
               : std::optional<std::string>{"this authority abandons, and nothing else"};
  }
  return "there is no such authority";
}

duration_ms wake_pause(std::uint32_t attempts) {
  constexpr duration_ms first = 1'000;
  constexpr duration_ms longest = 300'000;
  constexpr std::uint32_t doublings_max = 10;
  return std::min(longest, first << std::min(attempts, doublings_max));
}

std::int64_t rate_allows_at(const queue_limits& limits, std::int64_t expected_us) {
  // Times come in milliseconds: within one of them it may be that late.
  const auto early = std::max((burst_of(limits) - 1) * interval_us(limits), us_per_ms - 1);
  return expected_us - early;
}

std::int64_t
expected_after_claim(const queue_limits& limits, std::int64_t expected_us, std::int64_t now_us) {
  return std::max(expected_us, now_us) + interval_us(limits);
}

std::int64_t
expected_after_change(const queue_limits& limits, std::int64_t expected_us, std::int64_t now_us) {
  return limits.rate == 0 ? 0 : std::min(expected_us, now_us + interval_us(limits));
}

const char* terminal_event(outcome_kind kind) {
  switch (kind) {
    case outcome_kind::success:
      return event_types::completed;
    case outcome_kind::failure:
      return event_types::failed;
    case outcome_kind::cancelled:
      return event_types::cancelled;
    case outcome_kind::abandoned:
      return event_types::abandoned;
  }
  return event_types::failed;
}

} // namespace belay::storage::rules
