// A bounded pool of threads for blocking tool functions.
#include "actors/running/tool.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace belay::running {

namespace {

/// One call of a function: shared by its handle, its thread and the context it sees.
class blocking_call : public tool_context {
public:
  blocking_call(run_info info, nlohmann::json args, run_callbacks callbacks)
    : info_{std::move(info)}, args_(std::move(args)), callbacks_{std::move(callbacks)} {}

  [[nodiscard]] const run_info& info() const override {
    return info_;
  }

  [[nodiscard]] bool cancelled() const override {
    const std::lock_guard guard{mutex_};
    return cancelled_;
  }

  bool wait_for(std::chrono::milliseconds length) override {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, length, [this] { return cancelled_; });
    return !cancelled_;
  }

  void emit(std::string type, const nlohmann::json& payload) override {
    const std::lock_guard guard{mutex_};
    if (!finished_ && callbacks_.emit) {
      callbacks_.emit(std::move(type), payload.dump());
    }
  }

  void cancel() {
    const std::lock_guard guard{mutex_};
    cancelled_ = true;
    changed_.notify_all();
  }

  /// Says how it ended; only the first word counts. `tell` false: nobody listens any more.
  void finish(outcome result, bool tell = true) {
    const std::lock_guard guard{mutex_};
    if (finished_) {
      return;
    }
    finished_ = true;
    if (tell && callbacks_.finished) {
      callbacks_.finished(std::move(result));
    }
    callbacks_ = {};
  }

  void run(const tool_function& function) {
    if (cancelled()) {
      finish(make_cancelled("cancelled before it began"));
      return;
    }
    try {
      finish(function(*this, args_));
    } catch (const std::exception& x) {
      finish(make_failure(failure_class::execution, "exception", x.what(), false));
    } catch (...) {
      finish(make_failure(failure_class::execution, "exception", "unknown exception", false));
    }
  }

private:
  run_info info_;
  nlohmann::json args_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  run_callbacks callbacks_;
  bool cancelled_ = false;
  bool finished_ = false;
};

} // namespace

struct tool_threads::impl : std::enable_shared_from_this<tool_threads::impl> {
  struct task {
    std::shared_ptr<blocking_call> call;
    std::shared_ptr<const tool_function> function;
  };

  void submit(task x) {
    const std::lock_guard guard{mutex};
    queue.push_back(std::move(x));
    if (idle == 0 && busy + idle < threads_max) {
      ++idle;
      std::thread{[self = shared_from_this()] { self->work(); }}.detach();
    } else {
      ready.notify_one();
    }
  }

  void work() {
    std::unique_lock guard{mutex};
    for (;;) {
      ready.wait(guard, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) {
        --idle;
        ended.notify_all();
        return;
      }
      auto next = std::move(queue.front());
      queue.pop_front();
      --idle;
      ++busy;
      guard.unlock();
      next.call->run(*next.function);
      next = {};
      guard.lock();
      --busy;
      ++idle;
    }
  }

  std::mutex mutex;
  std::condition_variable ready;
  std::condition_variable ended;
  std::deque<task> queue;
  std::size_t threads_max = 0;
  std::size_t idle = 0;
  std::size_t busy = 0;
  bool stopping = false;
};

namespace {

class blocking_run : public tool_run {
public:
  explicit blocking_run(std::shared_ptr<blocking_call> call) : call_{std::move(call)} {}

  ~blocking_run() override {
    call_->cancel();
    call_->finish(make_cancelled("dropped"), false);
  }

  void cancel() override {
    call_->cancel();
  }

  void kill() override {
    call_->cancel();
    call_->finish(make_cancelled("killed; the function was left behind"));
  }

private:
  std::shared_ptr<blocking_call> call_;
};

} // namespace

tool_threads::tool_threads(std::size_t threads_max) : impl_{std::make_shared<impl>()} {
  impl_->threads_max = std::max<std::size_t>(threads_max, 1);
}

tool_threads::~tool_threads() {
  // Functions that do not return are left behind; they hold the pool's state, not this object.
  constexpr std::chrono::seconds patience{1};
  std::unique_lock guard{impl_->mutex};
  impl_->stopping = true;
  impl_->ready.notify_all();
  impl_->ended.wait_for(guard, patience, [this] { return impl_->idle + impl_->busy == 0; });
}

tool_start tool_threads::blocking(tool_function function) {
  auto shared = std::make_shared<const tool_function>(std::move(function));
  return [pool = impl_, shared](const run_info& info, const nlohmann::json& args,
                                run_callbacks callbacks) -> std::unique_ptr<tool_run> {
    auto call = std::make_shared<blocking_call>(info, args, std::move(callbacks));
    pool->submit({call, shared});
    return std::make_unique<blocking_run>(std::move(call));
  };
}

void add_small_tools(toolbox& box, tool_threads& threads) {
  const auto schema = [](const char* text) { return nlohmann::json::parse(text); };
  box.add({"sleep", schema(R"({"type": "object", "required": ["ms"], "additionalProperties": false,
             "properties": {"ms": {"type": "integer", "minimum": 0, "maximum": 86400000}}})"),
           threads.blocking([](tool_context& context, const nlohmann::json& args) {
             const std::chrono::milliseconds length{args.at("ms").get<std::int64_t>()};
             if (!context.wait_for(length)) {
               return make_cancelled("woken by cancel");
             }
             return make_success(args.dump());
           })});
  box.add({"echo", schema(R"({"type": "object"})"),
           threads.blocking(
             [](tool_context&, const nlohmann::json& args) { return make_success(args.dump()); })});
  box.add({"fail", schema(R"({"type": "object", "additionalProperties": false, "properties": {
             "code": {"type": "string"}, "message": {"type": "string"},
             "retryable": {"type": "boolean"}, "times": {"type": "integer", "minimum": 0}}})"),
           threads.blocking([](tool_context& context, const nlohmann::json& args) {
             const auto times = args.value("times", std::uint64_t{UINT32_MAX});
             if (context.info().attempt > times) {
               return make_success(args.dump());
             }
             return make_failure(failure_class::execution, args.value("code", "failed"),
                                 args.value("message", "failed as asked"),
                                 args.value("retryable", false));
           })});
}

} // namespace belay::running
