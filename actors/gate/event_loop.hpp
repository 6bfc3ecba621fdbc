// A libuv loop in a thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <uv.h>

namespace belay::gates {

/// Runs until it is destroyed and the last handle on it is closed.
///
/// Concurrency: `post` from any thread; everything else of the loop only on its own thread.
class event_loop {
public:
  /// Throws `std::runtime_error` when the system has no descriptors left.
  event_loop();
  /// Waits for the thread. Requires that what was posted closes every handle; not on the loop.
  ~event_loop();
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  /// Runs something on the loop's thread, soon; dropped when the loop has ended.
  void post(std::function<void()> work);

  /// Returns `post` for threads that may outlive the loop.
  [[nodiscard]] std::function<void(std::function<void()>)> poster() const;

  [[nodiscard]] uv_loop_t* get() const;

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace belay::gates
