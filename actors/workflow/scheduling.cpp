#include "actors/workflow/scheduling.hpp"

#include "actors/workflow/core.hpp"

#include <cassert>

namespace belay::workflows {

waiter::~waiter() {
  stop_waiting();
}

const void* waiter::all_of() const {
  return nullptr;
}

void waiter::stop_waiting() {
  if (list_ != nullptr) {
    list_->remove(*this);
  }
  if (auto* x = std::exchange(awaited_, nullptr); x != nullptr && x->waiters.empty()) {
    x->engine->give_up(*x);
  }
}

waiter_list::~waiter_list() {
  while (first_ != nullptr) {
    first_->awaited_ = nullptr;
    remove(*first_);
  }
}

void waiter_list::push_back(waiter& x) {
  assert(x.list_ == nullptr);
  x.list_ = this;
  x.before_ = last_;
  x.after_ = nullptr;
  (last_ == nullptr ? first_ : last_->after_) = &x;
  last_ = &x;
}

void waiter_list::push_front(waiter& x) {
  assert(x.list_ == nullptr);
  x.list_ = this;
  x.before_ = nullptr;
  x.after_ = first_;
  (first_ == nullptr ? last_ : first_->before_) = &x;
  first_ = &x;
}

void waiter_list::remove(waiter& x) {
  assert(x.list_ == this);
  (x.before_ == nullptr ? first_ : x.before_->after_) = x.after_;
  (x.after_ == nullptr ? last_ : x.after_->before_) = x.before_;
  x.list_ = nullptr;
  x.before_ = nullptr;
  x.after_ = nullptr;
}

void runnable::wake() {
  engine->enqueue(*this);
}

bool await_operation(core& engine, const operation_ptr& awaited, waiter& x) {
  return engine.begin_wait(awaited, x);
}

std::shared_ptr<scope> make_branch(const runnable& parent, std::uint32_t fork, std::size_t index) {
  auto branch = std::make_shared<scope>();
  branch->path = parent.where->path + (parent.where->path.empty() ? "" : "/") + std::to_string(fork)
                 + "." + std::to_string(index);
  return branch;
}

void destroy_loser(core& engine, const scope& branch, std::coroutine_handle<> frame) {
  engine.destroy_loser(branch, frame);
}

bool start_child(core& engine, const operation_ptr& x, runnable& caller) {
  return engine.start_child(x, caller);
}

bool is_delivered(const operation& x) {
  return x.delivered;
}

bool is_late(const operation& x) {
  return x.entry.result == "null";
}

json settled_value(const operation& x) {
  const auto kind = x.entry.kind;
  if (is_interruptible(kind) && x.entry.result == interrupted_text) {
    throw cancellation{x.engine->cancel_reason()};
  }
  auto result = json::parse(x.entry.result, nullptr, false);
  if (kind == effect_kind::timer && result.is_null()) {
    return result;
  }
  if (kind == effect_kind::signal && (result.is_null() || result.contains("seq"))) {
    return result.is_null() ? result : result.at("payload");
  }
  if (kind == effect_kind::step && result.is_object() && result.value("type", "") == "cancelled") {
    throw cancellation{result.value("message", "")};
  }
  return value_or_throw(result, name_of_kind(kind));
}

} // namespace belay::workflows
