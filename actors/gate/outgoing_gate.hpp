// The way out: CAF connects to a private loopback port, and the gate to a node's gate over TLS.
#pragma once

#include "actors/gate/tls_context.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace belay::gates {

struct outgoing_options {
  /// The node to connect to: a DNS name or an IP address. Its certificate must be for that name.
  std::string host;
  std::uint16_t port = 0;
  /// Our node id, as CAF prints it.
  std::string node;
  tls_files tls;
  /// Largest frame in bytes that the node may send, 64 at least.
  std::size_t message_max = 4U << 20;
  /// From CAF's connection to the end of both handshakes.
  duration_ms connect_timeout_ms = 5'000;
};

/// Each connection of CAF to `local_port` becomes one to the node; when one side goes the other is
/// closed. Only this program's user may use the port: it speaks with our certificate.
///
/// Concurrency: every member from any thread.
class outgoing_gate {
public:
  /// Connects to nobody yet. Refuses (`bad_request`) options and files that cannot be used.
  [[nodiscard]] static checked<std::unique_ptr<outgoing_gate>>
  open(const outgoing_options& options);

  ~outgoing_gate();
  outgoing_gate(const outgoing_gate&) = delete;
  outgoing_gate& operator=(const outgoing_gate&) = delete;

  /// Reads certificates anew, for connections made from now on; those that stand go on. Refuses
  /// (`bad_request`) files that cannot be used; then nothing changes.
  [[nodiscard]] std::optional<refusal> reload(const tls_files& files);

  /// Returns the port on 127.0.0.1 that CAF is to connect to.
  [[nodiscard]] std::uint16_t local_port() const;

  /// Returns why the last connection could not be made or was cut, for people; empty when the last
  /// one stands or has ended in good order. CAF itself only says that it is not connected.
  [[nodiscard]] std::string last_error() const;

  [[nodiscard]] std::size_t connections() const;

  /// Waits until CAF has closed its connections and all that it said is on its way.
  void wait_closed(std::chrono::milliseconds longest) const;

private:
  struct impl;
  explicit outgoing_gate(std::unique_ptr<impl> x);
  std::unique_ptr<impl> impl_;
};

} // namespace belay::gates
