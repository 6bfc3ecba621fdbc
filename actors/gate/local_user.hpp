// Which user of this machine has made a connection.
#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace belay::gates {

/// Returns the user that owns the end of an IPv4 loopback connection whose own port is `from` and
/// whose peer's port is `to` (/proc/net/tcp). Nothing when there is none.
[[nodiscard]] std::optional<uid_t> owner_of_connection(std::uint16_t from, std::uint16_t to);

} // namespace belay::gates
