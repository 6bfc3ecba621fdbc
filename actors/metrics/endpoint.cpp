#include "actors/metrics/endpoint.hpp"

#include "actors/metrics/gauges.hpp"

namespace belay::metrics {

namespace {

/// The text format's version (prometheus.io, "Exposition formats").
constexpr const char* metrics_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr unsigned unavailable = 503;

std::vector<queue_depth> queues_of(const storage::store& store, timestamp_ms now) {
  std::vector<queue_depth> all;
  for (const auto& x : store.queues(now).queues) {
    all.push_back({x.name, x.ready + x.blocked, x.delayed, x.running, x.waiting,
                   x.oldest_ready_at == 0 ? 0 : std::max<duration_ms>(now - x.oldest_ready_at, 0)});
  }
  return all;
}

} // namespace

endpoint::endpoint(caf::actor_system& system, endpoint_setup setup)
  : setup_{std::move(setup)},
    all_{std::make_shared<exposition>(setup_.how.names_max)},
    ready_{system, std::chrono::milliseconds{setup_.how.ready_within_ms}} {
  if (setup_.kinds) {
    worker_ = std::make_shared<worker_instruments>(all_, *setup_.kinds);
  }
  if (const auto store = setup_.store) {
    registry_ = std::make_shared<registry_instruments>(
      all_, [store](std::uint32_t number) { return store->name(number); });
  }
}

endpoint::~endpoint() = default;

std::shared_ptr<registry_instruments> endpoint::of_registry() const {
  return registry_;
}

std::shared_ptr<worker_instruments> endpoint::of_worker() const {
  return worker_;
}

readiness& endpoint::ready() {
  return ready_;
}

std::string endpoint::text() const {
  std::vector<reading> now;
  add_build(now, setup_.node, setup_.role, setup_.how.commit);
  if (setup_.store) {
    add_store(now, *setup_.store);
    add_queues(now, *all_, queues_of(*setup_.store, setup_.now()));
    now.push_back({"belay_commit_pending_seconds",
                   "How long the oldest operation has waited for its commit; 0 when none waits.",
                   {{registry_->commit_pending_seconds(), {}}}});
  }
  if (setup_.connections) {
    now.push_back({"belay_connections",
                   "Connections of other programs, those included that are not known yet.",
                   {{static_cast<double>(setup_.connections()), {}}}});
  }
  if (setup_.stuck) {
    now.push_back({"belay_worker_stuck_threads",
                   "Threads whose code was told to stop and has not returned.",
                   {{static_cast<double>(setup_.stuck()), {}}}});
  }
  return all_->text(now);
}

std::optional<refusal> endpoint::open() {
  auto opened = http_server::open(
    setup_.how.http,
    {{"/metrics",
      [this] {
        return http_response{200, text(), metrics_type};
      }},
     {"/healthz",
      [] {
        return http_response{200, "alive\n"};
      }},
     {"/readyz", [this] {
        const auto why = ready_.why_not();
        std::string lines;
        for (const auto& one : why) {
          lines += one + "\n";
        }
        return why.empty() ? http_response{200, "ready\n"} : http_response{unavailable, lines};
      }}});
  if (!opened) {
    return refusal{opened.why().code, "metrics.listen: " + opened.why().text};
  }
  server_ = std::move(*opened);
  return std::nullopt;
}

void endpoint::close() {
  server_.reset();
  ready_.part();
}

std::uint16_t endpoint::port() const {
  return server_ ? server_->port() : 0;
}

} // namespace belay::metrics
