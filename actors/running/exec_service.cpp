// The exec tool's loop: a libuv loop in a thread of its own that starts and watches programs.
#include "actors/running/exec_job.hpp"

#include <csignal>
#include <deque>
#include <future>
#include <mutex>
#include <set>
#include <thread>

namespace belay::running {

struct exec_service::impl : std::enable_shared_from_this<exec_service::impl> {
  explicit impl(exec_options given) : options{std::move(given)} {}

  /// Runs something on the loop's thread, soon.
  void post(std::function<void()> work) {
    const std::lock_guard guard{mutex};
    if (closed) {
      return;
    }
    queue.push_back(std::move(work));
    uv_async_send(&wake);
  }

  void run_posted() {
    std::deque<std::function<void()>> work;
    {
      const std::lock_guard guard{mutex};
      work.swap(queue);
    }
    for (const auto& x : work) {
      x();
    }
  }

  void admit(const std::shared_ptr<exec_job>& job) {
    if (running.size() >= options.running_max) {
      waiting.push_back(job);
      return;
    }
    running.insert(job);
    job->start();
  }

  void gone(const exec_job* job) {
    for (auto it = running.begin(); it != running.end(); ++it) {
      if (it->get() == job) {
        running.erase(it);
        break;
      }
    }
    while (!stopping && !waiting.empty() && running.size() < options.running_max) {
      auto next = waiting.front();
      waiting.pop_front();
      admit(next);
    }
    close_if_empty();
  }

  /// Takes a job out of the line; returns whether it stood there.
  bool unqueue(const std::shared_ptr<exec_job>& job) {
    for (auto it = waiting.begin(); it != waiting.end(); ++it) {
      if (*it == job) {
        waiting.erase(it);
        return true;
      }
    }
    return false;
  }

  void stop() {
    stopping = true;
    const auto line = std::move(waiting);
    waiting.clear();
    for (const auto& job : line) {
      job->end_unstarted();
    }
    const auto all = running;
    for (const auto& job : all) {
      job->kill_now();
    }
    close_if_empty();
  }

  void close_if_empty() {
    if (stopping && running.empty() && uv_is_closing(reinterpret_cast<uv_handle_t*>(&wake)) == 0) {
      const std::lock_guard guard{mutex};
      closed = true;
      uv_close(reinterpret_cast<uv_handle_t*>(&wake), nullptr);
    }
  }

  /// The loop's thread. The guard and all children are started from it, because the kernel kills
  /// children when the thread that started them ends.
  void serve(std::promise<void>& ready) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    try {
      guard_process = std::make_unique<group_guard>();
    } catch (...) {
      ready.set_exception(std::current_exception());
      return;
    }
    uv_loop_init(&loop);
    uv_async_init(&loop, &wake,
                  [](uv_async_t* handle) { static_cast<impl*>(handle->data)->run_posted(); });
    wake.data = this;
    ready.set_value();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    guard_process.reset();
  }

  exec_options options;
  std::mutex mutex;
  std::deque<std::function<void()>> queue;
  bool closed = false;
  uv_loop_t loop{};
  uv_async_t wake{};
  std::unique_ptr<group_guard> guard_process;
  std::set<std::shared_ptr<exec_job>> running;
  std::deque<std::shared_ptr<exec_job>> waiting;
  bool stopping = false;
  std::thread thread;
};

exec_service::exec_service(exec_options options)
  : impl_{std::make_shared<impl>(std::move(options))} {
  std::promise<void> ready;
  auto started = ready.get_future();
  impl_->thread = std::thread{[this, &ready] { impl_->serve(ready); }};
  try {
    started.get();
  } catch (...) {
    impl_->thread.join();
    throw;
  }
}

exec_service::~exec_service() {
  impl_->post([x = impl_.get()] { x->stop(); });
  impl_->thread.join();
}

namespace {

/// Our end of a run; the job lives on the loop.
class exec_run : public tool_run {
public:
  exec_run(std::function<void(std::function<void()>)> post, std::function<void()> cancel,
           std::function<void()> kill, std::function<void()> drop)
    : post_{std::move(post)},
      cancel_{std::move(cancel)},
      kill_{std::move(kill)},
      drop_{std::move(drop)} {}

  ~exec_run() override {
    post_(drop_);
  }

  void cancel() override {
    post_(cancel_);
  }

  void kill() override {
    post_(kill_);
  }

private:
  std::function<void(std::function<void()>)> post_;
  std::function<void()> cancel_;
  std::function<void()> kill_;
  std::function<void()> drop_;
};

/// A run that was over before it began.
class unstarted_run : public tool_run {
public:
  void cancel() override {}
  void kill() override {}
};

} // namespace

tool exec_service::as_tool() {
  auto service = impl_;
  return {"exec", exec_schema(service->options),
          [service](const run_info& info, const nlohmann::json& text,
                    run_callbacks callbacks) -> std::unique_ptr<tool_run> {
            auto args = read_exec_args(text, service->options);
            if (!args) {
              callbacks.finished(make_failure(failure_class::invalid_request, "bad_arguments",
                                              args.why().text, false));
              return std::make_unique<unstarted_run>();
            }
            auto* x = service.get();
            auto holder = std::make_shared<exec_job*>(nullptr);
            auto job = std::make_shared<exec_job>(x->loop, *x->guard_process, x->options, info,
                                                  std::move(*args), std::move(callbacks),
                                                  [x, holder] { x->gone(*holder); });
            *holder = job.get();
            x->post([x, job] { x->admit(job); });
            const auto end_waiting = [x, job] {
              if (!x->unqueue(job)) {
                return false;
              }
              job->end_unstarted();
              return true;
            };
            return std::make_unique<exec_run>(
              [service](std::function<void()> work) { service->post(std::move(work)); },
              [job, end_waiting] { end_waiting() ? void() : job->cancel(); },
              [job, end_waiting] { end_waiting() ? void() : job->kill_now(); },
              [job, end_waiting] { end_waiting() ? void() : job->drop(); });
          }};
}

} // namespace belay::running
