// One effect while the workflow is in memory: its entry, what was asked, and who waits for it.
#pragma once

#include "actors/workflow/effect.hpp"
#include "messages/journal.hpp"

#include <functional>

namespace belay::workflows {

struct operation {
  core* engine = nullptr;
  /// Number 0: not awaited yet, so not in the journal.
  journal_entry entry;

  /// Of a call the tool, of a child the process id.
  std::string target;
  json args;
  retry_policy retry;
  duration_ms timeout_ms = 0;
  /// Of a timer and of a signal with a time-out: how long to wait, or until when.
  std::optional<duration_ms> wait_ms;
  std::optional<timestamp_ms> until;
  std::function<json()> code;
  registration to_start;

  waiter_list waiters;
  /// The driver looks after it.
  bool announced = false;
  /// Its result is on disk.
  bool committed = false;
  /// Its result is given to whoever awaits it.
  bool delivered = false;

  [[nodiscard]] bool has_result() const {
    return entry.done != 0;
  }
};

/// Whether an entry of this kind holds a value that code may depend on before it is on disk.
[[nodiscard]] constexpr bool carries_value(effect_kind kind) {
  return kind == effect_kind::start || kind == effect_kind::emit || kind == effect_kind::now
         || kind == effect_kind::patch || kind == effect_kind::attach;
}

/// Whether a request to cancel ends a wait for an effect of this kind.
[[nodiscard]] constexpr bool is_interruptible(effect_kind kind) {
  return kind == effect_kind::call || kind == effect_kind::child || kind == effect_kind::signal
         || kind == effect_kind::timer;
}

inline constexpr const char* interrupted_text = R"({"type":"interrupted"})";

} // namespace belay::workflows
