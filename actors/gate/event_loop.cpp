#include "actors/gate/event_loop.hpp"

#include <csignal>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

namespace belay::gates {

struct event_loop::impl {
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

  void serve() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
  }

  std::mutex mutex;
  std::deque<std::function<void()>> queue;
  bool closed = false;
  uv_loop_t loop{};
  uv_async_t wake{};
  std::thread thread;
};

event_loop::event_loop() : impl_{std::make_shared<impl>()} {
  auto& x = *impl_;
  if (const auto fault = uv_loop_init(&x.loop); fault != 0) {
    throw std::runtime_error{std::string{"cannot make an event loop: "} + uv_strerror(fault)};
  }
  const auto fault = uv_async_init(
    &x.loop, &x.wake, [](uv_async_t* handle) { static_cast<impl*>(handle->data)->run_posted(); });
  if (fault != 0) {
    uv_loop_close(&x.loop);
    throw std::runtime_error{std::string{"cannot make an event loop: "} + uv_strerror(fault)};
  }
  x.wake.data = &x;
  x.thread = std::thread{[&x] { x.serve(); }};
}

event_loop::~event_loop() {
  impl_->post([x = impl_.get()] {
    {
      const std::lock_guard guard{x->mutex};
      x->closed = true;
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&x->wake), nullptr);
  });
  impl_->thread.join();
  uv_loop_close(&impl_->loop);
}

void event_loop::post(std::function<void()> work) {
  impl_->post(std::move(work));
}

std::function<void(std::function<void()>)> event_loop::poster() const {
  return [x = impl_](std::function<void()> work) { x->post(std::move(work)); };
}

uv_loop_t* event_loop::get() const {
  return &impl_->loop;
}

} // namespace belay::gates
