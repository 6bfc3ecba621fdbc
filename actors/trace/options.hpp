// What a node is told about traces: the `[trace]` section of the configuration.
#pragma once

#include "messages/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace belay::tracing {

struct options {
  /// Spans are appended here, as OTLP JSON lines. Empty: to no file.
  std::filesystem::path file;
  /// The file is renamed to FILE.1 before it would grow beyond this many bytes.
  std::uint64_t file_bytes_max = 64U << 20;
  /// Spans are posted there, as in http://127.0.0.1:4318/v1/traces. Empty: nowhere.
  std::string endpoint;
  /// How many of the processes without a trace context get a trace, 0 to 1.
  double sample = 1.0;
  /// Spans that wait to be written; more are dropped. For file and endpoint each.
  std::size_t queue_max = 10'000;
  /// Most spans in one line or request.
  std::size_t batch_max = 512;
  /// How long a span waits for others to be written with.
  duration_ms flush_interval_ms = 1'000;
  /// Of one request to the endpoint.
  duration_ms timeout_ms = 10'000;
  /// How often a request that failed is made again, and the first and longest pause before that.
  std::uint32_t retries = 5;
  duration_ms retry_min_ms = 500;
  duration_ms retry_max_ms = 5'000;
  /// Time to write what is left when the node stops.
  duration_ms shutdown_timeout_ms = 5'000;

  [[nodiscard]] bool is_on() const {
    return !file.empty() || !endpoint.empty();
  }
};

} // namespace belay::tracing
