// The belay program.
#include "app/command_line.hpp"

#include <cstdlib>

#ifdef BELAY_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace {

/// Nothing when no service manager has started this program.
belay::app::service_link link_to_service_manager() {
  belay::app::service_link link;
#ifdef BELAY_SYSTEMD
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads
  if (std::getenv("NOTIFY_SOCKET") == nullptr) {
    return link;
  }
  link.notify = [](const std::string& lines) {
    // A manager that cannot be reached notices that by itself: by its time-outs.
    static_cast<void>(sd_notify(0, lines.c_str()));
  };
  std::uint64_t limit_us = 0;
  if (sd_watchdog_enabled(0, &limit_us) > 0) {
    link.watchdog = std::chrono::microseconds{limit_us};
  }
#endif
  return link;
}

} // namespace

int main(int argc, char** argv) {
  return belay::app::run_command_line(argc, argv, {}, link_to_service_manager());
}
