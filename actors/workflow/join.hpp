// Several things at once: when_all waits for every one, when_any for the first.
#pragma once

#include "actors/workflow/effect.hpp"

#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace belay {

/// What when_any gives: which of them came first, and its result.
template <class T>
struct first_of {
  std::size_t index;
  T value;
};

namespace workflows {

/// A result as a value: nothing is `std::monostate`.
template <class T>
using filled = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// One of the things that a join waits for, whatever its type.
class branch_base {
public:
  virtual ~branch_base() = default;
  /// Starts it. Returns false when its result is there already.
  virtual bool begin(const runnable& parent, std::uint32_t fork, std::size_t index, waiter& next)
    = 0;
  /// Destroys it, or stops waiting for it.
  virtual void drop() = 0;
};

/// `X` is a task or an effect.
template <class X>
class branch;

/// Takes a result as a value.
template <class X>
filled<typename X::value_type> take_from(X& work) {
  if constexpr (std::is_void_v<typename X::value_type>) {
    work.await_resume();
    return {};
  } else {
    return work.await_resume();
  }
}

template <class T>
class branch<task<T>> final : public branch_base {
public:
  using value_type = T;

  explicit branch(task<T> x) : work_{std::move(x)} {}

  bool begin(const runnable& parent, std::uint32_t fork, std::size_t index, waiter& next) override {
    where_ = make_branch(parent, fork, index);
    engine_ = parent.engine;
    work_.frame().promise().begin(*engine_, where_, next);
    return true;
  }
  void drop() override {
    if (where_) {
      destroy_loser(*engine_, *where_, std::exchange(work_.frame_, nullptr));
    }
  }
  filled<T> take() {
    return take_from(work_);
  }

private:
  task<T> work_;
  std::shared_ptr<scope> where_;
  core* engine_ = nullptr;
};

template <class T>
class branch<effect<T>> final : public branch_base {
public:
  using value_type = T;

  explicit branch(effect<T> x) : work_{std::move(x)} {}

  bool begin(const runnable& parent, std::uint32_t /*fork*/, std::size_t /*index*/,
             waiter& next) override {
    return await_operation(*parent.engine, work_.x_, next);
  }
  void drop() override {}
  filled<T> take() {
    return take_from(work_);
  }

private:
  effect<T> work_;
};

/// Awaits some branches; afterwards `order` says which ended, first to last.
class join {
public:
  enum class kind { all, any };

  join(kind until, std::vector<branch_base*> branches);
  ~join();
  join(const join&) = delete;
  join& operator=(const join&) = delete;

  [[nodiscard]] bool await_ready() const {
    return branches_.empty();
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> parent) {
    return begin(parent.promise());
  }
  void await_resume() const {}

  [[nodiscard]] const std::vector<std::size_t>& order() const {
    return order_;
  }

private:
  class end_of_branch;

  bool begin(runnable& parent);
  void ended(std::size_t index);
  void drop_losers(std::size_t winner);

