// The metrics of one node: its instruments, what is read at a scrape, and where it is asked.
#pragma once

#include "actors/metrics/options.hpp"
#include "actors/metrics/readiness.hpp"
#include "actors/metrics/registry_instruments.hpp"
#include "actors/metrics/worker_instruments.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace belay::metrics {

/// What of a node is read at a scrape.
struct endpoint_setup {
  options how;
  std::string node;
  /// "registry+worker", "registry" or "worker".
  std::string role;
  /// None in a worker node.
  std::shared_ptr<storage::store> store;
  /// Kinds that its worker runs; nothing in a node without one.
  std::optional<std::vector<std::string>> kinds;
  /// How many threads run code that was told to stop.
  std::function<std::size_t()> stuck;
  /// The registry's time; asked where there is a store.
  std::function<timestamp_ms()> now;
  /// Connections of other programs. Empty where nobody connects.
  std::function<std::size_t()> connections;
};

/// Begins to listen with `open`.
class endpoint {
public:
  endpoint(caf::actor_system& system, endpoint_setup setup);
  ~endpoint();
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  /// For the actors; null where the node has no such part.
  [[nodiscard]] std::shared_ptr<registry_instruments> of_registry() const;
  [[nodiscard]] std::shared_ptr<worker_instruments> of_worker() const;
  [[nodiscard]] readiness& ready();

  /// Listens. Refuses (`bad_request`) an address that cannot be listened on.
  [[nodiscard]] std::optional<refusal> open();
  void close();
  [[nodiscard]] std::uint16_t port() const;

  /// Returns what GET /metrics is answered with.
  [[nodiscard]] std::string text() const;

private:
  endpoint_setup setup_;
  std::shared_ptr<exposition> all_;
  std::shared_ptr<registry_instruments> registry_;
  std::shared_ptr<worker_instruments> worker_;
  readiness ready_;
  std::unique_ptr<http_server> server_;
};

} // namespace belay::metrics
