// Signals as events: blocked in every thread, waited for in one.
#pragma once

#include <cerrno>
#include <chrono>
#include <initializer_list>
#include <optional>
#include <signal.h>

namespace belay::app {

/// Blocks signals for this thread and all that it starts later; construct it before any other
/// thread. `next` then waits for one of them.
class signal_gate {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit signal_gate(std::initializer_list<int> signals) {
    sigemptyset(&set_);
    for (const int x : signals) {
      sigaddset(&set_, x);
    }
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  /// Waits for a signal and returns its number.
  [[nodiscard]] int next() const {
    int number = 0;
    while (sigwait(&set_, &number) != 0) {
    }
    return number;
  }

  /// The same; returns nothing when there was none until `deadline` (none: for ever).
  [[nodiscard]] std::optional<int> next(std::optional<time_point> deadline) const {
    if (!deadline) {
      return next();
    }
    constexpr std::int64_t second_ns = 1'000'000'000;
    for (;;) {
      const auto now = std::chrono::steady_clock::now();
      const auto left_ns = *deadline <= now ? 0 : std::chrono::nanoseconds{*deadline - now}.count();
      const timespec left{left_ns / second_ns, left_ns % second_ns};
      const auto number = sigtimedwait(&set_, nullptr, &left);
      if (number > 0) {
        return number;
      }
      if (errno == EAGAIN) {
        return std::nullopt;
      }
    }
  }

private:
  sigset_t set_{};
};

} // namespace belay::app
