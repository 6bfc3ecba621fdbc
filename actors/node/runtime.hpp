// One node in this program: store, actor system, and the published node actor.
//
// Free of CAF, so that command line and embedding programs compile quickly.
#pragma once

#include "actors/metrics/options.hpp"
#include "actors/node/link_policy.hpp"
#include "actors/registry/retention.hpp"
#include "actors/running/tool.hpp"
#include "actors/trace/options.hpp"
#include "actors/workflow/facets.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "storage/store.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace belay::actors {

class client;

struct runtime_options {
  /// The node's name: the owner name of its leases.
  std::string name = "local";
  storage::options store;
  std::shared_ptr<const running::toolbox> tools;

  std::size_t batch_ops_max = 1'024;
  std::size_t batch_bytes_max = 8U << 20;
  std::size_t register_max = 1'000;
  std::size_t readers = 2;

  retention_policy retention;

  duration_ms ttl_ms = 30'000;
  duration_ms renew_interval_ms = 10'000;

  std::uint32_t slots = 64;
  std::vector<std::string> queues;
  /// Kinds that it claims; empty: all of `tools`.
  std::vector<std::string> offer;
  duration_ms cancel_grace_ms = 10'000;
  /// Most threads for the code of workflows that are not stuck.
  std::size_t workflow_threads = 8;
  /// Workflows that wait in memory.
  std::uint32_t waiting_max = 10'000;
  duration_ms park_after_ms = 1'000;
  /// Whether effects of workflows are journaled, and what the stores are that they rest on.
  durability effects = durability::durable;
  facets stores;
  std::size_t journal_max = 100'000;
  std::size_t children_max = 10'000;
  std::size_t result_bytes_max = 1'048'576;
  /// Tool functions that were told to stop and have not returned. May be empty.
  std::function<std::vector<running::stuck_code>()> stuck_tools;
  duration_ms safety_sweep_ms = 30'000;

  std::size_t waiters_max = 100'000;
  duration_ms wait_ms_max = 60'000;

  /// Whether other programs may connect.
  bool publish = true;
  /// An IP address to listen on; loopback without `tls`, because plain connections carry no
  /// passwords.
  std::string address = "127.0.0.1";
  /// 0 lets the system choose.
  std::uint16_t port = 0;
  /// Directory with ca.pem, cert.pem and key.pem, for those who connect and for joining; empty:
  /// plain TCP.
  std::filesystem::path tls;
  /// Whether plain TCP may be spoken to other machines, which is to trust the whole network.
  bool plain_anywhere = false;
  /// Largest message from other programs, in bytes of content.
  std::uint64_t message_max = 4U << 20;
  std::size_t connections_max = 1'024;
  /// Time that a connection has to say who it is.
  duration_ms handshake_timeout_ms = 5'000;
  /// Told of the end of each connection of another program: where it came from, and why when that
  /// was not in good order. Called on the gate's thread; may be empty.
  std::function<void(const std::string& address, const std::string& why)> on_disconnected;
  duration_ms drain_timeout_ms = 30'000;

  /// Whether it runs processes itself.
  bool works = true;
  /// A worker node: the host and port of the registry node that it works for. It has no store and
  /// no port of its own.
  std::string join_host;
  std::uint16_t join_port = 0;
  link_policy link;
  /// How long the leases of a worker outlive its lost link, in milliseconds.
  duration_ms link_grace_ms = 0;
  /// Pauses between tries to reach the registry: the first, and the longest.
  duration_ms reconnect_min_ms = 50;
  duration_ms reconnect_max_ms = 2'000;

  /// Told, from an actor's thread, when the registry has taken this node's worker in (true), and
  /// when a worker node has lost its link (false). May be empty.
  std::function<void(bool)> on_enlisted;
  metrics::options metrics;
  tracing::options trace;

  /// Called, from an actor's thread, when the node cannot go on (the store faulted). It should end
  /// the process; the default logs and exits with code 74 (EX_IOERR of sysexits.h).
  std::function<void(const std::string&)> on_fault;
};

/// A running node. Construction starts it and throws `storage::error` or `std::runtime_error` when
/// that cannot be done, `std::invalid_argument` when the stores do not bear the effects;
/// destruction stops it without draining.
class runtime {
public:
  explicit runtime(runtime_options options);
  ~runtime();
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;

  /// Returns the port the node listens on; 0 when it is not published, as a worker node is not.
  [[nodiscard]] std::uint16_t port() const;

  /// Asks the actor that nothing goes on without, the registry or in a worker node the sweeper, for
  /// a sign of life. Calls `answered` once: true, from an actor's thread, when it has answered;
  /// false when it has not within `patience`, or is gone or not there yet. Returns without waiting;
  /// from any thread.
  void check_alive(std::chrono::milliseconds patience, std::function<void(bool)> answered) const;

  /// Reads the certificates of `tls` again, for connections made from now on; those that stand go
  /// on. Refuses (`bad_request`) files that cannot be used; then the former ones stay. Does nothing
  /// without `tls`. From any thread.
  [[nodiscard]] std::optional<refusal> reload_certificates();

  /// Returns the port of its metrics; 0 when there is none.
  [[nodiscard]] std::uint16_t metrics_port() const;

  /// Begins to stop: with `drain` no new rows, what runs gets `drain_timeout`, the rest is
  /// released. Without, or when called again, at once. Returns without waiting; from any thread.
  void stop(bool drain);

  /// Waits until everything is stopped.
  void wait_stopped();

  /// Returns a client of this node that does not go over the network. The runtime must outlive it.
  [[nodiscard]] std::unique_ptr<client> make_client();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay::actors
