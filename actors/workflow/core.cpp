#include "actors/workflow/core.hpp"

#include <algorithm>
#include <cassert>

namespace belay::workflows {

namespace {

std::string too_large(const std::string& what, std::size_t bytes, std::size_t bytes_max) {
  const auto x = make_failure(failure_class::resource_limit, "result_too_large",
                              "the result of " + what + " has " + std::to_string(bytes)
                                + " bytes as JSON text, at most " + std::to_string(bytes_max)
                                + " are kept (workflow.result_max)",
                              false);
  return to_json_value(x).dump();
}

std::uint64_t seed_of(const engine_setup& setup) {
  const auto hex = hash_hex(json{setup.id, setup.run}.dump());
  return std::stoull(hex.substr(0, 16), nullptr, 16);
}

} // namespace

core::core(engine_setup setup, workflow_function code)
  : setup_{std::move(setup)},
    ledger_{std::move(setup_.journal), setup_.limits},
    code_{std::move(code)},
    interface_{*this},
    random_state_{seed_of(setup_)} {
  if (const auto& recorded = ledger_.cancel()) {
    const auto x = std::make_shared<operation>();
    x->engine = this;
    x->entry = *recorded;
    x->committed = true;
    deliverable_.emplace(x->entry.done, x);
    cancel_requested_ = true;
    interrupt_next_ = !ledger_.was_interrupted();
    cancel_reason_ = json::parse(recorded->result).value("reason", "");
  }
}

core::~core() {
  closing_ = true;
  ++muted_;
  root_.reset();
}

void core::advance() {
  if (!root_ && !result_) {
    begin();
  }
  while (!result_ && go_on()) {
  }
  if (result_) {
    for (const auto& [number, x] : live_) {
      if (x->announced) {
        dropped_.push_back(number);
      }
    }
    live_.clear();
  }
}

void core::begin() {
  try {
    root_.emplace(code_(interface_, setup_.args));
    root_->frame().promise().begin(*this, main_, end_);
  } catch (const halted&) {
    assert(result_);
  } catch (...) {
    stop(outcome_of(std::current_exception()));
  }
}

bool core::go_on() {
  if (paused_) {
    return false;
  }
  if (!ready_.empty()) {
    run_next();
    return true;
  }
  if (end_.reached) {
    finish();
    return false;
  }
  if (!deliverable_.empty()) {
    deliver_next();
    return true;
  }
  if (const auto left = ledger_.left_over()) {
    auto text = "the journal has " + *left + ", which the code does not ask for";
    if (!live_.empty()) {
      text += "; it waits for " + describe(live_.begin()->second->entry);
    }
    stop_mismatch(text);
    return false;
  }
  if (interrupt_next_ && interrupt_all()) {
    interrupt_next_ = false;
  }
  if (!steps_.empty() && !ledger_.holds_values()) {
    run_step();
    return true;
  }
  return false;
}

void core::run_next() {
  auto& next = static_cast<runnable&>(*ready_.first());
  ready_.remove(next);
  current_ = next.where;
  next.self.resume(); // The frame may be gone afterwards.
  current_ = main_;
}

void core::deliver_next() {
  const auto x = deliverable_.begin()->second;
  deliverable_.erase(deliverable_.begin());
  x->delivered = true;
  if (x->entry.kind == effect_kind::cancel) {
    cancelled_ = true;
    return;
  }
  live_.erase(x->entry.number);
  while (auto* next = x->waiters.first()) {
    x->waiters.remove(*next);
    next->awaited_ = nullptr;
    next->wake();
  }
}

void core::run_step() {
  const auto x = steps_.begin()->second;
  steps_.erase(steps_.begin());
  std::function<void(bool)> watched;
  if (setup_.watch_step) {
    watched = setup_.watch_step(x->entry.name, x->entry.number);
  }
  in_step_ = true;
  std::string result;
  try {
    result = to_json_value(make_success(x->code().dump())).dump();
  } catch (...) {
    result = to_json_value(outcome_of(std::current_exception()))
               .dump(-1, ' ', false, json::error_handler_t::replace);
  }
  in_step_ = false;
  if (watched) {
    watched(!is_success(result));
  }
  settle(x, std::move(result));
}

void core::finish() {
  outcome ended;
  try {
    auto value = root_->await_resume().dump();
    if (value.size() > setup_.limits.result_bytes_max) {
      const auto no
        = json::parse(too_large("the workflow", value.size(), setup_.limits.result_bytes_max));
      ended = outcome_from_json(no);
    } else {
      ended = make_success(std::move(value));
    }
  } catch (...) {
    ended = outcome_of(std::current_exception());
  }
  if (const auto left = ledger_.left_over()) {
    stop_mismatch("the journal has " + *left + ", which the code did not ask for before it ended ("
                  + to_string(ended.kind) + (ended.message.empty() ? "" : ": " + ended.message)
                  + ")");
    return;
  }
  stop(std::move(ended));
}

void core::stop(outcome x) {
  if (!result_) {
    result_ = std::move(x);
  }
}

void core::stop_mismatch(const std::string& text) {
  stop(make_failure(failure_class::invalid_request, "journal_mismatch",
                    text + ". The code has changed: give it another version, or use patched()",
                    false));
}

void core::settle(const operation_ptr& x, std::string result) {
  if (result.size() > setup_.limits.result_bytes_max) {
    result = too_large(describe(x->entry), result.size(), setup_.limits.result_bytes_max);
  }
  ledger_.finish(*x, std::move(result));
  ledger_.mark(x, true);
  unannounced_.erase(x->entry.number);
  hold_signal(*x, true);
}

journal_batch core::take_batch() {
  return ledger_.take();
}

void core::committed() {
  paused_ = false;
  for (const auto& x : ledger_.committed()) {
    x->committed = true;
    if (x->entry.kind == effect_kind::cancel || !x->waiters.empty()) {
      deliverable_.emplace(x->entry.done, x);
    }
  }
}

void core::complete(std::uint64_t op, std::string result) {
  const auto found = live_.find(op);
  if (found != live_.end() && !found->second->has_result()
      && found->second->entry.kind != effect_kind::step) {
    const auto x = found->second;
    x->announced = false;
    settle(x, std::move(result));
  }
}

void core::note(std::uint64_t op, std::string state) {
  const auto found = live_.find(op);
  if (found != live_.end() && !found->second->has_result()) {
    found->second->entry.result = std::move(state);
    ledger_.mark(found->second, false);
  }
}

void core::request_cancel(const std::string& reason) {
  if (cancel_requested_ || result_) {
    return;
  }
  cancel_requested_ = true;
  cancel_reason_ = reason;
  const auto x = std::make_shared<operation>();
  x->engine = this;
  x->entry.kind = effect_kind::cancel;
  x->entry.ordinal = 1;
  ledger_.number(x->entry);
  const json about{{"reason", reason}};
  ledger_.finish(*x, about.dump(-1, ' ', false, json::error_handler_t::replace));
  ledger_.mark(x, true);
  interrupt_next_ = !interrupt_all();
}

bool core::interrupt_all() {
  auto any = false;
  for (const auto& [number, x] : live_) {
    if (is_interruptible(x->entry.kind) && !x->has_result()) {
      if (std::exchange(x->announced, false)) {
        dropped_.push_back(number);
      }
      settle(x, interrupted_text);
      any = true;
    }
  }
  return any;
}

std::vector<want> core::take_wants() {
  std::vector<want> wants;
  for (auto at = unannounced_.begin(); at != unannounced_.end() && !result_;) {
    const auto kind = at->second->entry.kind;
    const auto acts = kind == effect_kind::call || kind == effect_kind::child;
    if (acts && ledger_.holds_values()) {
      ++at;
      continue;
    }
    at->second->announced = true;
    wants.push_back(make_want(*at->second));
    at = unannounced_.erase(at);
  }
  return wants;
}

std::vector<std::uint64_t> core::take_dropped() {
  return std::exchange(dropped_, {});
}

std::vector<want> core::pending() const {
  std::vector<want> wants;
  for (const auto& [number, x] : live_) {
    if (!x->has_result() && x->entry.kind != effect_kind::step) {
      wants.push_back(make_want(*x));
    }
  }
  return wants;
}

std::size_t core::needed() const {
  std::size_t count = 0;
  const void* joined = nullptr;
  for (const auto& [number, x] : live_) {
    if (x->has_result()) {
      continue;
    }
    const auto* of = x->entry.kind == effect_kind::child && x->waiters.single()
                       ? x->waiters.first()->all_of()
                       : nullptr;
    if (of == nullptr || (joined != nullptr && joined != of)) {
      return 1;
    }
    joined = of;
    ++count;
  }
  return count;
}

want core::make_want(const operation& x) const {
  want wanted{.op = x.entry.number, .kind = x.entry.kind, .name = x.target};
  wanted.args = x.args;
  wanted.retry = x.retry;
  wanted.timeout_ms = x.timeout_ms;
  wanted.state = json::parse(x.entry.result);
  if (wanted.state.is_object() && (x.wait_ms || x.until)) {
    wanted.deadline = wanted.state.value("deadline", timestamp_ms{0});
  }
  if (x.entry.kind == effect_kind::signal) {
    const auto taken = taken_signals_.find(x.target);
    wanted.ordinal = 1 + (taken == taken_signals_.end() ? 0 : taken->second.size());
    for (const auto& [number, other] : live_) {
      if (number < x.entry.number && other->entry.kind == effect_kind::signal
          && other->target == x.target && !other->has_result()) {
        ++wanted.ordinal;
      }
    }
  }
  return wanted;
}

bool core::is_taken(const std::string& signal, event_seq seq) const {
  const auto found = taken_signals_.find(signal);
  return found != taken_signals_.end() && found->second.contains(seq);
}

void core::hold_signal(const operation& x, bool held) {
  if (x.entry.kind != effect_kind::signal || !x.has_result()) {
    return;
  }
  const auto result = json::parse(x.entry.result, nullptr, false);
  if (!result.is_object() || !result.contains("seq")) {
    return;
  }
  auto& taken = taken_signals_[x.target];
  if (held) {
    taken.insert(result["seq"].get<event_seq>());
  } else {
    taken.erase(result["seq"].get<event_seq>());
  }
}

bool core::replaying() const {
  return ledger_.has_left()
         || (!deliverable_.empty() && deliverable_.begin()->first <= ledger_.recorded_done());
}

} // namespace belay::workflows
