// A span, and how it is written: OpenTelemetry's OTLP in its JSON form.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace belay::tracing {

using attribute = std::pair<std::string, std::variant<std::string, std::int64_t, bool>>;

/// As numbered by opentelemetry-proto (trace.proto, `SpanKind`).
enum class span_kind : std::uint8_t { internal = 1, producer = 4, consumer = 5 };

struct span_link {
  std::string trace_id;
  std::string span_id;
};

/// Something that took time. Ids are lower-case hex, times nanoseconds since 1970.
struct span {
  std::string trace_id;
  std::string span_id;
  /// Empty at the root.
  std::string parent_id;
  std::string name;
  span_kind kind = span_kind::internal;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::vector<attribute> attributes;
  std::vector<span_link> links;
  bool failed = false;
  /// Of one that failed: why, for people.
  std::string message;
};

/// Whose spans they are.
using resource = std::vector<attribute>;

/// Renders an `ExportTraceServiceRequest` as one line of JSON without its end: ids in hex, 64-bit
/// numbers as texts, enums as numbers (the OTLP specification, "JSON Protobuf Encoding"). Broken
/// UTF-8 is replaced.
[[nodiscard]] std::string to_otlp_json(const resource& whose, std::span<const span> spans);

} // namespace belay::tracing
