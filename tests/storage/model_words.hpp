// What the parts of the model have in common.
#pragma once

#include "storage/rules.hpp"
#include "tests/storage/model.hpp"

#include <algorithm>

namespace belay::tests {

inline refusal no(ec code) {
  return {code, ""};
}

inline bool live(const model::process& x) {
  return x.state != process_state::finished;
}

inline bool open_state(wake_state x) {
  return x == wake_state::pending || x == wake_state::taken || x == wake_state::undeliverable;
}

inline const event_type* declared(const model::process& x, const std::string& type) {
  for (const auto& one : x.what.event_types) {
    if (one.name == type) {
      return &one;
    }
  }
  return nullptr;
}

/// A cancel ends what has no journal; a kill ends anything.
inline bool ends_cancelled(const model::process& x) {
  return x.kill || (x.cancel && x.journal.empty());
}

/// Whether the code knows that it is cancelled.
inline bool knows_cancel(const model::process& x) {
  return std::any_of(x.journal.begin(), x.journal.end(),
                     [](const auto& one) { return one.kind == effect_kind::cancel; });
}

inline bool is_closing(const model::process& x) {
  return x.state == process_state::waiting && x.wait->all.front().kind == wait_kind::closing;
}

/// Kinds that are over when they are asked for.
inline bool is_over_at_once(effect_kind kind) {
  static const std::set<effect_kind> kinds{effect_kind::start, effect_kind::emit, effect_kind::now,
                                           effect_kind::patch, effect_kind::attach};
  return kinds.count(kind) != 0;
}

inline std::string by(const std::string& what) {
  return "by " + what;
}

/// The same is asked for, whatever trace it belongs to.
inline bool is_same(const registration& a, registration b) {
  b.traceparent = a.traceparent;
  return a == b;
}

inline outcome ended_by(outcome_kind kind) {
  outcome x;
  x.kind = kind;
  return x;
}

} // namespace belay::tests
