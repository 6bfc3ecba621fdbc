#include "messages/queues.hpp"

#include "messages/json_strict.hpp"
#include "messages/registration.hpp"

namespace belay {

namespace {

constexpr std::int64_t count_max = 1'000'000;
constexpr duration_ms period_max = 24LL * 3'600 * 1'000;
/// Times of claims are kept in microseconds.
constexpr std::int64_t rate_per_ms_max = 1'000;

} // namespace

checked<queue_limits> changed_limits(const queue_limits& before, const queue_request& x) {
  auto result = before;
  std::optional<refusal> no;
  const auto take
    = [&no](const char* field, std::int64_t value, std::int64_t low, std::int64_t high, auto& to) {
        if (value == queue_request::unchanged || no) {
          return;
        }
        if (value < low || value > high) {
          no = refusal{ec::bad_request, std::string{field} + ": " + std::to_string(value)
                                          + " is not acceptable, expected a whole number from "
                                          + std::to_string(low) + " to " + std::to_string(high)};
          return;
        }
        to = static_cast<std::remove_reference_t<decltype(to)>>(value);
      };
  if (auto wrong = validate_queue_name(x.queue)) {
    return *wrong;
  }
  take("paused", x.paused, 0, 1, result.paused);
  take("concurrency_max", x.concurrency_max, 0, count_max, result.concurrency_max);
  take("per_key_max", x.per_key_max, 0, count_max, result.per_key_max);
  take("rate", x.rate, 0, count_max, result.rate);
  take("rate_period_ms", x.rate_period_ms, 1, period_max, result.rate_period_ms);
  take("burst", x.burst, 0, count_max, result.burst);
  if (!no && result.rate > result.rate_period_ms * rate_per_ms_max) {
    no = refusal{ec::bad_request, "rate: " + std::to_string(result.rate) + " in "
                                    + std::to_string(result.rate_period_ms)
                                    + " ms is not acceptable, expected at most 1000 in each "
                                      "millisecond"};
  }
  if (no) {
    return *no;
  }
  return result;
}

} // namespace belay
