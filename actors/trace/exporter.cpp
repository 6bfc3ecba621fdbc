#include "actors/trace/exporter.hpp"

#include "actors/component.hpp"
#include "actors/log.hpp"
#include "actors/thinning.hpp"

#include <algorithm>
#include <csignal>

namespace belay::tracing {

namespace {} // namespace

exporter::exporter(std::unique_ptr<sink> to, resource whose, export_policy policy)
  : sink_{std::move(to)}, whose_{std::move(whose)}, policy_{policy} {
  // Signals are for the program's other threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread{[this] { serve(); }};
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

exporter::~exporter() {
  {
    const std::lock_guard guard{mutex_};
    stopping_ = true;
    deadline_
      = std::chrono::steady_clock::now() + std::chrono::milliseconds{policy_.shutdown_timeout_ms};
  }
  changed_.notify_all();
  thread_.join();
}

void exporter::add(const span& x) {
  {
    const std::lock_guard guard{mutex_};
    if (queue_.size() < policy_.queue_max) {
      queue_.push_back(x);
      if (queue_.size() == 1 || queue_.size() == policy_.batch_max) {
        changed_.notify_all();
      }
      return;
    }
  }
  lose(1, "the queue is full (trace.queue_max)");
}

std::vector<span> exporter::next() {
  std::unique_lock guard{mutex_};
  changed_.wait(guard, [this] { return stopping_ || !queue_.empty(); });
  changed_.wait_for(guard, std::chrono::milliseconds{policy_.flush_interval_ms},
                    [this] { return stopping_ || queue_.size() >= policy_.batch_max; });
  const auto count = std::min(queue_.size(), policy_.batch_max);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<span> batch{std::make_move_iterator(queue_.begin()), std::make_move_iterator(end)};
  queue_.erase(queue_.begin(), end);
  return batch;
}

void exporter::serve() {
  for (auto batch = next(); !batch.empty(); batch = next()) {
    if (out_of_time()) {
      const std::lock_guard guard{mutex_};
      const auto left = batch.size() + queue_.size();
      queue_.clear();
      lose(left, "the node stops (trace.shutdown_timeout)");
      return;
    }
    write(batch);
  }
}

void exporter::write(const std::vector<span>& batch) {
  const auto line = to_otlp_json(whose_, batch);
  for (std::uint32_t tries = 0;; ++tries) {
    const auto result = sink_->write(line, [this] { return out_of_time(); });
    if (result.what == delivery::done) {
      return;
    }
    if (result.what == delivery::refused || tries >= policy_.retries || !pause(tries)) {
      lose(batch.size(), result.why);
      return;
    }
  }
}

bool exporter::pause(std::uint32_t tries) {
  constexpr std::uint32_t doublings_max = 20;
  const auto length
    = std::min(policy_.retry_min_ms << std::min(tries, doublings_max), policy_.retry_max_ms);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{length};
  std::unique_lock guard{mutex_};
  if (!stopping_) {
    changed_.wait_until(guard, until, [this] { return stopping_; });
  }
  if (!stopping_) {
    return true;
  }
  // The last tries come at their time, too, but not after the end.
  if (until >= deadline_) {
    return false;
  }
  changed_.wait_until(guard, until, [] { return false; });
  return true;
}

bool exporter::out_of_time() {
  const std::lock_guard guard{mutex_};
  return stopping_ && std::chrono::steady_clock::now() >= deadline_;
}

void exporter::lose(std::size_t count, const std::string& why) {
  dropped_ += count;
  const auto times = ++losses_;
  if (actors::is_logged(times)) {
    log::warn(component::trace, "spans.dropped",
              {{"to", sink_->name()}, {"why", why}, {"dropped", dropped_.load()}, {"times", times}},
              "spans could not be written and are gone; the node goes on");
  }
}

} // namespace belay::tracing
