#include "actors/running/exec_job.hpp"

#include <array>
#include <csignal>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace belay::running {

namespace {

/// How long a stream may stay open after its child has ended: something that left the group holds
/// it.
constexpr std::uint64_t linger_ms = 1'000;
/// Output is emitted at most this often, or in pieces of this size.
constexpr std::uint64_t emit_ms = 100;
constexpr std::size_t emit_bytes = 16'384;
constexpr std::uint64_t ns_per_ms = 1'000'000;

exec_job& job_of(void* data) {
  return *static_cast<exec_job*>(data);
}

/// Returns how many bytes at the end are the beginning of a UTF-8 character that goes on.
std::size_t unfinished_tail(const std::string& text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0U) == 0x80U) {
      continue;
    }
    const std::size_t length = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

} // namespace

exec_job::exec_job(uv_loop_t& loop, const group_guard& guard, const exec_options& options,
                   run_info info, exec_args args, run_callbacks callbacks,
                   std::function<void()> gone)
  : loop_{loop},
    guard_{guard},
    options_{options},
    info_{std::move(info)},
    args_{std::move(args)},
    callbacks_{std::move(callbacks)},
    gone_{std::move(gone)} {
  out_.name = "stdout";
  err_.name = "stderr";
}

void exec_job::start() {
  self_ = shared_from_this();
  auto found = resolve(args_, info_, options_);
  if (auto* failed = std::get_if<outcome>(&found)) {
    finish(std::move(*failed));
    close_all();
    return;
  }
  try {
    launch(std::get<resolved_program>(found));
  } catch (const std::system_error& x) {
    // A machine short of processes or descriptors may have some later; a bad program will not run.
    const auto later = x.code() == std::errc::resource_unavailable_try_again
                       || x.code() == std::errc::too_many_files_open
                       || x.code() == std::errc::not_enough_memory;
    finish(make_failure(later ? failure_class::unavailable : failure_class::execution,
                        "spawn_failed", std::string{"cannot start the program: "} + x.what(),
                        later));
    close_all();
  }
}

void exec_job::launch(const resolved_program& program) {
  child_ = spawn_child({program.path, args_.argv, program.environment, args_.cwd});
  guard_.add(child_.os_pid);
  running_ = true;
  started_ns_ = uv_hrtime();
  uv_poll_init(&loop_, &exit_watch_, child_.pid_fd);
  exit_watch_.data = this;
  uv_timer_init(&loop_, &linger_);
  linger_.data = this;
  uv_timer_init(&loop_, &emit_timer_);
  emit_timer_.data = this;
  uv_pipe_init(&loop_, &input_, 0);
  input_.data = this;
  handles_ = 4;
  uv_pipe_open(&input_, child_.stdin_fd);
  uv_poll_start(&exit_watch_, UV_READABLE,
                [](uv_poll_t* handle, int, int) { job_of(handle->data).exited(); });
  out_.pipe.data = this;
  err_.pipe.data = this;
  uv_pipe_init(&loop_, &out_.pipe, 0);
  uv_pipe_init(&loop_, &err_.pipe, 0);
  handles_ += 2;
  out_.pipe.data = this;
  err_.pipe.data = this;
  uv_pipe_open(&out_.pipe, child_.stdout_fd);
  uv_pipe_open(&err_.pipe, child_.stderr_fd);
  read(out_);
  read(err_);
  write_input();
  if (asked_to_end_) {
    signal_group(SIGTERM);
  }
}

void exec_job::write_input() {
  const auto close_input
    = [](exec_job& job) { job.close_handle(reinterpret_cast<uv_handle_t*>(&job.input_)); };
  if (args_.input.empty()) {
    close_input(*this);
    return;
  }
  const auto buffer = uv_buf_init(args_.input.data(), static_cast<unsigned>(args_.input.size()));
  const auto failed = uv_write(&write_, reinterpret_cast<uv_stream_t*>(&input_), &buffer, 1,
                               [](uv_write_t* request, int) {
                                 // A child that does not read all of its input is no error.
                                 auto& job = job_of(request->handle->data);
                                 job.close_handle(reinterpret_cast<uv_handle_t*>(request->handle));
                               });
  if (failed != 0) {
    close_input(*this);
  }
}

void exec_job::read(captured_stream& stream) {
  stream.open = true;
  uv_read_start(
    reinterpret_cast<uv_stream_t*>(&stream.pipe),
    [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
      thread_local std::array<char, 65'536> room;
      *buffer = uv_buf_init(room.data(), static_cast<unsigned>(room.size()));
    },
    [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) {
      auto& job = job_of(handle->data);
      auto& from = reinterpret_cast<uv_pipe_t*>(handle) == &job.out_.pipe ? job.out_ : job.err_;
      if (count > 0) {
        job.received(from, {buffer->base, static_cast<std::size_t>(count)});
      } else if (count < 0) {
        from.open = false;
        job.close_handle(reinterpret_cast<uv_handle_t*>(handle));
        job.finish_if_done();
      }
    });
}

