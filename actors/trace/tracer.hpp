// What actors ask of tracing. Those who have none do nothing.
#pragma once

#include "actors/trace/context.hpp"
#include "actors/trace/options.hpp"
#include "actors/trace/span.hpp"

#include <functional>
#include <memory>

namespace belay::tracing {

/// Where a process stands in its trace.
struct process_trace {
  /// Its trace; the span in it is the caller's, if the process was registered in one.
  context around;
  /// The span of its registration, which all others of it hang on.
  std::string register_span;
};

/// **Concurrency.** Any thread.
class tracer {
public:
  /// `ratio`: of the processes without a trace context. `now_ns`: since 1970, never goes back.
  tracer(double ratio, std::function<void(const span&)> add, std::function<std::int64_t()> now_ns)
    : ratio_{ratio}, add_{std::move(add)}, now_ns_{std::move(now_ns)} {}

  /// Never blocks.
  void add(const span& x) const {
    add_(x);
  }

  [[nodiscard]] std::int64_t now_ns() const {
    return now_ns_();
  }

  /// Returns the trace of a process; one is made where `traceparent` is empty.
  [[nodiscard]] process_trace
  trace_of(const process_id& id, row_id row, const std::string& traceparent) const;

private:
  double ratio_;
  std::function<void(const span&)> add_;
  std::function<std::int64_t()> now_ns_;
};

/// Makes the tracer of a node; none when traces are off. Throws `std::invalid_argument`, which
/// names the setting, when file or endpoint cannot be used.
[[nodiscard]] std::shared_ptr<const tracer>
make_tracer(const options& opts, const std::string& node);

} // namespace belay::tracing