  kind until_;
  std::vector<branch_base*> branches_;
  std::vector<end_of_branch> ends_;
  std::vector<std::size_t> order_;
  runnable* parent_ = nullptr;
  bool beginning_ = false;
  bool decided_ = false;
};

template <class T>
branch<task<T>> to_branch(task<T> x) {
  return branch<task<T>>{std::move(x)};
}

template <class T>
branch<effect<T>> to_branch(effect<T> x) {
  return branch<effect<T>>{std::move(x)};
}

inline branch<effect<json>> to_branch(const child& x) {
  return branch<effect<json>>{x.result()};
}

/// The branch that a task, effect or child becomes, and what it gives.
template <class X>
using branch_of = decltype(to_branch(std::declval<X>()));
template <class B>
using result_of = filled<typename B::value_type>;

template <class X>
concept joinable = requires {
  typename branch_of<X>;
};

template <class... Bs>
std::vector<branch_base*> pointers(std::tuple<Bs...>& branches) {
  return std::apply([](auto&... x) { return std::vector<branch_base*>{&x...}; }, branches);
}

template <class B>
std::vector<branch_base*> pointers(std::vector<B>& branches) {
  std::vector<branch_base*> all;
  all.reserve(branches.size());
  for (auto& one : branches) {
    all.push_back(&one);
  }
  return all;
}

/// Takes the results in the order in which they came, so that the first failure is thrown.
template <class... Bs, std::size_t... Is>
std::tuple<result_of<Bs>...>
take_all(std::tuple<Bs...>& branches, const std::vector<std::size_t>& order,
         std::index_sequence<Is...> /*all*/) {
  std::tuple<std::optional<result_of<Bs>>...> taken;
  for (const auto index : order) {
    static_cast<void>(
      ((index == Is && (std::get<Is>(taken).emplace(std::get<Is>(branches).take()), true)) || ...));
  }
  return std::tuple<result_of<Bs>...>(std::move(*std::get<Is>(taken))...);
}

template <class... Bs>
task<std::tuple<result_of<Bs>...>> all_of(std::tuple<Bs...> branches) {
  join joined{join::kind::all, pointers(branches)};
  co_await joined;
  co_return take_all(branches, joined.order(), std::index_sequence_for<Bs...>{});
}

template <class B>
task<std::vector<result_of<B>>> all_of(std::vector<B> branches) {
  join joined{join::kind::all, pointers(branches)};
  co_await joined;
  std::vector<std::optional<result_of<B>>> taken(branches.size());
  for (const auto index : joined.order()) {
    taken[index].emplace(branches[index].take());
  }
  std::vector<result_of<B>> results;
  results.reserve(taken.size());
  for (auto& one : taken) {
    results.push_back(std::move(*one));
  }
  co_return results;
}

/// The value of when_any: that of all when they are of one type, else a variant.
template <class... Bs>
struct any_of_types {
  using type = std::variant<result_of<Bs>...>;
};
template <class B, class... Bs>
requires(std::is_same_v<result_of<B>, result_of<Bs>>&&...) struct any_of_types<B, Bs...> {
  using type = result_of<B>;
};
template <class... Bs>
using any_value = typename any_of_types<Bs...>::type;

template <class Value, std::size_t I, class B>
Value as_any(B& winner) {
  if constexpr (std::is_same_v<Value, result_of<B>>) {
    return winner.take();
  } else {
    return Value(std::in_place_index<I>, winner.take());
  }
}

template <class Value, class... Bs, std::size_t... Is>
first_of<Value>
take_first(std::tuple<Bs...>& branches, std::size_t index, std::index_sequence<Is...> /*all*/) {
  std::optional<Value> taken;
  static_cast<void>(
    ((index == Is && (taken.emplace(as_any<Value, Is>(std::get<Is>(branches))), true)) || ...));
  return first_of<Value>{index, std::move(*taken)};
}

template <class... Bs>
task<first_of<any_value<Bs...>>> any_of(std::tuple<Bs...> branches) {
  join joined{join::kind::any, pointers(branches)};
  co_await joined;
  co_return take_first<any_value<Bs...>>(branches, joined.order().front(),
                                         std::index_sequence_for<Bs...>{});
}

template <class B>
task<first_of<result_of<B>>> any_of(std::vector<B> branches) {
  join joined{join::kind::any, pointers(branches)};
  co_await joined;
  const auto index = joined.order().front();
  first_of<result_of<B>> first{index, branches[index].take()};
  co_return first;
}

template <class X>
std::vector<branch_of<X>> to_branches(std::vector<X> xs) {
  std::vector<branch_of<X>> branches;
  branches.reserve(xs.size());
  for (auto& one : xs) {
    branches.push_back(to_branch(std::move(one)));
  }
  return branches;
}

} // namespace workflows

/// Waits for all of some tasks, effects and children, then gives their results as a tuple (nothing
/// is `std::monostate`), or throws the failure that came first. Each task is a branch of its own.
template <workflows::joinable... Xs>
[[nodiscard]] task<std::tuple<workflows::result_of<workflows::branch_of<Xs>>...>>
when_all(Xs... xs) {
  return workflows::all_of(
    std::tuple<workflows::branch_of<Xs>...>(workflows::to_branch(std::move(xs))...));
}

/// The same of any number of one type.
template <workflows::joinable X>
[[nodiscard]] task<std::vector<workflows::result_of<workflows::branch_of<X>>>>
when_all(std::vector<X> xs) {
  return workflows::all_of(workflows::to_branches(std::move(xs)));
}

/// Waits for the first of some, gives its number and result, or throws its failure. Frames of the
/// others are destroyed, their tools cancelled; children and signals are only no longer awaited.
/// Of different types the value is a `std::variant` with one alternative for each.
template <workflows::joinable... Xs>
requires(sizeof...(Xs) > 0)
  [[nodiscard]] task<first_of<workflows::any_value<workflows::branch_of<Xs>...>>> when_any(
    Xs... xs) {
  return workflows::any_of(
    std::tuple<workflows::branch_of<Xs>...>(workflows::to_branch(std::move(xs))...));
}

/// The same of any number of one type. Requires that there is one.
template <workflows::joinable X>
[[nodiscard]] task<first_of<workflows::result_of<workflows::branch_of<X>>>>
when_any(std::vector<X> xs) {
  if (xs.empty()) {
    throw std::invalid_argument{"when_any of nothing would wait for ever"};
  }
  return workflows::any_of(workflows::to_branches(std::move(xs)));
}

} // namespace belay
