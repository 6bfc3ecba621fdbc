#include "actors/trace/tracer.hpp"

#include "actors/machine.hpp"
#include "actors/trace/exporter.hpp"
#include "actors/trace/file_sink.hpp"
#include "actors/trace/http_sink.hpp"
#include "messages/membership.hpp"

#include <chrono>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace belay::tracing {

namespace {

/// The wall clock at construction, and from then on the steady one: no span ends before it began.
class span_clock {
public:
  std::int64_t operator()() const {
    return base_ + since(start_);
  }

private:
  static std::int64_t since(std::chrono::steady_clock::time_point start) {
    return std::chrono::nanoseconds{std::chrono::steady_clock::now() - start}.count();
  }

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::int64_t base_
    = std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count();
};

resource resource_of(const std::string& node) {
  return {{"service.name", "belay"},
          {"service.version", program_version},
          {"service.instance.id", node},
          {"host.name", actors::host_name()},
          {"process.pid", std::int64_t{getpid()}}};
}

export_policy policy_of(const options& x) {
  return {x.queue_max,    x.batch_max,    x.flush_interval_ms,  x.retries,
          x.retry_min_ms, x.retry_max_ms, x.shutdown_timeout_ms};
}

std::unique_ptr<sink> open_file(const options& x) {
  try {
    return std::make_unique<file_sink>(x.file, x.file_bytes_max);
  } catch (const std::system_error& no) {
    throw std::invalid_argument{"trace.file: '" + x.file.string()
                                + "' cannot be written: " + no.code().message()};
  }
}

} // namespace

process_trace
tracer::trace_of(const process_id& id, row_id row, const std::string& traceparent) const {
  process_trace x;
  if (auto given = parse_traceparent(traceparent)) {
    x.around = std::move(*given);
  } else {
    x.around.trace_id = derive_trace_id(id, row);
    x.around.sampled = is_sampled(x.around.trace_id, ratio_);
  }
  x.register_span = derive_span_id(x.around.trace_id, id, fencing_token{0}, "register");
  return x;
}

std::shared_ptr<const tracer> make_tracer(const options& opts, const std::string& node) {
  if (!opts.is_on()) {
    return nullptr;
  }
  std::vector<std::shared_ptr<exporter>> to;
  const auto whose = resource_of(node);
  const auto policy = policy_of(opts);
  if (!opts.file.empty()) {
    to.push_back(std::make_shared<exporter>(open_file(opts), whose, policy));
  }
  if (!opts.endpoint.empty()) {
    if (const auto no = check_endpoint(opts.endpoint)) {
      throw std::invalid_argument{"trace.endpoint: " + no->text};
    }
    to.push_back(std::make_shared<exporter>(
      std::make_unique<http_sink>(opts.endpoint, opts.timeout_ms), whose, policy));
  }
  return std::make_shared<const tracer>(
    opts.sample,
    [to = std::move(to)](const span& x) {
      for (const auto& one : to) {
        one->add(x);
      }
    },
    span_clock{});
}

} // namespace belay::tracing
