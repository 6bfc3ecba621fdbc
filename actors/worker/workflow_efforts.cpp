// What a workflow waits for while it is in memory: tools that it calls, children, signals, times.
#include "actors/worker/workflow_driver.hpp"
#include "messages/wire_error.hpp"

#include <caf/send.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

constexpr auto watch_margin = std::chrono::seconds{5};
/// One request to the watcher; asked again while the workflow is in memory.
constexpr duration_ms watch_length_ms = 10'000;
/// Pause after the watcher has refused to hold another request.
constexpr duration_ms watch_pause_ms = 1'000;

std::string text_of(const outcome& x) {
  return to_json_value(x).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The pause before a call is tried again; without jitter, so that it is the same on replay.
duration_ms pause_of(const retry_policy& policy, std::uint32_t failures) {
  const auto grown
    = static_cast<double>(policy.backoff_ms) * std::pow(policy.factor_permille / 1'000.0, failures);
  return static_cast<duration_ms>(
    std::llround(std::min(grown, static_cast<double>(policy.backoff_max_ms))));
}

} // namespace

void workflow_driver::begin(workflows::want what) {
  const auto op = what.op;
  auto& x = efforts_[op];
  x.what = std::move(what);
  switch (x.what.kind) {
    case effect_kind::call:
      if (x.what.state.is_object()) {
        x.failures = x.what.state.value("failures", 0U);
        x.retry_at = x.what.state.value("retry_at", timestamp_ms{0});
      }
      if (x.retry_at > now()) {
        at(x.retry_at, [this, op] { call_again(op); });
      } else {
        begin_call(x);
      }
      break;
    case effect_kind::timer:
      if (is_due(x)) {
        arrived(op, "null"); // Never parked on: it would be woken at once, again and again.
      } else {
        at(x.what.deadline, [this, op] { arrived(op, "null"); });
      }
      break;
    case effect_kind::signal:
      if (x.what.deadline != 0 && !is_due(x)) {
        at(x.what.deadline, [this, op] { arrived(op, "null"); });
      }
      watch(op, is_due(x)); // It may have come in time and not been taken yet.
      break;
    default:
      watch(op);
  }
}

bool workflow_driver::is_due(const effort& x) const {
  return x.what.deadline != 0 && x.what.deadline <= now();
}

// -- calls ----------------------------------------------------------------------------------------

void workflow_driver::call_again(std::uint64_t op) {
  const auto found = efforts_.find(op);
  if (found == efforts_.end() || found->second.run || phase_ == phase::parking) {
    return;
  }
  if (idle_) {
    calls_due_.insert(op); // A tool needs a slot.
    wake_up();
    return;
  }
  begin_call(found->second);
  if (phase_ == phase::waiting && has_news()) {
    go_on();
  }
}

void workflow_driver::begin_due_calls() {
  const auto due = std::move(calls_due_);
  calls_due_.clear();
  for (const auto op : due) {
    call_again(op);
  }
}

void workflow_driver::begin_call(effort& x) {
  const auto op = x.what.op;
  x.retry_at = 0;
  x.timed_out = false;
  const auto& tools = *setup_.links.tools;
  const auto* tool = tools.find(x.what.name);
  if (tool == nullptr) {
    fail(op, failure_class::invalid_request, "unknown_tool",
         "this worker has no tool '" + x.what.name + "'");
    return;
  }
  if (const auto no = tools.check_args(x.what.name, x.what.args)) {
    fail(op, failure_class::invalid_request, "bad_arguments", no->text);
    return;
  }
  x.call = ++last_call_;
  const auto me = process_actor{setup_.self};
  running::run_callbacks callbacks;
  callbacks.finished = [me, call = x.call](outcome result) {
    caf::anon_send(me, atom::finished_v, call, std::move(result));
  };
  callbacks.emit = [me](std::string type, std::string payload) {
    caf::anon_send(me, atom::append_v, std::move(type), std::move(payload));
  };
  callbacks.status
    = [me](std::string status) { caf::anon_send(me, atom::status_v, std::move(status)); };
  callbacks.attach
    = [me](attachment bytes) { caf::anon_send(me, atom::attach_v, std::move(bytes)); };
  x.trace = setup_.trace.begin_part("call", x.what.name,
                                    std::to_string(op) + "." + std::to_string(x.failures));
  x.run = tool->start({setup_.what.id, setup_.row.attempt, setup_.trace.traceparent(x.trace)},
                      x.what.args, std::move(callbacks));
  if (x.what.timeout_ms > 0) {
    in(x.what.timeout_ms, [this, op, call = x.call] { call_timed_out(op, call); });
  }
}

void workflow_driver::call_timed_out(std::uint64_t op, std::uint64_t call) {
  const auto found = efforts_.find(op);
  if (found == efforts_.end() || found->second.call != call || !found->second.run) {
    return;
  }
  auto& x = found->second;
  if (x.timed_out) {
    x.run->kill();
    return;
  }
  x.timed_out = true;
  x.run->cancel();
  in(setup_.cancel_grace_ms, [this, op, call] { call_timed_out(op, call); });
}

void workflow_driver::call_finished(std::uint64_t call, outcome result) {
  leaving_.erase(call);
  for (auto& [op, x] : efforts_) {
    if (x.call != call || !x.run) {
      continue;
    }
    x.run.reset();
    if (x.timed_out && result.kind != outcome_kind::success) {
      result = make_failure(failure_class::timeout, "timed_out",
                            "the call of '" + x.what.name + "' ran longer than its timeout of "
                              + std::to_string(x.what.timeout_ms) + " ms",
                            true, std::move(result.value));
    }
    setup_.trace.end_part(std::exchange(x.trace, std::nullopt),
                          result.kind == outcome_kind::failure, result.message);
    if (retry_later(x, result)) {
      if (phase_ == phase::waiting) {
        wake_up(); // Its pause is journaled, and it may give its slot away.
      }
      return;
    }
    arrived(op, text_of(result));
    return;
  }
}

bool workflow_driver::retry_later(effort& x, const outcome& result) {
  const auto again = result.kind == outcome_kind::failure && result.retryable
                     && x.failures + 1 < x.what.retry.attempts && !cancel_reason_;
  if (!again) {
    return false;
  }
  x.retry_at = now() + pause_of(x.what.retry, x.failures);
  ++x.failures;
  notes_.emplace_back(x.what.op,
                      nlohmann::json{{"failures", x.failures}, {"retry_at", x.retry_at}}.dump());
  at(x.retry_at, [this, op = x.what.op] { call_again(op); });
  return true;
}

// -- waits ----------------------------------------------------------------------------------------

void workflow_driver::watch(std::uint64_t op, bool look_up) {
  const auto found = efforts_.find(op);
  if (found == efforts_.end()) {
    return;
  }
  const auto& x = found->second.what;
  // Not much longer than it stays in memory: the watcher holds a waiter that has parked that long.
  const auto length = look_up ? 0
                              : std::clamp<duration_ms>(setup_.policy.park_after_ms, watch_pause_ms,
                                                        watch_length_ms);
  const auto deadline = std::chrono::milliseconds{length} + watch_margin;
  const auto refused
    = [this, op, look_up](const caf::error& why) { watch_refused(op, look_up, to_refusal(why)); };
  if (x.kind == effect_kind::child) {
    setup_.self->request(setup_.links.watcher, deadline, atom::wait_v, x.name, length)
      .then([this, op](const outcome_view& ended) { arrived(op, ended.outcome_json); }, refused);
  } else {
    setup_.self
      ->request(setup_.links.watcher, deadline, atom::signal_v, setup_.what.id, x.name, x.ordinal,
                length)
      .then([this, op](const event& came) { signal_came(op, came); }, refused);
  }
}

void workflow_driver::watch_refused(std::uint64_t op, bool look_up, const refusal& why) {
  const auto found = efforts_.find(op);
  if (found == efforts_.end() || phase_ == phase::over) {
    return;
  }
  if (why.code == ec::unknown_process || why.code == ec::pruned) {
    fail(op, failure_class::invalid_request, why.code == ec::pruned ? "pruned" : "unknown_process",
         why.text);
  } else if (why.code == ec::timed_out) {
    found->second.looked_up = true;
    if (is_due(found->second)) {
      arrived(op, "null");
    } else if (!look_up) {
      watch(op);
    } else if (park_asked_ || setup_.policy.park_after_ms <= 0) {
      park_if_looked_up();
    }
  } else {
    in(watch_pause_ms, [this, op, look_up] { watch(op, look_up); });
  }
}

void workflow_driver::park_if_looked_up() {
  const auto open = std::any_of(efforts_.begin(), efforts_.end(), [](const auto& x) {
    const auto kind = x.second.what.kind;
    return (kind == effect_kind::child || kind == effect_kind::signal) && !x.second.looked_up;
  });
  if (!open) {
    park_when_sure();
  }
}

void workflow_driver::signal_came(std::uint64_t op, const event& x) {
  const auto found = efforts_.find(op);
  if (found == efforts_.end() || phase_ == phase::over) {
    return;
  }
  signals_.push_back({op, x});
  if (phase_ == phase::waiting) {
    wake_up();
  }
}

void workflow_driver::take_signals() {
  auto came = std::move(signals_);
  signals_.clear();
  for (auto& [op, x] : came) {
    const auto found = efforts_.find(op);
    if (found == efforts_.end()) {
      continue;
    }
    if (engine_->is_taken(found->second.what.name, x.seq)) {
      // Another wait has got it: this one is for a later one.
      for (const auto& pending : engine_->pending()) {
        if (pending.op == op) {
          found->second.what.ordinal = pending.ordinal;
        }
      }
      found->second.looked_up = false;
      watch(op);
      continue;
    }
    efforts_.erase(found);
    engine_->complete(
      op, nlohmann::json{{"seq", x.seq}, {"payload", nlohmann::json::parse(x.payload)}}.dump());
  }
}

void workflow_driver::arrived(std::uint64_t op, std::string result) {
  if (efforts_.erase(op) == 0 || phase_ == phase::over) {
    return;
  }
  arrived_.emplace_back(op, std::move(result));
  if (phase_ == phase::waiting) {
    wake_up();
  }
}

void workflow_driver::fail(std::uint64_t op, failure_class failed, std::string code,
                           std::string message) {
  arrived(op, text_of(make_failure(failed, std::move(code), std::move(message), false)));
}

} // namespace belay::actors