void exec_job::received(captured_stream& stream, std::string_view bytes) {
  stream.total += bytes.size();
  const auto room = args_.capture_bytes - std::min(args_.capture_bytes, stream.kept.size());
  const auto kept = bytes.substr(0, room);
  stream.kept += kept;
  if (!args_.stream || kept.empty()) {
    return;
  }
  stream.unsent += kept;
  if (stream.unsent.size() >= emit_bytes) {
    flush(stream, false);
  } else if (uv_is_active(reinterpret_cast<uv_handle_t*>(&emit_timer_)) == 0) {
    uv_timer_start(
      &emit_timer_,
      [](uv_timer_t* handle) {
        auto& job = job_of(handle->data);
        job.flush(job.out_, false);
        job.flush(job.err_, false);
      },
      emit_ms, 0);
  }
}

void exec_job::flush(captured_stream& stream, bool last) {
  while (!stream.unsent.empty() && callbacks_.emit) {
    auto piece = stream.unsent.substr(0, emit_bytes);
    if (!last || piece.size() < stream.unsent.size()) {
      piece.erase(piece.size() - std::min(piece.size(), unfinished_tail(piece)));
    }
    if (piece.empty()) {
      return;
    }
    stream.unsent.erase(0, piece.size());
    nlohmann::json payload;
    put_bytes(payload, "text", piece);
    callbacks_.emit("exec." + stream.name, payload.dump());
  }
}

void exec_job::signal_group(int number) const {
  if (running_ && !exited_) {
    kill(-child_.os_pid, number);
  }
}

void exec_job::cancel() {
  asked_to_end_ = true;
  signal_group(SIGTERM);
}

void exec_job::kill_now() {
  asked_to_end_ = true;
  signal_group(SIGKILL);
}

void exec_job::drop() {
  callbacks_ = {};
  kill_now();
}

void exec_job::end_unstarted() {
  finish(make_cancelled("cancelled before it was started"));
}

void exec_job::exited() {
  siginfo_t info{};
  const auto id = static_cast<id_t>(child_.os_pid);
  if (waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
    return;
  }
  // While the child is not reaped its number cannot be another group's: end what it left behind.
  kill(-child_.os_pid, SIGKILL);
  waitid(P_PID, id, &info, WEXITED);
  exited_ = true;
  guard_.remove(child_.os_pid);
  was_signalled_ = info.si_code != CLD_EXITED;
  exit_status_ = info.si_status;
  uv_poll_stop(&exit_watch_);
  uv_timer_start(
    &linger_,
    [](uv_timer_t* handle) {
      auto& job = job_of(handle->data);
      job.out_.open = false;
      job.err_.open = false;
      job.finish_if_done();
    },
    linger_ms, 0);
  finish_if_done();
}

void exec_job::finish_if_done() {
  if (!exited_ || out_.open || err_.open || finished_) {
    return;
  }
  flush(out_, true);
  flush(err_, true);
  finish(make_outcome());
  close_all();
}

outcome exec_job::make_outcome() const {
  nlohmann::json value{{"stdout_bytes", out_.total},
                       {"stderr_bytes", err_.total},
                       {"stdout_truncated", out_.total > out_.kept.size()},
                       {"stderr_truncated", err_.total > err_.kept.size()},
                       {"duration_ms", (uv_hrtime() - started_ns_) / ns_per_ms}};
  put_bytes(value, "stdout", out_.kept);
  put_bytes(value, "stderr", err_.kept);
  if (was_signalled_) {
    value["signal"] = signal_name(exit_status_);
  } else {
    value["exit_code"] = exit_status_;
  }
  auto text = value.dump();
  if (!was_signalled_ && args_.success_codes.count(exit_status_) != 0 && !asked_to_end_) {
    return make_success(std::move(text));
  }
  if (asked_to_end_) {
    return make_cancelled("ended by request", std::move(text));
  }
  if (was_signalled_) {
    const auto name = signal_name(exit_status_);
    return make_failure(failure_class::execution, "signal_" + name, "ended by " + name, true,
                        std::move(text));
  }
  const auto code = std::to_string(exit_status_);
  return make_failure(failure_class::execution, "exit_" + code, "exit code " + code, true,
                      std::move(text));
}

void exec_job::finish(outcome result) {
  if (finished_) {
    return;
  }
  finished_ = true;
  if (callbacks_.finished) {
    callbacks_.finished(std::move(result));
  }
  callbacks_ = {};
}

void exec_job::close_all() {
  closing_ = true;
  if (handles_ == 0) {
    auto keep = std::move(self_);
    gone_();
    return;
  }
  for (auto* handle :
       {reinterpret_cast<uv_handle_t*>(&exit_watch_), reinterpret_cast<uv_handle_t*>(&linger_),
        reinterpret_cast<uv_handle_t*>(&emit_timer_), reinterpret_cast<uv_handle_t*>(&input_),
        reinterpret_cast<uv_handle_t*>(&out_.pipe), reinterpret_cast<uv_handle_t*>(&err_.pipe)}) {
    close_handle(handle);
  }
}

void exec_job::close_handle(uv_handle_t* handle) {
  if (uv_is_closing(handle) != 0) {
    return;
  }
  uv_close(handle, [](uv_handle_t* closed) {
    auto& job = job_of(closed->data);
    if (--job.handles_ == 0 && job.closing_) {
      close(job.child_.pid_fd);
      auto keep = std::move(job.self_);
      job.gone_();
    }
  });
}

} // namespace belay::running
