// A node as BASP names it: 20 bytes of host and the number of its process.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace caf {
class node_id;
}

namespace belay::gates {

/// The id of a CAF node: a hash of the host and the system's process id. Not of the run: two nodes
/// can have the same one, and a restarted node can have its old one.
struct node_key {
  std::array<std::uint8_t, 20> host{};
  std::uint32_t os_pid = 0;

  friend auto operator<=>(const node_key&, const node_key&) = default;
};

/// Renders the id as CAF prints it: 40 hexadecimal digits, '#' and the process id.
[[nodiscard]] std::string to_string(const node_key& x);

/// Reads what `to_string` or CAF renders. Returns nothing for anything else, an invalid id
/// included.
[[nodiscard]] std::optional<node_key> parse_node_key(std::string_view text);

/// Returns nothing for an invalid id and for one that is a URI.
[[nodiscard]] std::optional<node_key> key_of(const caf::node_id& id);

/// Returns whether CAF takes the id for one at all.
[[nodiscard]] bool is_valid(const node_key& x);

} // namespace belay::gates
