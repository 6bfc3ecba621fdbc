// Just enough of BASP, the protocol of CAF 0.17.6 (version 3), to say what may pass a gate.
//
// A frame is a header of 32 bytes, integers big-endian, and a payload (caf/io/basp/header.hpp):
//   operation u8, padding u8 u8, flags u8, payload length u32, operation data u64 (version or
//   message id), source actor u64, destination actor u64
// Payloads, from CAF's instance.cpp, node_id.cpp, message.cpp and binary_serializer.cpp:
//   node id           0 atom "default" u64, process id u32, host 20 bytes    (32 bytes in all)
//   0 server handshake  node id, application ids, actor id, interface; operation data = version
//   1 client handshake  node id; sent twice, the second time with flag 2
//   2 direct message    forwarding stack, message; flag 1: the destination is a name
//   3 routed message    for or from a third node
//   4 monitor message   source node, destination node
//   5 down message      source node, destination node, error
//   6 heartbeat         nothing
//   message           type number u16 = 0, type names as text ("@<>+@atom+@str"), values
//   error             code u8, category u64, message
//   text, sequence    length in groups of 7 bits, low ones first; then the bytes or elements
#pragma once

#include "actors/gate/node_key.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace belay::gates {

inline constexpr std::size_t header_bytes = 32;
inline constexpr std::size_t node_bytes = 32;

/// Who speaks in a stream: the one that connected or the one that listens.
enum class speaker { client, server };

struct frame_rules {
  speaker from = speaker::client;
  /// The node that listens to the stream.
  node_key own;
  /// Largest payload of a frame in bytes, 64 at least.
  std::size_t message_max = 4U << 20;
  /// Says which actors may be sent messages. Empty: all. Answers go to whoever has asked, and CAF
  /// monitors every actor that it hears of.
  std::function<bool(std::uint64_t actor)> may_address;
};

/// Reads the stream of one peer and passes on what CAF may see of it.
///
/// It refuses everything through which a peer could speak in another node's name (routed messages,
/// DOWN and monitor frames of or for another node, a second handshake with another id, DOWN, exit
/// and link messages in disguise, forwarding stacks) and what makes CAF reserve memory that was not
/// sent or recurse without bound (lengths, and the types that hold messages or raw buffers).
///
/// Invariants: nothing of a frame is passed on before its header and what it has to show of its
/// payload were found good; it never holds more than a header and `inspected_max` bytes.
class frame_reader {
public:
  /// What of a payload is held back until it was looked at; the rest streams through.
  static constexpr std::size_t inspected_max = 2'304;

  explicit frame_reader(const frame_rules& rules);

  /// Takes bytes and appends those that may be passed on. Returns why the stream is refused; then
  /// nothing of this or any later call is to be passed on.
  [[nodiscard]] std::optional<std::string> read(std::string_view bytes, std::string& passed);

  /// The node that the peer says it is, once its handshake was read.
  [[nodiscard]] const std::optional<node_key>& announced() const {
    return announced_;
  }

  [[nodiscard]] std::size_t held_bytes() const {
    return held_.size();
  }

private:
  struct header;
  std::optional<std::string> check_header(const header& x);
  [[nodiscard]] std::optional<std::string>
  check_addressee(const header& x, std::string_view payload) const;
  std::optional<std::string> check_handshake(const header& x, std::string_view payload);
  std::optional<std::string> check_nodes(std::string_view payload) const;
  std::optional<std::string> check(const header& x, std::string_view payload);

  frame_rules rules_;
  std::optional<node_key> announced_;
  std::string held_;
  /// Bytes to hold before the next decision.
  std::size_t wanted_ = header_bytes;
  /// Bytes of the present payload that pass unseen.
  std::size_t passing_ = 0;
};

/// Returns a heartbeat frame as CAF writes it.
[[nodiscard]] std::string heartbeat_frame();

} // namespace belay::gates
