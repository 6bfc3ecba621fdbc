// Takes spans from anywhere without making anybody wait, and writes them in batches.
#pragma once

#include "actors/trace/sink.hpp"
#include "actors/trace/span.hpp"
#include "messages/ids.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

namespace belay::tracing {

/// See `options`.
struct export_policy {
  std::size_t queue_max = 10'000;
  std::size_t batch_max = 512;
  duration_ms flush_interval_ms = 1'000;
  std::uint32_t retries = 5;
  duration_ms retry_min_ms = 500;
  duration_ms retry_max_ms = 5'000;
  duration_ms shutdown_timeout_ms = 5'000;
};

/// **Concurrency.** `add` may be called from any thread and takes a mutex for a moment. A thread of
/// its own writes.
///
/// **Limitations.** Spans are not data: what finds the queue full, or a sink that does not take it,
/// is dropped, counted and logged now and then.
class exporter {
public:
  exporter(std::unique_ptr<sink> to, resource whose, export_policy policy);
  /// Writes what is left, for `shutdown_timeout_ms` at most.
  ~exporter();
  exporter(const exporter&) = delete;
  exporter& operator=(const exporter&) = delete;

  void add(const span& x);

  /// Spans that were dropped.
  [[nodiscard]] std::uint64_t dropped() const {
    return dropped_;
  }

private:
  void serve();
  /// Waits for something to write; empty once there is nothing and nothing will come.
  [[nodiscard]] std::vector<span> next();
  void write(const std::vector<span>& batch);
  /// Waits before another try; returns false when there is to be none.
  [[nodiscard]] bool pause(std::uint32_t tries);
  [[nodiscard]] bool out_of_time();
  void lose(std::size_t count, const std::string& why);

  std::unique_ptr<sink> sink_;
  resource whose_;
  export_policy policy_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<span> queue_;
  bool stopping_ = false;
  /// While stopping: when to leave the rest.
  std::chrono::steady_clock::time_point deadline_;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::atomic<std::uint64_t> losses_ = 0;
  std::thread thread_;
};

} // namespace belay::tracing
