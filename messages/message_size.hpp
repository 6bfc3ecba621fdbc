// How large a message is on the wire.
#pragma once

#include "messages/error.hpp"

#include <caf/detail/serialized_size.hpp>
#include <cstdint>
#include <optional>

namespace belay {

/// What a message may have beside the content that its sender chooses: fields, numbers, lengths.
inline constexpr std::uint64_t message_overhead_max = 65'536;
/// What CAF adds: a header, the names of types.
inline constexpr std::uint64_t frame_overhead_max = 4'096;

/// Returns the largest frame that a node takes whose messages may have `max` bytes of content.
[[nodiscard]] constexpr std::uint64_t frame_max(std::uint64_t max) {
  return max + message_overhead_max + frame_overhead_max;
}

/// Refuses (`bad_request`) a message that a node would not take: it closes the connection of
/// whoever sends one with more than `max` bytes of content. 0: no bound.
template <class... Ts>
[[nodiscard]] std::optional<refusal>
check_message_size(caf::actor_system& system, std::uint64_t max, const Ts&... content) {
  if (max == 0) {
    return std::nullopt;
  }
  const std::uint64_t size = (caf::detail::serialized_size(system, content) + ... + 0);
  if (size <= max + message_overhead_max) {
    return std::nullopt;
  }
  return refusal{ec::bad_request, "the message has " + std::to_string(size)
                                    + " bytes, expected at most " + std::to_string(max)
                                    + " (cluster.message_max of the node)"};
}

} // namespace belay
