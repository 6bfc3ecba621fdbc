#include "app/wiring.hpp"

#include "app/node_file.hpp"
#include "app/version.hpp"

namespace belay::app {

namespace {

template <class Number>
Number as(std::int64_t value) {
  return static_cast<Number>(value); // The table of keys keeps every value within its bounds.
}

} // namespace

tool_shop::tool_shop(const configuration& settings, const tool_adder& extra)
  : threads_{std::make_shared<running::tool_threads>(
    as<std::size_t>(settings.worker_tool_threads))},
    exec_{std::make_shared<running::exec_service>(running::exec_options{
      settings.exec_allow, as<std::size_t>(settings.exec_capture_max),
      as<std::size_t>(settings.exec_stdin_max), as<std::size_t>(settings.exec_running_max)})},
    tools_{std::make_shared<running::toolbox>()} {
  tools_->add(exec_->as_tool());
  running::add_small_tools(*tools_, *threads_);
  if (extra) {
    extra(*tools_, *threads_);
  }
}

tool_shop::~tool_shop() = default;

std::shared_ptr<const running::toolbox> tool_shop::tools() const {
  return tools_;
}

std::function<std::vector<running::stuck_code>()> tool_shop::stuck() const {
  return [threads = threads_] { return threads->stuck(); };
}

actors::runtime_options
make_runtime_options(const configuration& settings, const std::filesystem::path& directory,
                     std::shared_ptr<const running::toolbox> tools) {
  actors::runtime_options x;
  x.name = settings.node_name;
  x.tools = std::move(tools);
  x.store.directory = directory;
  x.store.size_max_bytes = as<std::uint64_t>(settings.store_size_max);
  x.store.ballast_bytes = as<std::uint64_t>(settings.store_ballast);
  x.store.free_min_bytes = as<std::uint64_t>(settings.store_free_min);
  x.store.inline_bytes_max = as<std::size_t>(settings.store_inline_max);
  x.store.names_max = as<std::uint32_t>(settings.store_names_max);
  x.store.interruptions_max = as<std::uint32_t>(settings.worker_interruptions_max);
  x.store.events_max = as<std::uint64_t>(settings.store_events_max);
  x.store.event_bytes_max = as<std::size_t>(settings.store_event_max);
  x.store.outcome_bytes_max = as<std::size_t>(settings.store_outcome_max);
  x.store.wakes_max = as<std::uint64_t>(settings.store_wakes_max);
  x.store.wake_attempts_max = as<std::uint32_t>(settings.store_wake_attempts_max);
  x.store.wake_age_max = settings.store_wake_age_max;
  x.retention = {settings.retention_success,
                 settings.retention_failure,
                 settings.retention_cancelled,
                 settings.retention_abandoned,
                 settings.retention_tombstone,
                 as<std::uint64_t>(settings.retention_bytes_max),
                 as<std::uint32_t>(settings.retention_batch)};
  x.store.registration.id_bytes_max = as<std::size_t>(settings.registration_id_max);
  x.store.registration.input_bytes_max = as<std::size_t>(settings.registration_input_max);
  x.store.registration.labels_max = as<std::size_t>(settings.registration_labels_max);
  x.store.holder = "belay node '" + settings.node_name + "'";
  x.batch_ops_max = as<std::size_t>(settings.registry_batch_ops_max);
  x.batch_bytes_max = as<std::size_t>(settings.registry_batch_bytes_max);
  x.register_max = as<std::size_t>(settings.registration_batch_max);
  x.readers = as<std::size_t>(settings.registry_readers);
  x.ttl_ms = settings.lease_ttl;
  x.renew_interval_ms = settings.lease_renew_interval;
  x.slots = as<std::uint32_t>(settings.worker_slots);
  x.queues = settings.worker_queues;
  x.offer = settings.worker_offer;
  x.link = {settings.cluster_heartbeat_interval, settings.cluster_timeout};
  x.link_grace_ms = settings.cluster_link_grace;
  x.reconnect_min_ms = settings.cluster_reconnect_min;
  x.reconnect_max_ms = settings.cluster_reconnect_max;
  x.cancel_grace_ms = settings.worker_cancel_grace;
  x.safety_sweep_ms = settings.worker_safety_sweep;
  x.store.journal_max = as<std::uint64_t>(settings.workflow_journal_max);
  x.store.status_bytes_max = as<std::size_t>(settings.store_status_max);
  x.store.attachment_bytes_max = as<std::size_t>(settings.store_attachment_max);
  x.store.attachments_max = as<std::uint64_t>(settings.store_attachments_max);
  x.park_after_ms = settings.workflow_park_after;
  x.effects = settings.workflow_effects == "durable" ? durability::durable : durability::in_memory;
  x.workflow_threads = as<std::size_t>(settings.workflow_threads);
  x.waiting_max = as<std::uint32_t>(settings.workflow_waiting_max);
  x.journal_max = as<std::size_t>(settings.workflow_journal_max);
  x.children_max = as<std::size_t>(settings.workflow_children_max);
  x.result_bytes_max = as<std::size_t>(settings.workflow_result_max);
  x.waiters_max = as<std::size_t>(settings.watch_waiters_max);
  x.wait_ms_max = settings.watch_wait_max;
  x.address = settings.node_address;
  x.port = as<std::uint16_t>(settings.node_port);
  x.tls = settings.node_tls;
  x.plain_anywhere = settings.cluster_insecure;
  x.message_max = as<std::uint64_t>(settings.cluster_message_max);
  x.connections_max = as<std::size_t>(settings.cluster_connections_max);
  x.handshake_timeout_ms = settings.cluster_handshake_timeout;
  x.drain_timeout_ms = settings.node_drain_timeout;
  if (!settings.metrics_listen.empty()) {
    const auto at = parse_listen(settings.metrics_listen); // Checked with the settings.
    x.metrics.is_on = true;
    x.metrics.commit = commit();
    x.metrics.http.address = at->host;
    x.metrics.http.port = at->port;
  }
  x.metrics.http.connections_max = as<std::size_t>(settings.metrics_connections_max);
  x.metrics.http.threads = as<std::size_t>(settings.metrics_threads);
  x.metrics.http.request_bytes_max = as<std::size_t>(settings.metrics_request_max);
  x.metrics.http.timeout_ms = settings.metrics_timeout;
  x.metrics.names_max = as<std::size_t>(settings.metrics_names_max);
  x.metrics.ready_within_ms = settings.metrics_ready_within;
  x.trace.file = settings.trace_file;
  x.trace.file_bytes_max = as<std::uint64_t>(settings.trace_file_max);
  x.trace.endpoint = settings.trace_endpoint;
  x.trace.sample = settings.trace_sample;
  x.trace.queue_max = as<std::size_t>(settings.trace_queue_max);
  x.trace.batch_max = as<std::size_t>(settings.trace_batch_max);
  x.trace.flush_interval_ms = settings.trace_flush_interval;
  x.trace.timeout_ms = settings.trace_timeout;
  x.trace.retries = as<std::uint32_t>(settings.trace_retries);
  x.trace.retry_min_ms = settings.trace_retry_min;
  x.trace.retry_max_ms = settings.trace_retry_max;
  x.trace.shutdown_timeout_ms = settings.trace_shutdown_timeout;
  return x;
}

} // namespace belay::app
