// The way to a node: straight, or over TLS.
#pragma once

#include "actors/gate/outgoing_gate.hpp"
#include "messages/protocol.hpp"
#include "messages/wire_error.hpp"

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>

namespace belay::actors {

/// One try; CAF answers sooner where nobody listens.
inline constexpr std::chrono::seconds dial_deadline{5};

struct route_options {
  /// A DNS name or an IP address.
  std::string host;
  std::uint16_t port = 0;
  /// Directory with ca.pem, cert.pem and key.pem; empty: plain TCP.
  std::filesystem::path tls;
  /// Whether plain TCP may go to another machine, which is to trust the whole network.
  bool plain_anywhere = false;
  /// Largest message that the node may send, in bytes. Over TLS only; plain TCP has no bound.
  std::uint64_t message_max = 64U << 20;
  duration_ms connect_timeout_ms = 5'000;
};

/// Must outlive the actor system that it was opened for: what its actors said last still goes out.
///
/// Concurrency: every member from any thread.
class route {
public:
  /// Waits until what CAF has said last is on its way; a second at most.
  ~route();
  route(const route&) = delete;
  route& operator=(const route&) = delete;

  using reached_function = std::function<void(node_actor)>;
  using failed_function = std::function<void(const refusal&)>;

  /// Refuses (`bad_request`) plain TCP to another machine, and certificate files that cannot be
  /// used.
  [[nodiscard]] static checked<std::unique_ptr<route>>
  open(const route_options& options, const caf::actor_system& system);

  /// Looks for the node actor and calls one of the two, in the asking actor's own turn. Refuses
  /// with `shutting_down` (nobody listens or answers, nothing is published) or `bad_request` (the
  /// certificates do not fit).
  template <class Self>
  void dial(Self* self, std::chrono::milliseconds deadline, reached_function reached,
            failed_function failed) const {
    self
      ->request(self->system().middleman().actor_handle(), deadline, caf::connect_atom_v, host_,
                port_)
      .then(
        [this, reached, failed](const caf::node_id&, caf::strong_actor_ptr& found,
                                const std::set<std::string>&) {
          if (found) {
            reached(caf::actor_cast<node_actor>(found));
          } else {
            failed(explained({ec::shutting_down, "nothing is published there"}));
          }
        },
        [this, failed](const caf::error& why) { failed(explained(to_refusal(why))); });
  }

  /// Reads the certificates again, for connections made from now on. Refuses (`bad_request`) files
  /// that cannot be used; then nothing changes. Plain TCP has none.
  [[nodiscard]] std::optional<refusal> reload();

  /// Returns why the last connection was not made or was cut; empty when nothing more is known.
  [[nodiscard]] std::string last_error() const;

private:
  route() = default;

  /// Says what the gate knows: CAF only says that it is not connected.
  [[nodiscard]] refusal explained(refusal no) const;

  std::unique_ptr<gates::outgoing_gate> gate_;
  std::filesystem::path tls_;
  /// Where CAF connects to.
  std::string host_;
  std::uint16_t port_ = 0;
};

} // namespace belay::actors
