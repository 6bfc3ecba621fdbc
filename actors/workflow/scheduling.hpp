// Who waits for what inside one workflow: intrusive lists, so that a frame that is destroyed is in
// none of them, and nothing is resumed but from the engine's one loop.
#pragma once

#include <coroutine>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace belay {
enum class effect_kind : std::uint8_t;
}

namespace belay::workflows {

class core;
class waiter_list;
struct operation;
using operation_ptr = std::shared_ptr<operation>;

/// A branch of the code: the main line, or one that a fork began.
struct scope {
  std::string path;
  /// Forks so far.
  std::uint32_t forks = 0;
  /// Effects made so far, by kind and name.
  std::map<std::pair<effect_kind, std::string>, std::uint32_t> ordinals;
};

/// Something that is woken once: in one list at most, and in none once it is destroyed.
class waiter {
public:
  waiter() = default;
  virtual ~waiter();
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  virtual void wake() = 0;
  /// Leaves the list it is in. What nobody awaits any more is given up.
  void stop_waiting();
  /// Returns the join that needs every one of its direct effects, when this is one of them.
  [[nodiscard]] virtual const void* all_of() const;

private:
  friend class core;
  friend class waiter_list;

  waiter* before_ = nullptr;
  waiter* after_ = nullptr;
  waiter_list* list_ = nullptr;
  /// What is awaited; nothing once it was delivered.
  operation* awaited_ = nullptr;
};

class waiter_list {
public:
  waiter_list() = default;
  ~waiter_list();
  waiter_list(const waiter_list&) = delete;
  waiter_list& operator=(const waiter_list&) = delete;

  [[nodiscard]] bool empty() const {
    return first_ == nullptr;
  }
  /// The one to be woken next, or nullptr.
  [[nodiscard]] waiter* first() const {
    return first_;
  }
  /// Whether there is exactly one.
  [[nodiscard]] bool single() const {
    return first_ != nullptr && first_ == last_;
  }
  void push_back(waiter& x);
  void push_front(waiter& x);
  void remove(waiter& x);

private:
  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

/// A coroutine of the workflow: waking it puts it into the engine's queue.
class runnable : public waiter {
public:
  void wake() override;

  core* engine = nullptr;
  std::shared_ptr<scope> where;
  std::coroutine_handle<> self;
};

/// Begins to wait. Returns whether `x` waits now; otherwise the result is there already.
[[nodiscard]] bool await_operation(core& engine, const operation_ptr& awaited, waiter& x);

/// Returns a new branch of the code that `parent` runs.
[[nodiscard]] std::shared_ptr<scope>
make_branch(const runnable& parent, std::uint32_t fork, std::size_t index);

/// Destroys a frame that lost: what its destructors ask of the workflow is not heard, and what the
/// journal holds of its branch counts as seen.
void destroy_loser(core& engine, const scope& branch, std::coroutine_handle<> frame);

} // namespace belay::workflows
