#include "actors/node/system_config.hpp"

#include "messages/wire_error.hpp"

#include <caf/io/middleman.hpp>
#include <thread>

namespace belay::actors {

namespace {

/// Messages one actor handles before others get their turn: two self-sending actors starve all
/// others without a bound.
constexpr std::size_t throughput_max = 100;
constexpr std::chrono::milliseconds heartbeat_interval{500};
constexpr std::chrono::seconds connection_timeout{5};

} // namespace

system_config::system_config(bool network, std::size_t threads) {
  belay::add_messages(*this);
  set("scheduler.policy", caf::atom("sharing"));
  const std::size_t cores = std::max(2U, std::thread::hardware_concurrency());
  set("scheduler.max-threads", threads == 0 ? cores : threads);
  set("scheduler.max-throughput", throughput_max);
  if (network) {
    load<caf::io::middleman>();
    set("middleman.heartbeat-interval", caf::timespan{heartbeat_interval});
    set("middleman.connection-timeout", caf::timespan{connection_timeout});
  }
}

} // namespace belay::actors
