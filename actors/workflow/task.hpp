// The coroutine type of workflows and their parts.
#pragma once

#include "actors/workflow/failure.hpp"
#include "actors/workflow/scheduling.hpp"

#include <concepts>
#include <exception>
#include <optional>
#include <utility>

namespace belay {

template <class T = json>
class task;

namespace workflows {

template <class T>
class branch;

/// The part of a task's promise that does not depend on its result.
class promise_base : public runnable {
public:
  /// Hands control to whoever waits for the task, through the engine's queue.
  struct final_awaiter {
    [[nodiscard]] bool await_ready() const noexcept {
      return false;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      self.promise().done_ = true;
      if (self.promise().continuation_ != nullptr) {
        self.promise().continuation_->wake();
      }
    }
    void await_resume() const noexcept {}
  };

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept {
    return {};
  }
  [[nodiscard]] final_awaiter final_suspend() const noexcept {
    return {};
  }
  void unhandled_exception() {
    error_ = std::current_exception();
  }

  /// Queues the coroutine to run in a branch; `next` is woken when it has ended.
  void begin(core& with, std::shared_ptr<scope> in, waiter& next) {
    if (continuation_ != nullptr) {
      throw std::logic_error{"a task was awaited twice"};
    }
    engine = &with;
    where = std::move(in);
    continuation_ = &next;
    wake();
  }

  [[nodiscard]] bool done() const {
    return done_;
  }

protected:
  void rethrow() const {
    if (error_) {
      std::rethrow_exception(error_);
    }
  }

private:
  waiter* continuation_ = nullptr;
  std::exception_ptr error_;
  bool done_ = false;
};

template <class T>
class promise : public promise_base {
public:
  task<T> get_return_object();

  void return_value(T x) {
    value_.emplace(std::move(x));
  }
  T take() {
    rethrow();
    return std::move(*value_);
  }

private:
  std::optional<T> value_;
};

template <>
class promise<void> : public promise_base {
public:
  task<void> get_return_object();

  void return_void() {}
  void take() const {
    rethrow();
  }
};

} // namespace workflows

/// A part of a workflow, written as a coroutine that returns `task<T>`; `task<>` returns JSON.
///
/// Lazy: nothing runs until it is awaited, and it can be awaited once. Destroying it destroys the
/// frame, wherever it stands. Its parameters live as long as the frame; what they refer to must
/// live as long as the caller says: take values, or await it in the same expression.
template <class T>
class [[nodiscard]] task {
public:
  using promise_type = workflows::promise<T>;
  using value_type = T;

  task(task&& other) noexcept : frame_{std::exchange(other.frame_, nullptr)} {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~task() {
    destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept {
    return false;
  }
  template <class Promise>
  requires std::derived_from<Promise, workflows::runnable>
  void await_suspend(std::coroutine_handle<Promise> parent) {
    workflows::runnable& caller = parent.promise();
    frame().promise().begin(*caller.engine, caller.where, caller);
  }
  T await_resume() {
    return frame().promise().take();
  }

private:
  friend promise_type;
  friend workflows::core;
  template <class>
  friend class workflows::branch;

  explicit task(std::coroutine_handle<promise_type> frame) : frame_{frame} {
    frame.promise().self = frame;
  }

  std::coroutine_handle<promise_type>& frame() {
    if (!frame_) {
      throw std::logic_error{"a task was used after it was moved from"};
    }
    return frame_;
  }
  void destroy() {
    if (frame_) {
      std::exchange(frame_, nullptr).destroy();
    }
  }

  std::coroutine_handle<promise_type> frame_;
};

namespace workflows {

template <class T>
task<T> promise<T>::get_return_object() {
  return task<T>{std::coroutine_handle<promise>::from_promise(*this)};
}

inline task<void> promise<void>::get_return_object() {
  return task<void>{std::coroutine_handle<promise>::from_promise(*this)};
}

} // namespace workflows

} // namespace belay
