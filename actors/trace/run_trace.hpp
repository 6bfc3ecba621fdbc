// The spans of one run: itself, and the steps and calls of a workflow.
#pragma once

#include "actors/trace/tracer.hpp"
#include "messages/operations.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace belay::tracing {

/// A run is what one claim leads to: an attempt, or of a workflow that parks a stretch of one. Its
/// span is written when it has ended and the registry knows; of one whose lease is lost the
/// registry writes it.
///
/// **Concurrency.** A value; copies may be used by several threads.
class run_trace {
public:
  /// Without traces.
  run_trace() = default;
  /// `by` may be none: then only the trace context is handed on, as it is.
  run_trace(std::shared_ptr<const tracer> by, const claimed& row, const registration& what);

  /// What programs and processes that the run starts are told; empty when it is in no trace.
  [[nodiscard]] const std::string& traceparent() const {
    return traceparent_;
  }

  /// Marks the start.
  void begin();
  /// Marks the end; else that is when the span is written.
  void over();
  /// Writes the span of a run that ended with an outcome; `next` says whether another attempt
  /// follows.
  void ended(const outcome& result, bool retried);
  /// Writes the span of one that ended without: "parked", "released", "stopped".
  void ended(const std::string& how);

  /// Begins a span inside the run; `key` tells those of one name apart. Nothing when the run has
  /// none.
  [[nodiscard]] std::optional<span>
  begin_part(const std::string& name, const std::string& of, const std::string& key) const;
  /// Writes it. `why`: of one that failed.
  void end_part(std::optional<span> part, bool failed, const std::string& why) const;
  /// What a program is told that runs as a part.
  [[nodiscard]] std::string traceparent(const std::optional<span>& part) const;
  /// For the engine: called with name and number of a step that begins; what it returns is called
  /// when it has ended. Empty when there is nothing to write.
  [[nodiscard]] std::function<std::function<void(bool failed)>(const std::string&, std::uint64_t)>
  step_watch() const;

private:
  void write();

  /// None when nothing is to be written.
  std::shared_ptr<const tracer> by_;
  std::string traceparent_;
  process_id id_;
  fencing_token fence_{};
  span run_;
};

/// The attributes that every span of a process has.
[[nodiscard]] std::vector<attribute>
attributes_of(const process_id& id, const std::string& kind, const std::string& queue);

/// The attributes of the span of a run.
[[nodiscard]] std::vector<attribute> attributes_of(const claimed& row, const registration& what);

} // namespace belay::tracing
