// Every setting of a node: one table says its name, default, unit and bounds.
#pragma once

#include "actors/log.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace belay::app {

/// The settings; conf/belay.toml explains each.
struct configuration {
  std::string node_name = "local";
  std::string node_address = "127.0.0.1";
  std::int64_t node_port = 0;
  std::string node_tls;
  duration_ms node_drain_timeout = 30'000;

  std::int64_t store_size_max = 64LL << 30;
  std::int64_t store_free_min = 64LL << 20;
  std::int64_t store_ballast = 16LL << 20;
  std::int64_t store_inline_max = 2'048;
  std::int64_t store_names_max = 10'000;
  std::int64_t store_events_max = 1'000'000;
  std::int64_t store_event_max = 65'536;
  std::int64_t store_outcome_max = 4LL << 20;

  std::int64_t store_status_max = 65'536;
  std::int64_t store_attachment_max = 2LL << 20;
  std::int64_t store_attachments_max = 1'000;
  std::int64_t store_wakes_max = 1'000'000;
  std::int64_t store_wake_attempts_max = 20;
  duration_ms store_wake_age_max = 7LL * 24 * 3'600'000;

  duration_ms retention_success = 0;
  duration_ms retention_failure = 0;
  duration_ms retention_cancelled = 0;
  duration_ms retention_abandoned = 0;
  duration_ms retention_tombstone = 0;
  std::int64_t retention_bytes_max = 0;
  std::int64_t retention_batch = 200;

  std::int64_t registry_batch_ops_max = 1'024;
  std::int64_t registry_batch_bytes_max = 8LL << 20;
  std::int64_t registry_readers = 2;

  std::int64_t registration_id_max = 256;
  std::int64_t registration_input_max = 1LL << 20;
  std::int64_t registration_labels_max = 32;
  std::int64_t registration_batch_max = 1'000;

  duration_ms lease_ttl = 30'000;
  duration_ms lease_renew_interval = 10'000;

  duration_ms cluster_heartbeat_interval = 500;
  duration_ms cluster_timeout = 5'000;
  duration_ms cluster_link_grace = 0;
  duration_ms cluster_reconnect_min = 50;
  std::int64_t cluster_message_max = 4LL << 20;
  std::int64_t cluster_connections_max = 1'024;
  duration_ms cluster_handshake_timeout = 5'000;
  bool cluster_insecure = false;
  duration_ms cluster_reconnect_max = 2'000;

  std::int64_t worker_slots = 64;
  std::vector<std::string> worker_queues;
  std::vector<std::string> worker_offer;
  duration_ms worker_cancel_grace = 10'000;
  std::int64_t worker_interruptions_max = 3;
  duration_ms worker_safety_sweep = 30'000;
  std::int64_t worker_tool_threads = 64;

  duration_ms workflow_park_after = 1'000;
  std::string workflow_effects = "durable";
  std::int64_t workflow_threads = 8;
  std::int64_t workflow_waiting_max = 10'000;
  std::int64_t workflow_journal_max = 100'000;
  std::int64_t workflow_children_max = 10'000;
  std::int64_t workflow_result_max = 1LL << 20;

  std::int64_t watch_waiters_max = 100'000;
  duration_ms watch_wait_max = 60'000;

  std::vector<std::string> exec_allow;
  std::int64_t exec_capture_max = 65'536;
  std::int64_t exec_stdin_max = 1LL << 20;
  std::int64_t exec_running_max = 256;

  std::string metrics_listen;
  bool metrics_insecure = false;
  std::int64_t metrics_names_max = 100;
  std::int64_t metrics_connections_max = 16;
  std::int64_t metrics_threads = 2;
  std::int64_t metrics_request_max = 16'384;
  duration_ms metrics_timeout = 10'000;
  duration_ms metrics_ready_within = 2'000;

  std::string trace_file;
  std::int64_t trace_file_max = 64LL << 20;
  std::string trace_endpoint;
  double trace_sample = 1.0;
  std::int64_t trace_queue_max = 10'000;
  std::int64_t trace_batch_max = 512;
  duration_ms trace_flush_interval = 1'000;
  duration_ms trace_timeout = 10'000;
  std::int64_t trace_retries = 5;
  duration_ms trace_retry_min = 500;
  duration_ms trace_retry_max = 5'000;
  duration_ms trace_shutdown_timeout = 5'000;

  std::string log_level = "info";
  std::string log_format = "auto";
  /// "component=level" each.
  std::vector<std::string> log_levels;

  /// Where each value came from, by key: "default", the file's name, a variable or "flag".
  std::map<std::string, std::string> origins;
};

/// What the table says of one key.
struct key_info {
  std::string name;
  std::string default_text;
  /// With the bounds of the value.
  std::string help;
  /// What the value is, as in "duration".
  std::string unit;
};

[[nodiscard]] std::vector<key_info> configuration_keys();

/// Looks a variable of the environment up; nothing when it is not set.
using environment_lookup = std::function<std::optional<std::string>(const std::string&)>;

/// Loads defaults, then the file, then the environment (`worker.slots` is BELAY_WORKER_SLOTS), then
/// overrides of the form KEY=VALUE. Refuses (`bad_request`) what is unknown or out of bounds; the
/// text names origin, key, value and what was expected.
[[nodiscard]] checked<configuration>
load_configuration(const std::optional<std::filesystem::path>& file,
                   const environment_lookup& environment,
                   const std::vector<std::string>& overrides);

/// Renders all settings as TOML that can be loaded again; with origins as comments.
[[nodiscard]] std::string render_configuration(const configuration& x);

/// Returns the environment of this process.
[[nodiscard]] environment_lookup process_environment();

} // namespace belay::app
