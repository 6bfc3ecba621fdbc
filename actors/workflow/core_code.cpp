// The part of the engine that the workflow's code calls.
#include "actors/workflow/core.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <cassert>

namespace belay::workflows {

namespace {

/// Of a step, a signal, an attachment: it stands in every entry of its kind.
constexpr std::size_t name_bytes_max = 256;

/// Says so while the code can still do something about it: the store would refuse all that this
/// resume leaves behind.
void check_size(const std::string& what, std::size_t bytes, std::size_t bytes_max,
                const char* setting) {
  if (bytes > bytes_max) {
    throw failure{failure_class::resource_limit, "too_large",
                  what + " has " + std::to_string(bytes) + " bytes, at most "
                    + std::to_string(bytes_max) + " are kept (" + setting + ")"};
  }
}

} // namespace

void core::check_in_code() const {
  if (in_step_) {
    throw std::logic_error{"the code of a step asked for an effect: only the workflow itself can"};
  }
}

operation_ptr core::make(effect_kind kind, std::string name, std::string hash) {
  check_in_code();
  if (name.size() > name_bytes_max) {
    throw failure{failure_class::invalid_request, "bad_name",
                  "a name of " + std::to_string(name.size()) + " bytes, \"" + name.substr(0, 40)
                    + "...\", is not acceptable, expected at most "
                    + std::to_string(name_bytes_max)};
  }
  auto x = std::make_shared<operation>();
  x->engine = this;
  x->entry.kind = kind;
  x->entry.scope = current_->path;
  x->entry.name = std::move(name);
  x->entry.input_hash = std::move(hash);
  if (muted_ == 0) {
    x->entry.ordinal = ++current_->ordinals[{kind, x->entry.name}];
  }
  return x;
}

core::entered core::enter(const operation_ptr& x) {
  switch (ledger_.enter(*x)) {
    case ledger::place::recorded:
      hold_signal(*x, true);
      return entered::recorded;
    case ledger::place::fresh:
      enter_fresh(x);
      return entered::fresh;
    case ledger::place::mismatch:
      stop_mismatch(ledger_.mismatch());
      return entered::stopped;
    case ledger::place::full:
      break;
  }
  const auto no = make_failure(failure_class::resource_limit, "journal_full",
                               "no room for " + describe(x->entry) + ": the journal has "
                                 + std::to_string(setup_.limits.journal_max)
                                 + " entries (workflow.journal_max)",
                               false);
  x->entry.result = to_json_value(no).dump();
  x->delivered = true;
  return entered::refused;
}

void core::enter_fresh(const operation_ptr& x) {
  if (x->wait_ms || x->until) {
    // As far as times go here: the longest wait there is has a deadline, too.
    const auto now = setup_.now();
    const auto deadline = std::min(
      x->until ? *x->until : now + std::min(*x->wait_ms, timestamp_max - now), timestamp_max);
    x->entry.result = json{{"deadline", deadline}}.dump();
    ledger_.mark(x, true);
  } else {
    ledger_.mark(x, carries_value(x->entry.kind));
  }
}

bool core::begin_wait(const operation_ptr& x, waiter& by) {
  if (x->delivered) {
    return false;
  }
  if (result_) {
    return true; // For ever: the code is not to go on.
  }
  if (x->entry.number == 0) {
    const auto place = enter(x);
    if (place == entered::refused || place == entered::stopped) {
      return place == entered::stopped;
    }
  }
  const auto first = x->waiters.empty();
  x->waiters.push_back(by);
  by.awaited_ = x.get();
  const auto number = x->entry.number;
  live_.emplace(number, x);
  if (x->committed) {
    deliverable_.emplace(x->entry.done, x);
  } else if (!x->has_result() && first) {
    announce(x);
  }
  if (first && x->has_result()) {
    hold_signal(*x, true);
  }
  return true;
}

void core::announce(const operation_ptr& x) {
  const auto number = x->entry.number;
  if (x->entry.kind == effect_kind::step) {
    steps_.emplace(number, x);
  } else if (std::erase(dropped_, number) != 0) {
    x->announced = true; // Given up and wanted again before the driver was told.
  } else {
    unannounced_.emplace(number, x);
  }
}

void core::give_up(operation& x) {
  if (closing_) {
    return;
  }
  const auto number = x.entry.number;
  hold_signal(x, false);
  if (std::exchange(x.announced, false)) {
    dropped_.push_back(number);
  }
  if (x.has_result()) {
    deliverable_.erase(x.entry.done);
  }
  steps_.erase(number);
  unannounced_.erase(number);
  live_.erase(number); // May end the life of `x`.
}

void core::enqueue(runnable& x) {
  ready_.push_back(x);
}

void core::destroy_loser(const scope& branch, std::coroutine_handle<> frame) {
  ++muted_;
  frame.destroy();
  --muted_;
  ledger_.forget_branch(branch.path);
}

bool core::immediate(const operation_ptr& x) {
  const auto place = result_ ? entered::stopped : enter(x);
  if (place == entered::stopped) {
    throw halted{};
  }
  x->delivered = true;
  if (place == entered::refused) {
    static_cast<void>(value_or_throw(json::parse(x->entry.result), "journal"));
  }
  return place == entered::fresh;
}

void core::emit(std::string type, std::string payload) {
  if (muted_ != 0) {
    return;
  }
  if (const auto no = check_event_name("type", type)) {
    throw failure{failure_class::invalid_request, to_string(no->code), no->text};
  }
  check_size("the payload of event \"" + type + "\"", payload.size(), setup_.limits.event_bytes_max,
             "store.event_max");
  const auto x = make(effect_kind::emit, std::move(type));
  if (immediate(x)) {
    ledger_.add_event({x->entry.number, x->entry.name, std::move(payload)});
  }
}

std::string core::attach(const std::string& bytes, std::string name) {
  if (muted_ != 0) {
    return {};
  }
  check_size("the attachment \"" + name.substr(0, name_bytes_max) + "\"", bytes.size(),
             setup_.limits.attachment_bytes_max, "store.attachment_max");
  const auto x = make(effect_kind::attach, std::move(name));
  if (immediate(x)) {
    const auto ref = "sha256:" + hash_hex(bytes);
    x->entry.result = json(ref).dump();
    ledger_.add_attachment({ref, x->entry.name, bytes});
  }
  return json::parse(x->entry.result).get<std::string>();
}

timestamp_ms core::now() {
  if (muted_ != 0) {
    return 0;
  }
  const auto x = make(effect_kind::now, "now");
  if (immediate(x)) {
    x->entry.result = std::to_string(setup_.now());
  }
  return json::parse(x->entry.result).get<timestamp_ms>();
}

bool core::patched(std::string name) {
  if (muted_ != 0) {
    return false;
  }
  check_in_code();
  const auto known = patches_.find(name);
  if (known != patches_.end()) {
    return known->second;
  }
  const auto taken
    = ledger_.is_next(current_->path, effect_kind::patch, name) || (!replaying() && !result_);
  patches_.emplace(name, taken);
  if (taken) {
    static_cast<void>(immediate(make(effect_kind::patch, std::move(name))));
  }
  return taken;
}

std::uint64_t core::random() {
  if (muted_ != 0) {
    return 0;
  }
  check_in_code();
  // splitmix64 (Steele, Lea and Flood 2014).
  random_state_ += 0x9E3779B97F4A7C15U;
  auto z = random_state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

void core::log(const std::string& text, const json& fields) const {
  if (setup_.log && !closing_ && !replaying()) {
    setup_.log(text, fields);
  }
}

void core::set_status(std::string text) {
  if (muted_ == 0 && !result_) {
    check_size("a status", text.size(), setup_.limits.status_bytes_max, "store.status_max");
    ledger_.set_status(std::move(text));
  }
}

} // namespace belay::workflows
