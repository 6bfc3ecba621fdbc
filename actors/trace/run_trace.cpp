#include "actors/trace/run_trace.hpp"

#include <utility>

namespace belay::tracing {

std::vector<attribute>
attributes_of(const process_id& id, const std::string& kind, const std::string& queue) {
  return {{"belay.process.id", id}, {"belay.kind", kind}, {"belay.queue", queue}};
}

std::vector<attribute> attributes_of(const claimed& row, const registration& what) {
  auto all = attributes_of(row.held.id, what.kind, what.queue);
  all.emplace_back("belay.attempt", std::int64_t{row.attempt});
  all.emplace_back("belay.fence", static_cast<std::int64_t>(row.held.fence));
  all.emplace_back("belay.owner", row.held.holder.name);
  return all;
}

run_trace::run_trace(std::shared_ptr<const tracer> by, const claimed& row, const registration& what)
  : traceparent_{as_version_00(row.traceparent)}, id_{row.held.id}, fence_{row.held.fence} {
  if (!by) {
    return;
  }
  auto trace = by->trace_of(id_, row.held.row, row.traceparent);
  run_.trace_id = trace.around.trace_id;
  run_.span_id = derive_span_id(run_.trace_id, id_, fence_, "run");
  if (trace.around.sampled) {
    by_ = std::move(by);
    run_.parent_id = std::move(trace.register_span);
    run_.name = "run";
    run_.kind = span_kind::consumer;
    run_.attributes = attributes_of(row, what);
  }
  if (trace.around.sampled || row.traceparent.empty()) {
    traceparent_ = to_traceparent({run_.trace_id, run_.span_id, trace.around.sampled});
  }
}

void run_trace::begin() {
  if (by_) {
    run_.start_ns = by_->now_ns();
  }
}

void run_trace::over() {
  if (by_) {
    run_.end_ns = by_->now_ns();
  }
}

void run_trace::write() {
  const auto by = std::exchange(by_, nullptr); // Once.
  if (run_.start_ns != 0) {
    run_.end_ns = run_.end_ns != 0 ? run_.end_ns : by->now_ns();
    by->add(run_);
  }
}

void run_trace::ended(const outcome& result, bool retried) {
  if (!by_) {
    return;
  }
  run_.attributes.emplace_back("belay.outcome", to_string(result.kind));
  if (result.kind == outcome_kind::failure) {
    run_.failed = true;
    run_.message = result.message;
    run_.attributes.emplace_back("belay.failure.class", to_string(result.failed));
    run_.attributes.emplace_back("belay.failure.code", result.code);
    run_.attributes.emplace_back("belay.retried", retried);
  }
  write();
}

void run_trace::ended(const std::string& how) {
  if (by_) {
    run_.attributes.emplace_back("belay.outcome", how);
    write();
  }
}

std::optional<span> run_trace::begin_part(const std::string& name, const std::string& of,
                                          const std::string& key) const {
  if (!by_) {
    return std::nullopt;
  }
  span part;
  part.trace_id = run_.trace_id;
  part.span_id = derive_span_id(run_.trace_id, id_, fence_, name + "/" + key);
  part.parent_id = run_.span_id;
  part.name = name;
  part.attributes = {{"belay.process.id", id_}, {"belay." + name, of}};
  part.start_ns = by_->now_ns();
  return part;
}

void run_trace::end_part(std::optional<span> part, bool failed, const std::string& why) const {
  if (part && by_) {
    part->failed = failed;
    part->message = why;
    part->end_ns = by_->now_ns();
    by_->add(*part);
  }
}

std::string run_trace::traceparent(const std::optional<span>& part) const {
  return part ? to_traceparent({part->trace_id, part->span_id, true}) : traceparent_;
}

std::function<std::function<void(bool failed)>(const std::string&, std::uint64_t)>
run_trace::step_watch() const {
  if (!by_) {
    return nullptr;
  }
  // A copy: code that is left behind may outlive the process actor.
  return [run = *this](const std::string& name, std::uint64_t number) {
    return [run, part = run.begin_part("step", name, std::to_string(number))](bool failed) {
      run.end_part(part, failed, "");
    };
  };
}

} // namespace belay::tracing
