// Blocking tool functions: what they see, and how their ends are told.
#include "actors/running/tool.hpp"
#include "actors/workflow/failure.hpp"

#include <condition_variable>
#include <mutex>

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

  void progress(const nlohmann::json& status) override {
    const std::lock_guard guard{mutex_};
    if (!finished_ && callbacks_.status) {
      callbacks_.status(status.dump());
    }
  }

  std::string attach(std::string bytes, std::string name) override {
    attachment x{"sha256:" + hash_hex(bytes), std::move(name), std::move(bytes)};
    auto ref = x.ref;
    const std::lock_guard guard{mutex_};
    if (!finished_ && callbacks_.attach) {
      callbacks_.attach(std::move(x));
    }
    return ref;
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
    } catch (...) {
      finish(workflows::outcome_of(std::current_exception()));
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

namespace {

class blocking_run : public tool_run {
public:
  blocking_run(std::shared_ptr<blocking_call> call, work_pool::ticket_ptr ticket)
    : call_{std::move(call)}, ticket_{std::move(ticket)} {}

  ~blocking_run() override {
    call_->cancel();
    call_->finish(make_cancelled("dropped"), false);
    work_pool::abandon(ticket_);
  }

  void cancel() override {
    call_->cancel();
  }

  void kill() override {
    call_->cancel();
    call_->finish(make_cancelled("killed; the function was left behind"));
    work_pool::abandon(ticket_);
  }

private:
  std::shared_ptr<blocking_call> call_;
  work_pool::ticket_ptr ticket_;
};

} // namespace

tool_threads::tool_threads(std::size_t threads_max)
  : pool_{std::make_shared<work_pool>(threads_max)} {}

tool_start tool_threads::blocking(tool_function function) {
  auto shared = std::make_shared<const tool_function>(std::move(function));
  return [pool = pool_, shared](const run_info& info, const nlohmann::json& args,
                                run_callbacks callbacks) -> std::unique_ptr<tool_run> {
    auto call = std::make_shared<blocking_call>(info, args, std::move(callbacks));
    auto ticket = pool->submit(info.id, [call, shared] { call->run(*shared); });
    return std::make_unique<blocking_run>(std::move(call), std::move(ticket));
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
