// One connection through a gate: the wire to the peer on one side, CAF on the other.
#pragma once

#include "actors/gate/basp_frame.hpp"
#include "actors/gate/tcp_stream.hpp"
#include "actors/gate/tls_context.hpp"

#include <functional>
#include <netinet/in.h>
#include <vector>

namespace belay::gates {

class relay;

/// What all relays of a gate share; outlives them. Everything is called on the loop's thread.
struct relay_rules {
  uv_loop_t* loop = nullptr;
  /// Who the peer is in BASP: `client` when it connects to us, `server` when we connect to it.
  frame_rules frames;
  /// None: plain TCP.
  std::shared_ptr<const tls_context> tls;
  /// What a server's certificate must be for.
  std::string host;
  /// From the beginning to the end of both handshakes.
  duration_ms handshake_timeout_ms = 5'000;

  /// Asked first. Returns why the one that has connected may not. May be empty.
  std::function<std::optional<std::string>(relay&)> welcome;
  /// Finds the addresses to connect to: CAF's, or those of the host. Answers once, maybe with none
  /// and the reason.
  std::function<void(std::function<void(std::vector<sockaddr_storage>, const std::string& why)>)>
    find;
  /// Asked when the peer has said which node it is. Returns why it may not be that one.
  std::function<std::optional<std::string>(relay&, const node_key&)> admit;
  /// The connection is about to be closed. `why` is empty when it ends in good order; `begun` says
  /// whether its handshakes were done. May be empty.
  std::function<void(relay&, const std::string& why, bool begun)> ending;
  /// Everything is closed.
  std::function<void(relay&, const std::string& why, bool begun)> over;
};

/// Moves bytes between a peer and CAF.
///
/// What the peer sends is read by a `frame_reader`; what CAF sends is passed on as it is. On each
/// side no more is read while the other side has `queued_max` bytes to take, so that a slow side
/// slows the other down instead of filling memory. When one side ends the other is ended at once;
/// CAF's is given `linger` to do so, because until then CAF may still hold messages of the peer and
/// so the peer's node id must not be another's.
class relay : public std::enable_shared_from_this<relay>, private stream_owner {
public:
  explicit relay(const relay_rules& rules);

  /// Takes the next connection of a listening socket and begins.
  void start(uv_stream_t* from);
  /// Ends at once, for a reason of ours.
  void stop(const std::string& why);

  /// Who a certificate says the peer is; nothing in plain TCP.
  [[nodiscard]] const std::optional<identity>& certified() const {
    return certified_;
  }

  /// Where the connection came from.
  [[nodiscard]] const std::string& address() const {
    return address_;
  }

  [[nodiscard]] std::uint16_t port() const {
    return port_;
  }

private:
  void connected(tcp_stream& from) override;
  void received(tcp_stream& from, std::string_view bytes) override;
  void ended(tcp_stream& from, const std::string& why) override;
  void written(tcp_stream& from) override;
  void closed(tcp_stream& from) override;

  [[nodiscard]] std::shared_ptr<tcp_stream> make_stream();
  void dial();
  void dial_next(std::string why);
  void from_peer(std::string_view bytes);
  void from_caf(std::string_view bytes);
  void pass_on(std::string_view plain);
  /// Looks who the peer is once TLS knows. Returns why it is nobody.
  [[nodiscard]] std::optional<std::string> learn_peer();
  void update_reading();
  void begun();
  void set_timer(uv_timer_t& timer, duration_ms length);
  void too_late();
  void address_too_late();
  /// Ends both sides; `say_why`: the peer gets what was written to it, for what that takes.
  void finish(const std::string& why, bool say_why);
  static void end(const std::shared_ptr<tcp_stream>& stream, bool in_good_order);
  [[nodiscard]] bool is_wire_ready() const;
  [[nodiscard]] bool is_caller() const {
    return rules_.frames.from == speaker::server;
  }

  const relay_rules& rules_;
  frame_reader reader_;
  std::shared_ptr<tcp_stream> wire_;
  std::shared_ptr<tcp_stream> caf_;
  std::unique_ptr<tls_session> tls_;
  uv_timer_t deadline_{};
  uv_timer_t dial_deadline_{};
  /// Streams and timers that are not closed yet.
  std::size_t handles_ = 0;
  std::vector<sockaddr_storage> addresses_;
  duration_ms dial_timeout_ms_ = 0;
  std::optional<identity> certified_;
  std::string address_;
  std::uint16_t port_ = 0;
  /// What CAF is to get once it is connected.
  std::string pending_;
  std::string why_;
  bool admitted_ = false;
  bool begun_ = false;
  bool finishing_ = false;
};

} // namespace belay::gates
