#include "actors/worker/alarms.hpp"

#include <algorithm>

namespace belay::actors {

void alarms::set(time_point at, const alarm& x) {
  by_slot_.emplace(x.slot, by_time_.emplace(at, x));
}

void alarms::forget(std::uint64_t slot) {
  const auto [first, last] = by_slot_.equal_range(slot);
  std::for_each(first, last, [this](const auto& one) { by_time_.erase(one.second); });
  by_slot_.erase(first, last);
}

void alarms::clear() {
  by_slot_.clear();
  by_time_.clear();
}

std::optional<alarms::alarm> alarms::take_due(time_point now) {
  const auto found = by_time_.begin();
  if (found == by_time_.end() || found->first > now) {
    return std::nullopt;
  }
  const auto taken = found->second;
  const auto [first, last] = by_slot_.equal_range(taken.slot);
  by_slot_.erase(std::find_if(first, last, [found](const auto& x) { return x.second == found; }));
  by_time_.erase(found);
  return taken;
}

std::optional<alarms::time_point> alarms::next() const {
  return by_time_.empty() ? std::nullopt : std::optional{by_time_.begin()->first};
}

} // namespace belay::actors
