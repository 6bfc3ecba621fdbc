// A bounded pool of threads for code that may block: tool functions and the code of workflows.
#pragma once

#include "messages/ids.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace belay::running {

/// Code that was told to stop and has not returned.
struct stuck_code {
  process_id id;
  /// How long it has been so.
  duration_ms length_ms = 0;
};

/// Threads are made when needed. One that is stuck does not count: another may take its place, up
/// to as many again as the pool has; beyond that work waits.
///
/// Concurrency: may be used from any thread.
class work_pool {
public:
  /// Code for one process on its way through the pool. Shared by the one who waits for it and the
  /// thread that runs it.
  class ticket;
  using ticket_ptr = std::shared_ptr<ticket>;

  explicit work_pool(std::size_t threads_max);
  /// Waits a second for what runs; what does not return is left behind, with what it needs.
  ~work_pool();
  work_pool(const work_pool&) = delete;
  work_pool& operator=(const work_pool&) = delete;

  /// Runs `code` on a thread, soon. The ticket tells what became of it; `id` is for people.
  ticket_ptr submit(process_id id, std::function<void()> code);

  /// Says that nobody waits for this code any more. When it runs it is stuck from now on, until it
  /// returns; when it does not run yet it never will.
  static void abandon(const ticket_ptr& x);

  [[nodiscard]] std::vector<stuck_code> stuck() const;

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace belay::running
