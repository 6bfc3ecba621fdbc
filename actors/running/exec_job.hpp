// One run of a program on the exec service's loop: its child, its streams, its end.
#pragma once

#include "actors/running/exec_args.hpp"
#include "actors/running/exec_spawn.hpp"

#include <functional>
#include <memory>
#include <uv.h>

namespace belay::running {

/// Captures one output stream of a child: the first bytes up to a bound are kept, all are counted.
struct captured_stream {
  std::string name;
  uv_pipe_t pipe{};
  bool open = false;
  std::string kept;
  std::uint64_t total = 0;
  /// Kept bytes not yet emitted as an event.
  std::string unsent;
};

/// All of it runs on the loop's thread. Kept alive by `self` from `start` to the last closed
/// handle.
class exec_job : public std::enable_shared_from_this<exec_job> {
public:
  exec_job(uv_loop_t& loop, const group_guard& guard, const exec_options& options, run_info info,
           exec_args args, run_callbacks callbacks, std::function<void()> gone);

  /// Starts the child, or ends with a failure.
  void start();
  void cancel();
  void kill_now();
  /// Nobody listens any more: end without a word.
  void drop();
  /// Ends a job that was never started.
  void end_unstarted();

private:
  void launch(const resolved_program& program);
  void write_input();
  void read(captured_stream& stream);
  void received(captured_stream& stream, std::string_view bytes);
  void flush(captured_stream& stream, bool last);
  void exited();
  void finish_if_done();
  void finish(outcome result);
  void close_all();
  void close_handle(uv_handle_t* handle);
  [[nodiscard]] outcome make_outcome() const;
  void signal_group(int number) const;

  uv_loop_t& loop_;
  const group_guard& guard_;
  const exec_options& options_;
  run_info info_;
  exec_args args_;
  run_callbacks callbacks_;
  std::function<void()> gone_;
  std::shared_ptr<exec_job> self_;
  spawned_child child_;
  uv_poll_t exit_watch_{};
  uv_pipe_t input_{};
  uv_write_t write_{};
  uv_timer_t linger_{};
  uv_timer_t emit_timer_{};
  captured_stream out_;
  captured_stream err_;
  std::size_t handles_ = 0;
  std::uint64_t started_ns_ = 0;
  int exit_status_ = 0;
  bool was_signalled_ = false;
  bool running_ = false;
  bool exited_ = false;
  bool finished_ = false;
  bool closing_ = false;
  bool asked_to_end_ = false;
};

} // namespace belay::running
