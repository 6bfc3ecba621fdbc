#include "actors/node/system_config.hpp"

#include "messages/wire_error.hpp"

#include <caf/io/middleman.hpp>
#include <thread>

namespace belay::actors {

namespace {

/// Messages one actor handles before others get their turn: two self-sending actors starve all
/// others without a bound.
constexpr std::size_t throughput_max = 100;

} // namespace

system_config::system_config(bool network, std::size_t threads, link_policy link) {
  belay::add_messages(*this);
  set("scheduler.policy", caf::atom("sharing"));
  const std::size_t cores = std::max(2U, std::thread::hardware_concurrency());
  set("scheduler.max-threads", threads == 0 ? cores : threads);
  set("scheduler.max-throughput", throughput_max);
  if (network) {
    load<caf::io::middleman>();
    set("middleman.heartbeat-interval",
        caf::timespan{std::chrono::milliseconds{link.heartbeat_interval_ms}});
    set("middleman.connection-timeout", caf::timespan{std::chrono::milliseconds{link.timeout_ms}});
  }
}

} // namespace belay::actors
