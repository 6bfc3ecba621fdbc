#include "actors/running/work_pool.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

namespace belay::running {

namespace {

using steady = std::chrono::steady_clock;

} // namespace

class work_pool::ticket {
public:
  enum class phase { queued, running, over };

  std::weak_ptr<impl> pool;
  process_id id;
  std::function<void()> code;
  phase now = phase::queued;
};

struct work_pool::impl : std::enable_shared_from_this<work_pool::impl> {
  /// Requires the mutex.
  [[nodiscard]] bool may_grow() const {
    const auto beside = std::min(stuck.size(), threads_max);
    // Idle ones may have been woken for what waits already.
    return queue.size() > idle && busy + idle < threads_max + beside;
  }

  void submit(ticket_ptr x) {
    const std::lock_guard guard{mutex};
    queue.push_back(std::move(x));
    wake_one();
  }

  /// Requires the mutex.
  void wake_one() {
    if (may_grow()) {
      ++idle;
      try {
        std::thread{[self = shared_from_this()] { self->work(); }}.detach();
      } catch (const std::system_error&) {
        --idle;
        if (idle + busy == 0) {
          throw; // Else one of those takes it.
        }
      }
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
      if (next->now == ticket::phase::over) {
        continue;
      }
      next->now = ticket::phase::running;
      auto code = std::move(next->code);
      next->code = nullptr;
      --idle;
      ++busy;
      guard.unlock();
      code();
      code = nullptr;
      guard.lock();
      next->now = ticket::phase::over;
      stuck.erase(next.get());
      --busy;
      ++idle;
    }
  }

  mutable std::mutex mutex;
  std::condition_variable ready;
  std::condition_variable ended;
  std::deque<ticket_ptr> queue;
  std::map<const ticket*, std::pair<process_id, steady::time_point>> stuck;
  std::size_t threads_max = 0;
  std::size_t idle = 0;
  std::size_t busy = 0;
  bool stopping = false;
};

work_pool::work_pool(std::size_t threads_max) : impl_{std::make_shared<impl>()} {
  impl_->threads_max = std::max<std::size_t>(threads_max, 1);
}

work_pool::~work_pool() {
  constexpr std::chrono::seconds patience{1};
  std::unique_lock guard{impl_->mutex};
  impl_->stopping = true;
  impl_->ready.notify_all();
  impl_->ended.wait_for(guard, patience, [this] { return impl_->idle + impl_->busy == 0; });
}

work_pool::ticket_ptr work_pool::submit(process_id id, std::function<void()> code) {
  auto x = std::make_shared<ticket>();
  x->pool = impl_;
  x->id = std::move(id);
  x->code = std::move(code);
  impl_->submit(x);
  return x;
}

void work_pool::abandon(const ticket_ptr& x) {
  const auto pool = x->pool.lock();
  if (!pool) {
    return;
  }
  std::function<void()> never_run; // Destroyed outside the lock.
  const std::lock_guard guard{pool->mutex};
  if (x->now == ticket::phase::running) {
    if (pool->stuck.emplace(x.get(), std::pair{x->id, steady::now()}).second
        && !pool->queue.empty()) {
      pool->wake_one();
    }
  } else if (x->now == ticket::phase::queued) {
    x->now = ticket::phase::over;
    never_run.swap(x->code);
  }
}

std::vector<stuck_code> work_pool::stuck() const {
  std::vector<stuck_code> result;
  const std::lock_guard guard{impl_->mutex};
  for (const auto& [x, what] : impl_->stuck) {
    const auto length
      = std::chrono::duration_cast<std::chrono::milliseconds>(steady::now() - what.second);
    result.push_back({what.first, length.count()});
  }
  return result;
}

} // namespace belay::running
