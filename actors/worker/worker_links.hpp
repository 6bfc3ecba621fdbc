// What a worker's actors need from outside themselves.
#pragma once

#include "actors/metrics/worker_instruments.hpp"
#include "actors/running/tool.hpp"
#include "actors/workflow/engine.hpp"
#include "actors/workflow/facets.hpp"
#include "messages/protocol.hpp"

#include <functional>
#include <memory>

namespace belay::tracing {
class tracer;
}

namespace belay::actors {

/// Runs code of a process on a thread where it may block. Returns the ticket by which it can be
/// left behind; none where a test runs it at once.
using code_runner
  = std::function<running::work_pool::ticket_ptr(const process_id&, std::function<void()>)>;

/// Bounds on workflows: the `[workflow]` section of the configuration.
struct workflow_policy {
  /// How long a workflow that waits is kept in memory before it parks.
  duration_ms park_after_ms = 1'000;
  /// In memory: nothing is journaled and nothing parks; after a crash a workflow begins anew.
  durability effects = durability::durable;
  workflows::engine_limits limits;
};

struct worker_links {
  worker_registry registry;
  worker_reader reader;
  worker_watcher watcher;
  sweeper_actor sweeper;
  /// Of a worker on a node of its own.
  uplink_actor uplink;
  std::shared_ptr<const running::toolbox> tools;
  code_runner run_code;
  /// The time that timers are measured by: the registry's.
  std::function<timestamp_ms()> now;
  /// None: nothing is counted.
  std::shared_ptr<metrics::worker_instruments> meter;
  /// None: no traces.
  std::shared_ptr<const tracing::tracer> tracer;
};

} // namespace belay::actors
