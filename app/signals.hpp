// Signals as events: blocked in every thread, waited for in one.
#pragma once

#include <initializer_list>
#include <signal.h>

namespace belay::app {

/// Blocks signals for this thread and all that it starts later; construct it before any other
/// thread. `next` then waits for one of them.
class signal_gate {
public:
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

private:
  sigset_t set_{};
};

} // namespace belay::app
