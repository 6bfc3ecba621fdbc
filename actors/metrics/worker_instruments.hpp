// What a worker counts of its work, at the event.
#pragma once

#include "actors/metrics/exposition.hpp"
#include "messages/ids.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace belay::metrics {

/// How a run ended on its worker.
enum class run_end : std::uint8_t {
  success,
  failure,
  cancelled,
  /// A failure that the registry answered with another attempt.
  retried,
  /// A workflow that waits, without a worker.
  parked,
  /// Given back before its end, by a drain.
  released,
  /// The lease was lost.
  lost,
  /// The worker ended without a drain.
  stopped,
};

/// docs/METRICS.md says what each metric means.
///
/// Concurrency: every member from any thread.
class worker_instruments {
public:
  using duration = std::chrono::nanoseconds;

  /// `kinds` are those that the worker can run: looked up without a lock.
  worker_instruments(std::shared_ptr<exposition> to, const std::vector<std::string>& kinds);
  ~worker_instruments();
  worker_instruments(const worker_instruments&) = delete;
  worker_instruments& operator=(const worker_instruments&) = delete;

  /// The instruments of one kind; valid as long as this.
  struct kind_set;
  [[nodiscard]] kind_set& of(const std::string& kind);

  /// A run begins, so long after its claim.
  static void run_begins(kind_set& of, duration_ms after_claim);
  static void run_ended(kind_set& of, run_end how, duration length);

  void slots(std::uint32_t total, std::uint32_t used, std::uint32_t waiting);
  void enlisted(bool is, bool draining);
  /// A lease was renewed, so long after that was due.
  void renewed(duration lag);
  void renewal_failed();
  void lease_lost();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay::metrics
