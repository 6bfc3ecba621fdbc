// The inside of the engine: who runs next, what is delivered, what the code asked for.
#pragma once

#include "actors/workflow/engine.hpp"
#include "actors/workflow/ledger.hpp"

#include <deque>
#include <map>
#include <set>

namespace belay::workflows {

class core {
public:
  core(engine_setup setup, workflow_function code);
  ~core();
  core(const core&) = delete;
  core& operator=(const core&) = delete;

  // What the driver asks; see engine.hpp.
  void advance();
  journal_batch take_batch();
  void committed();
  std::vector<want> take_wants();
  std::vector<std::uint64_t> take_dropped();
  void complete(std::uint64_t op, std::string result);
  void note(std::uint64_t op, std::string state);
  void request_cancel(const std::string& reason);
  [[nodiscard]] const std::optional<outcome>& result() const {
    return result_;
  }
  [[nodiscard]] std::vector<want> pending() const;
  [[nodiscard]] std::size_t needed() const;
  [[nodiscard]] bool is_taken(const std::string& signal, event_seq seq) const;
  [[nodiscard]] bool replaying() const;
  [[nodiscard]] const ledger& journal() const {
    return ledger_;
  }

  // What the code asks.
  [[nodiscard]] operation_ptr make(effect_kind kind, std::string name, std::string hash = {});
  [[nodiscard]] operation_ptr
  make_child(std::string name, std::string kind, const json& input, const child_options& options);
  [[nodiscard]] bool begin_wait(const operation_ptr& x, waiter& by);
  [[nodiscard]] bool start_child(const operation_ptr& x, runnable& caller);
  /// Enters an effect that is over at once. Returns whether it is new; throws out of code that is
  /// not to go on.
  [[nodiscard]] bool immediate(const operation_ptr& x);
  void emit(std::string type, std::string payload);
  std::string attach(const std::string& bytes, std::string name);
  timestamp_ms now();
  bool patched(std::string name);
  std::uint64_t random();
  void log(const std::string& text, const json& fields) const;
  void set_status(std::string text);
  [[nodiscard]] bool cancelled() const {
    return cancelled_;
  }
  [[nodiscard]] const std::string& cancel_reason() const {
    return cancel_reason_;
  }
  [[nodiscard]] const engine_setup& setup() const {
    return setup_;
  }

  // What coroutines and their waiters ask.
  void enqueue(runnable& x);
  /// Gives up an effect that nobody awaits any more.
  void give_up(operation& x);
  void destroy_loser(const scope& branch, std::coroutine_handle<> frame);

private:
  struct end_of_root : waiter {
    void wake() override {
      reached = true;
    }
    bool reached = false;
  };
  /// Thrown out of code that is not to go on. Not a std::exception, so that few catch it.
  struct halted {};

  void begin();
  /// Does one thing that can be done. Returns false when there is nothing.
  bool go_on();
  void run_next();
  void deliver_next();
  void run_step();
  void finish();
  void stop(outcome x);
  void stop_mismatch(const std::string& text);
  enum class entered {
    recorded,
    fresh,
    /// The journal is full: delivered as a failure.
    refused,
    /// It does not match: the workflow has ended.
    stopped,
  };
  /// Gives the effect its place in the journal.
  entered enter(const operation_ptr& x);
  void enter_fresh(const operation_ptr& x);
  void announce(const operation_ptr& x);
  [[nodiscard]] std::optional<outcome> refuse_child(const operation& x) const;
  void settle(const operation_ptr& x, std::string result);
  bool interrupt_all();
  void hold_signal(const operation& x, bool held);
  [[nodiscard]] want make_want(const operation& x) const;
  void check_in_code() const;

  engine_setup setup_;
  ledger ledger_;
  workflow_function code_;
  workflow interface_;
  std::optional<outcome> result_;

  std::shared_ptr<scope> main_ = std::make_shared<scope>();
  std::shared_ptr<scope> current_ = main_;
  waiter_list ready_;
  /// A batch is so large that code waits for its commit.
  bool paused_ = false;
  /// A step's code runs: it must not ask for effects.
  bool in_step_ = false;
  /// Frames are destroyed: what their destructors ask is not heard.
  std::size_t muted_ = 0;
  bool closing_ = false;

  /// Awaited and not delivered, by number.
  std::map<std::uint64_t, operation_ptr> live_;
  /// Those of `live_` whose results are on disk, by order of completion.
  std::map<std::uint64_t, operation_ptr> deliverable_;
  std::map<std::uint64_t, operation_ptr> steps_;
  std::map<std::uint64_t, operation_ptr> unannounced_;
  std::vector<std::uint64_t> dropped_;
  std::map<std::string, std::set<event_seq>> taken_signals_;

  bool cancel_requested_ = false;
  bool cancelled_ = false;
  /// A request found nothing to interrupt: what is awaited next is.
  bool interrupt_next_ = false;
  std::string cancel_reason_;

  std::size_t children_ = 0;
  std::map<std::string, bool> patches_;
  std::uint64_t random_state_ = 0;

  end_of_root end_;
  std::optional<task<json>> root_;
};

/// Whether the result text of a finished effect says so.
[[nodiscard]] bool is_success(const std::string& outcome_text);

} // namespace belay::workflows
