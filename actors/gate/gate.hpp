// The door of a node: everything that reaches CAF from outside comes through it.
//
// CAF's protocol authenticates nobody, believes lengths and lets a peer speak for others
// (docs/decisions/0008). So CAF listens on a private loopback port, and a gate in front of it knows
// its peers by their certificates and looks at what they send.
#pragma once

#include "actors/gate/certificates.hpp"
#include "actors/gate/node_key.hpp"
#include "actors/gate/tls_context.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace belay::gates {

/// One peer whose handshakes are done.
struct peer {
  node_key node;
  /// In plain TCP, which only this machine can speak, the name is empty and the role `admin`.
  identity who;
  /// Whether a certificate said so.
  bool is_certified = false;
  /// ADDRESS:PORT it has come from.
  std::string address;
};

struct gate_options {
  /// An IPv4 or IPv6 address.
  std::string address = "127.0.0.1";
  /// 0 lets the system choose.
  std::uint16_t port = 0;
  /// Where CAF listens, on 127.0.0.1.
  std::uint16_t target_port = 0;
  /// Our node id, as CAF prints it.
  std::string node;
  /// None: plain TCP.
  std::optional<tls_files> tls;
  /// Whether plain TCP may be spoken to other machines, which is to trust the whole network.
  bool plain_anywhere = false;
  /// Largest frame in bytes, 64 at least.
  std::size_t message_max = 4U << 20;
  /// Says which actors may be sent messages. Empty: all. Called on the gate's thread.
  std::function<bool(std::uint64_t actor)> may_address;
  std::size_t connections_max = 1'024;
  /// Until TLS and BASP handshakes are done.
  duration_ms handshake_timeout_ms = 5'000;
  /// Called on the gate's thread when a connection is over: where it came from, and why when that
  /// was not in good order. May be empty.
  std::function<void(const std::string& address, const std::string& why)> on_closed;
};

/// Listens until it is destroyed; then every connection is closed.
///
/// Concurrency: every member from any thread.
class gate {
public:
  /// Refuses (`bad_request`) options, files or an address that cannot be used; the text names them.
  [[nodiscard]] static checked<std::unique_ptr<gate>> open(const gate_options& options);

  ~gate();
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  /// Reads certificates anew, for connections that come from now on; those that stand go on.
  /// Refuses (`bad_request`) files that cannot be used, and a plain gate; then nothing changes.
  [[nodiscard]] std::optional<refusal> reload(const tls_files& files);

  /// Returns who a node is that has come through this gate; nothing when it has not, or has gone.
  /// The sender of a message is the node that its connection has announced, and no two live
  /// connections have announced the same: so ask with `sender->node()`.
  [[nodiscard]] std::optional<peer> peer_of(const caf::node_id& node) const;
  [[nodiscard]] std::optional<peer> peer_of(const node_key& node) const;

  [[nodiscard]] std::vector<peer> peers() const;

  /// Returns how many connections there are, those included whose handshakes are not done.
  [[nodiscard]] std::size_t connections() const;

private:
  struct impl;
  explicit gate(std::unique_ptr<impl> x);
  std::unique_ptr<impl> impl_;
};

} // namespace belay::gates
