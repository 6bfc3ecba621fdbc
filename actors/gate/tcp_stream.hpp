// One TCP connection on a loop, with what its owner has to know of it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <uv.h>

namespace belay::gates {

class tcp_stream;

/// Hears what happens to a stream. Must live until `closed`.
class stream_owner {
public:
  virtual ~stream_owner() = default;

  virtual void connected(tcp_stream& from) = 0;
  virtual void received(tcp_stream& from, std::string_view bytes) = 0;
  /// Nothing more will come: an empty reason is the peer's orderly end.
  virtual void ended(tcp_stream& from, const std::string& why) = 0;
  /// Some of what was to be written has gone.
  virtual void written(tcp_stream& from) = 0;
  /// The last word of a stream.
  virtual void closed(tcp_stream& from) = 0;
};

/// Keeps itself alive from the first call that begins something until `closed`.
class tcp_stream : public std::enable_shared_from_this<tcp_stream> {
public:
  tcp_stream(uv_loop_t* loop, stream_owner& owner);
  tcp_stream(const tcp_stream&) = delete;
  tcp_stream& operator=(const tcp_stream&) = delete;

  /// Takes the next connection of a listening socket; `connected` is not called. Returns whether
  /// there was one.
  bool accept(uv_stream_t* from);
  /// Ends in `connected` or `ended`.
  void connect(const sockaddr& to);

  /// Switches between reading and leaving bytes with the system.
  void read(bool on);
  void write(std::string bytes);
  /// Sends the end after what was written; reading goes on.
  void shut_down();
  /// Drops what was not written, at once.
  void close();

  [[nodiscard]] bool is_connected() const {
    return connected_ && !closing_;
  }

  [[nodiscard]] bool is_ended() const {
    return ended_ || closing_;
  }

  [[nodiscard]] bool is_closing() const {
    return closing_;
  }

  /// Bytes that the system has not taken yet.
  [[nodiscard]] std::size_t queued_bytes() const;

  /// The peer as ADDRESS:PORT.
  [[nodiscard]] std::string peer_address() const;
  [[nodiscard]] std::uint16_t peer_port() const;

private:
  struct write_request;
  static tcp_stream& of(void* data);
  void prepare();
  void end(int status);

  uv_tcp_t tcp_{};
  uv_connect_t connect_{};
  uv_shutdown_t shutdown_{};
  uv_loop_t* loop_;
  stream_owner& owner_;
  std::shared_ptr<tcp_stream> self_;
  bool connected_ = false;
  bool reading_ = false;
  bool ended_ = false;
  bool closing_ = false;
};

/// Renders an address as ADDRESS:PORT.
[[nodiscard]] std::string address_text(const sockaddr& address);

} // namespace belay::gates
