// What a workflow awaits: effects, children, and what starting a child gives.
#pragma once

#include "actors/workflow/task.hpp"

namespace belay {

class workflow;

namespace workflows {

/// Returns what was delivered; throws a failure or a cancellation. Requires that it was delivered.
[[nodiscard]] json settled_value(const operation& x);
/// Whether a signal did not come in time. Requires that it was delivered.
[[nodiscard]] bool is_late(const operation& x);
[[nodiscard]] bool is_delivered(const operation& x);
/// Starts the child unless that was done. Returns whether the code can go on at once.
[[nodiscard]] bool start_child(core& engine, const operation_ptr& x, runnable& caller);
[[nodiscard]] const std::string& started_id(operation& x);

} // namespace workflows

/// Something whose result is journaled: a tool's call, a step, a signal, a timer, a child's end.
///
/// Lazy: nothing happens until it is awaited, though its place in the journal is that of the call
/// which made it. It may be awaited again and then gives the same; a copy is the same effect.
template <class T>
class [[nodiscard]] effect {
public:
  using value_type = T;

  effect(workflows::core& engine, workflows::operation_ptr x)
    : engine_{&engine}, x_{std::move(x)} {}

  [[nodiscard]] bool await_ready() const {
    return workflows::is_delivered(*x_);
  }
  template <class Promise>
  requires std::derived_from<Promise, workflows::runnable>
  bool await_suspend(std::coroutine_handle<Promise> caller) const {
    return workflows::await_operation(*engine_, x_, caller.promise());
  }
  T await_resume() const {
    if constexpr (std::is_same_v<T, json>) {
      return workflows::settled_value(*x_);
    } else if constexpr (std::is_void_v<T>) {
      static_cast<void>(workflows::settled_value(*x_));
    } else if constexpr (std::is_same_v<T, std::optional<json>>) {
      auto value = workflows::settled_value(*x_);
      return workflows::is_late(*x_) ? std::optional<json>{}
                                     : std::optional<json>{std::in_place, std::move(value)};
    } else {
      return workflows::settled_value(*x_).template get<T>();
    }
  }

private:
  template <class>
  friend class workflows::branch;

  workflows::core* engine_;
  workflows::operation_ptr x_;
};

/// Another process that can be awaited: `co_await` gives its value, or throws a `failure` (its own,
/// or one with the code "child_cancelled" or "child_abandoned"). Valid as long as the workflow.
class child {
public:
  child(workflows::core& engine, process_id id) : engine_{&engine}, id_{std::move(id)} {}

  [[nodiscard]] const process_id& id() const {
    return id_;
  }
  /// The end of the process as an effect. Each call is another effect.
  [[nodiscard]] effect<json> result() const;

  effect<json> operator co_await() const {
    return result();
  }

private:
  workflows::core* engine_;
  process_id id_;
};

/// A child to be started: `co_await` starts it and gives a `child`, without waiting for anything
/// but, now and then, the journal. Throws a `failure` when the child is refused.
class [[nodiscard]] started {
public:
  started(workflows::core& engine, workflows::operation_ptr x)
    : engine_{&engine}, x_{std::move(x)} {}

  [[nodiscard]] bool await_ready() const noexcept {
    return false;
  }
  template <class Promise>
  requires std::derived_from<Promise, workflows::runnable>
  bool await_suspend(std::coroutine_handle<Promise> caller) const {
    return !workflows::start_child(*engine_, x_, caller.promise());
  }
  child await_resume() const {
    return child{*engine_, workflows::started_id(*x_)};
  }

private:
  workflows::core* engine_;
  workflows::operation_ptr x_;
};

} // namespace belay
