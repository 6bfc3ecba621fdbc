#include "app/again.hpp"

namespace belay::app {

checked<process_id> register_anew(actors::client& client, const process_id& id, process_id as) {
  for (int number = 1; as.empty(); ++number) {
    const auto free = id + "~" + std::to_string(number);
    const auto taken = client.get(free);
    if (taken) {
      continue;
    }
    if (taken.why().code == ec::unknown_process) {
      as = free;
    } else if (taken.why().code != ec::pruned) {
      return taken.why();
    }
  }
  const auto made = client.again({id, as});
  if (!made) {
    return made.why();
  }
  return made->items.front().id;
}

} // namespace belay::app
