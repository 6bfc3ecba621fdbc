#include "actors/worker/journal_parts.hpp"

namespace belay::actors {

namespace {

/// Of a child beside its input, of an entry beside its result: names, numbers, hashes.
constexpr std::size_t child_bytes = 1'024;
constexpr std::size_t entry_bytes = 256;

} // namespace

std::deque<journal_request> parts_of(journal_request all, std::size_t bytes_max) {
  std::deque<journal_request> parts(1);
  parts.back().held = all.held;
  std::size_t used = 0;
  const auto with_room_for = [&](std::size_t bytes) -> journal_request& {
    if (used > 0 && used + bytes > bytes_max) {
      parts.emplace_back().held = all.held;
      used = 0;
    }
    used += bytes;
    return parts.back();
  };
  for (auto& x : all.children) {
    with_room_for(child_bytes + x.input.size()).children.push_back(std::move(x));
  }
  for (auto& x : all.attachments) {
    with_room_for(x.name.size() + x.bytes.size()).attachments.push_back(std::move(x));
  }
  auto next = all.events.begin(); // They stand in the order of their entries.
  for (auto& x : all.entries) {
    auto bytes = entry_bytes + x.name.size() + x.scope.size() + x.result.size();
    const auto has_event = next != all.events.end() && next->entry == x.number;
    bytes += has_event ? next->type.size() + next->payload.size() : 0;
    auto& part = with_room_for(bytes);
    part.entries.push_back(std::move(x));
    if (has_event) {
      part.events.push_back(std::move(*next++));
    }
  }
  if (!all.status.empty()) {
    with_room_for(all.status.size()).status = std::move(all.status);
  }
  return parts;
}

} // namespace belay::actors
