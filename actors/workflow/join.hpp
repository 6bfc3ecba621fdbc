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

template <class T>
class branch final : public branch_base {
public:
  explicit branch(task<T> x) : work_{std::in_place_index<0>, std::move(x)} {}
  explicit branch(effect<T> x) : work_{std::in_place_index<1>, std::move(x)} {}

  bool begin(const runnable& parent, std::uint32_t fork, std::size_t index, waiter& next) override {
    if (auto* work = std::get_if<0>(&work_)) {
      where_ = make_branch(parent, fork, index);
      engine_ = parent.engine;
      work->frame().promise().begin(*parent.engine, where_, next);
      return true;
    }
    const auto& work = std::get<1>(work_);
    return await_operation(*parent.engine, work.x_, next);
  }

  void drop() override {
    auto* work = std::get_if<0>(&work_);
    if (work != nullptr && where_) {
      destroy_loser(*engine_, *where_, std::exchange(work->frame_, nullptr));
    }
  }

  filled<T> take() {
    return std::visit(
      [](auto& work) -> filled<T> {
        if constexpr (std::is_void_v<T>) {
          work.await_resume();
          return {};
        } else {
          return work.await_resume();
        }
      },
      work_);
  }

private:
  std::variant<task<T>, effect<T>> work_;
  std::shared_ptr<scope> where_;
  core* engine_ = nullptr;
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
branch<T> to_branch(task<T> x) {
  return branch<T>{std::move(x)};
}

template <class T>
branch<T> to_branch(effect<T> x) {
  return branch<T>{std::move(x)};
}

inline branch<json> to_branch(const child& x) {
  return branch<json>{x.result()};
}

/// What a task, effect or child gives.
template <class X>
struct awaited;
template <class T>
struct awaited<task<T>> {
  using type = T;
};
template <class T>
struct awaited<effect<T>> {
  using type = T;
};
template <>
struct awaited<child> {
  using type = json;
};
template <class X>
using awaited_t = typename awaited<std::remove_cvref_t<X>>::type;

template <class X>
concept joinable = requires {
  typename awaited_t<X>;
};

template <class... Ts>
std::vector<branch_base*> pointers(std::tuple<branch<Ts>...>& branches) {
  return std::apply([](auto&... x) { return std::vector<branch_base*>{&x...}; }, branches);
}

template <class T>
std::vector<branch_base*> pointers(std::vector<branch<T>>& branches) {
  std::vector<branch_base*> all;
  all.reserve(branches.size());
  for (auto& one : branches) {
    all.push_back(&one);
  }
  return all;
}

/// Takes the results in the order in which they came, so that the first failure is thrown.
template <class... Ts, std::size_t... Is>
std::tuple<filled<Ts>...>
take_all(std::tuple<branch<Ts>...>& branches, const std::vector<std::size_t>& order,
         std::index_sequence<Is...> /*all*/) {
  std::tuple<std::optional<filled<Ts>>...> taken;
  for (const auto index : order) {
    static_cast<void>(
      ((index == Is && (std::get<Is>(taken).emplace(std::get<Is>(branches).take()), true)) || ...));
  }
  return std::tuple<filled<Ts>...>(std::move(*std::get<Is>(taken))...);
}

template <class... Ts>
task<std::tuple<filled<Ts>...>> all_of(std::tuple<branch<Ts>...> branches) {
  join joined{join::kind::all, pointers(branches)};
  co_await joined;
  co_return take_all(branches, joined.order(), std::index_sequence_for<Ts...>{});
}

template <class T>
task<std::vector<filled<T>>> all_of(std::vector<branch<T>> branches) {
  join joined{join::kind::all, pointers(branches)};
  co_await joined;
  std::vector<std::optional<filled<T>>> taken(branches.size());
  for (const auto index : joined.order()) {
    taken[index].emplace(branches[index].take());
  }
  std::vector<filled<T>> results;
  results.reserve(taken.size());
  for (auto& one : taken) {
    results.push_back(std::move(*one));
  }
  co_return results;
}

/// The value of when_any: that of all when they are of one type, else a variant.
template <class... Ts>
struct any_of_types {
  using type = std::variant<filled<Ts>...>;
};
template <class T, class... Ts>
requires(std::is_same_v<T, Ts>&&...) struct any_of_types<T, Ts...> {
  using type = filled<T>;
};
template <class... Ts>
using any_value = typename any_of_types<Ts...>::type;

template <class Value, std::size_t I, class T>
Value as_any(branch<T>& winner) {
  if constexpr (std::is_same_v<Value, filled<T>>) {
    return winner.take();
  } else {
    return Value(std::in_place_index<I>, winner.take());
  }
}

template <class Value, class... Ts, std::size_t... Is>
first_of<Value> take_first(std::tuple<branch<Ts>...>& branches, std::size_t index,
                           std::index_sequence<Is...> /*all*/) {
  std::optional<Value> taken;
  static_cast<void>(
    ((index == Is && (taken.emplace(as_any<Value, Is>(std::get<Is>(branches))), true)) || ...));
  return first_of<Value>{index, std::move(*taken)};
}

template <class... Ts>
task<first_of<any_value<Ts...>>> any_of(std::tuple<branch<Ts>...> branches) {
  join joined{join::kind::any, pointers(branches)};
  co_await joined;
  co_return take_first<any_value<Ts...>>(branches, joined.order().front(),
                                         std::index_sequence_for<Ts...>{});
}

template <class T>
task<first_of<filled<T>>> any_of(std::vector<branch<T>> branches) {
  join joined{join::kind::any, pointers(branches)};
  co_await joined;
  const auto index = joined.order().front();
  first_of<filled<T>> first{index, branches[index].take()};
  co_return first;
}

template <class X>
std::vector<branch<awaited_t<X>>> to_branches(std::vector<X> xs) {
  std::vector<branch<awaited_t<X>>> branches;
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
[[nodiscard]] task<std::tuple<workflows::filled<workflows::awaited_t<Xs>>...>> when_all(Xs... xs) {
  return workflows::all_of(std::tuple<workflows::branch<workflows::awaited_t<Xs>>...>(
    workflows::to_branch(std::move(xs))...));
}

/// The same of any number of one type.
template <workflows::joinable X>
[[nodiscard]] task<std::vector<workflows::filled<workflows::awaited_t<X>>>>
when_all(std::vector<X> xs) {
  return workflows::all_of(workflows::to_branches(std::move(xs)));
}

/// Waits for the first of some, gives its number and result, or throws its failure. Frames of the
/// others are destroyed, their tools cancelled; children and signals are only no longer awaited.
/// Of different types the value is a `std::variant` with one alternative for each.
template <workflows::joinable... Xs>
requires(sizeof...(Xs) > 0)
  [[nodiscard]] task<first_of<workflows::any_value<workflows::awaited_t<Xs>...>>> when_any(
    Xs... xs) {
  return workflows::any_of(std::tuple<workflows::branch<workflows::awaited_t<Xs>>...>(
    workflows::to_branch(std::move(xs))...));
}

/// The same of any number of one type. Requires that there is one.
template <workflows::joinable X>
[[nodiscard]] task<first_of<workflows::filled<workflows::awaited_t<X>>>>
when_any(std::vector<X> xs) {
  if (xs.empty()) {
    throw std::invalid_argument{"when_any of nothing would wait for ever"};
  }
  return workflows::any_of(workflows::to_branches(std::move(xs)));
}

} // namespace belay
