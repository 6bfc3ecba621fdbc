// Listens on an address and keeps the relays of what comes; what both kinds of gate share.
#pragma once

#include "actors/gate/event_loop.hpp"
#include "actors/gate/relay.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

namespace belay::gates {

struct doorman_options {
  /// An IPv4 or IPv6 address.
  std::string address;
  std::uint16_t port = 0;
  std::size_t connections_max = 1'024;
};

/// Returns an address for the system. Refuses (`bad_request`) what is no IP address.
[[nodiscard]] checked<sockaddr_storage> parse_ip(const std::string& address, std::uint16_t port);

/// Returns whether an address is one of this machine's own (127.0.0.0/8 or ::1).
[[nodiscard]] bool is_loopback(const sockaddr_storage& address);

/// Owns the loop. Destruction closes every connection and waits for that.
class doorman {
public:
  /// `rules` are completed with the loop, and with what a doorman does when a relay is over.
  doorman(doorman_options options, relay_rules rules);
  ~doorman();
  doorman(const doorman&) = delete;
  doorman& operator=(const doorman&) = delete;

  /// Begins to listen. Refuses (`bad_request`) an address that cannot be listened on.
  [[nodiscard]] std::optional<refusal> open();

  [[nodiscard]] std::uint16_t port() const {
    return port_;
  }

  /// Uses other certificates for relays that begin from now on. Refuses (`bad_request`) where
  /// connections are plain. Not on the loop's thread.
  [[nodiscard]] std::optional<refusal> use(const std::shared_ptr<const tls_context>& context);

  [[nodiscard]] std::size_t connections() const;

  /// Waits until there is no connection.
  void wait_empty(std::chrono::milliseconds longest) const;

  [[nodiscard]] event_loop& loop() {
    return loop_;
  }

private:
  [[nodiscard]] int listen(const sockaddr_storage& address);
  void came();
  void count(std::size_t now);
  void stop();

  doorman_options options_;
  relay_rules rules_;
  uv_tcp_t listener_{};
  bool listening_ = false;
  bool is_full_ = false;
  std::set<std::shared_ptr<relay>> relays_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::size_t count_ = 0;
  /// Last, so that its thread has ended before what it uses goes.
  event_loop loop_;
};

} // namespace belay::gates
