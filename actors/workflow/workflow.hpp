// Durable workflows: the whole interface for those who write them.
//
// A workflow is a coroutine whose effects are journaled. After a crash, or when it was parked, the
// code runs again from the top and is given the recorded results in the recorded order, so it must
// ask for the same things again: take time, randomness and everything from outside through
// `workflow`, and do what changes the world in steps, calls and children.
//
// **Forms to avoid**, for g++ 12 breaks them inside the very expression that has `co_await`:
//  1. JSON in braces becomes "array used as initializer" (a compile error). Arguments in braces
//     are fine, for `arguments` has no initializer list; elsewhere give the JSON a name first:
//         json payload = {{"a", 1}};
//         auto r = co_await part(wf, payload);
//     The same holds for `co_return {1, co_await x}`; `co_return {...}` alone is fine.
//  2. A lambda that captures by value anything with a destructor is copied bit by bit and then
//     destroyed twice. `step` refuses those at compile time; name the lambda, or capture by
//     reference:
//         auto hash = [text] { return sha(text); };
//         auto h = co_await wf.step("hash", hash);
//  3. The same happens to aggregates with such members in braces: `co_await part({.name = n})`.
//     The option types here hold only views, so they are safe.
// A lambda that is a coroutine must outlive its frame: pass what it needs as parameters.
#pragma once

#include "actors/workflow/arguments.hpp"
#include "actors/workflow/effect.hpp"
#include "actors/workflow/failure.hpp"
#include "actors/workflow/join.hpp"
#include "actors/workflow/task.hpp"
#include "messages/registration.hpp"

#include <chrono>
#include <functional>
#include <string_view>

namespace belay {

/// How a tool is called. Views: they need only last as long as the call expression.
struct call_options {
  retry_policy retry;
  /// Of one attempt; 0 means no bound.
  std::chrono::milliseconds timeout{0};
  /// Its name in the journal; the tool's when empty.
  std::string_view name;
};

/// How a child is started. Views: they need only last as long as the call expression.
struct child_options {
  /// Chosen by the code; derived from parent, branch, name and ordinal when empty.
  std::string_view id;
  /// Its name in the journal; the tool's or workflow's when empty.
  std::string_view name;
  /// Of a workflow.
  std::uint32_t version = 1;
  std::string_view queue = "default";
  std::int32_t priority = 0;
  /// Not to be run before.
  std::optional<std::chrono::sys_time<std::chrono::milliseconds>> due;
  /// Of one attempt; 0 means no bound.
  std::chrono::milliseconds timeout{0};
  retry_policy retry;
  std::uint32_t attempts_max = 0;
  recovery_rule rule = recovery_rule::rerunnable;
  /// What becomes of it when this workflow ends.
  close_policy close = close_policy::cancel;
  std::string_view label;
  /// What is said more seldom: labels, event types, observers, the wake session and the trace
  /// context are taken from it, nothing else.
  const registration* more = nullptr;
};

static_assert(
  std::is_trivially_copyable_v<call_options> && std::is_trivially_copyable_v<child_options>,
  "g++ 12 copies aggregates in an await expression bit by bit");

namespace workflows {

template <class R>
using step_result
  = std::conditional_t<std::is_convertible_v<R, const char*>, std::string, std::remove_cvref_t<R>>;

} // namespace workflows

/// What a running workflow can ask for. One for each run; every call is made by its own code.
class workflow {
public:
  explicit workflow(workflows::core& engine) : core_{engine} {}
  workflow(const workflow&) = delete;
  workflow& operator=(const workflow&) = delete;

  /// Runs a tool on this worker. Awaiting it throws the tool's `failure` when its retries are used
  /// up.
  effect<json> call(std::string tool, arguments args, call_options options = {});

  /// Runs code once and keeps what it returns: JSON, nothing, or what converts to JSON and back.
  /// The code runs while the step is awaited, and again only if it was not journaled before a
  /// crash.
  template <class F>
  effect<workflows::step_result<std::invoke_result_t<F&>>> step(std::string name, F&& code) {
    using function = std::remove_cvref_t<F>;
    using result = workflows::step_result<std::invoke_result_t<F&>>;
    static_assert(
      std::is_lvalue_reference_v<F> || std::is_trivially_copyable_v<function>,
      "give the lambda a name first: g++ 12 destroys its captures twice inside co_await");
    auto kept = std::make_shared<function>(std::forward<F>(code));
    return effect<result>{core_, make_step(std::move(name), [kept]() -> json {
                            if constexpr (std::is_void_v<result>) {
                              std::invoke(*kept);
                              return nullptr;
                            } else {
                              return std::invoke(*kept);
                            }
                          })};
  }

  /// Starts a child that runs a tool. Its id is derived, so that a replay never starts another.
  started start(std::string tool, arguments args, child_options options = {});
  /// Starts a child that runs a workflow of this name and version.
  started start_workflow(std::string name, arguments args, child_options options = {});
  /// Any process by its id, to be awaited.
  child attach_to(process_id id);

  /// Waits for the next signal of this name that nobody has taken yet and gives its payload.
  effect<json> wait_signal(std::string name);
  /// The same, or nothing when none has come in time.
  effect<std::optional<json>> wait_signal(std::string name, std::chrono::milliseconds timeout);
  effect<void> sleep(std::chrono::milliseconds length);
  effect<void> sleep_until(std::chrono::sys_time<std::chrono::milliseconds> at);

  /// Appends an event to the history, once. Throws a `failure` on a type that is not acceptable.
  void emit(std::string type, const json& payload);
  /// Sets what `belay get` shows. Not journaled: the last one goes with the next commit.
  void set_status(const json& status);
  /// Keeps bytes with the process. Returns their reference, "sha256:" and hex.
  std::string attach(const std::string& bytes, std::string name = {});

  /// Whether the process was asked to stop, as far as this code has learned.
  [[nodiscard]] bool cancelled() const;
  /// Returns the next of a sequence of numbers that is the same on replay.
  std::uint64_t random();
  /// Returns the time, journaled.
  std::chrono::sys_time<std::chrono::milliseconds> now();
  [[nodiscard]] const process_id& id() const;
  /// Which run of the process this is, interrupted ones included. Differs on replay: for logs only.
  [[nodiscard]] std::uint32_t attempt() const;
  /// Whether the code is being told what has already happened.
  [[nodiscard]] bool replaying() const;
  /// Whether to take a change of the code: true for workflows that had not come this far when it
  /// was made. The first answer for a name stands.
  bool patched(std::string name);
  /// Writes to the node's log, but not on replay.
  void log(const std::string& text, const json& fields = json::object());

private:
  workflows::operation_ptr make_step(std::string name, std::function<json()> code);

  workflows::core& core_;
};

/// What a workflow is: code, given its arguments.
using workflow_function = std::function<task<json>(workflow&, json)>;

} // namespace belay
