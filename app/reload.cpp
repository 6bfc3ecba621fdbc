#include "app/reload.hpp"

#include "actors/component.hpp"
#include "app/configuration_keys.hpp"
#include "app/output.hpp"

namespace belay::app {

namespace {

bool is_live(const std::string& key) {
  return key.compare(0, 4, "log.") == 0;
}

} // namespace

std::vector<std::string> changed_keys(const configuration& one, const configuration& other) {
  std::vector<std::string> result;
  for (const auto& x : keys()) {
    const auto same
      = std::visit([&](const auto& how) { return one.*how.member == other.*how.member; }, x.what);
    if (!same) {
      result.push_back(x.name);
    }
  }
  return result;
}

live_configuration::live_configuration(configuration at_start, setup given)
  : running_{std::move(at_start)}, setup_{std::move(given)} {}

std::optional<refusal> live_configuration::reload() {
  const auto refused = [](const refusal& why) {
    log::error(component::node, "config.refused", {{"why", why.text}},
               "the configuration was not read again: the former one stays in use");
    return why;
  };
  const auto loaded = setup_.load();
  if (!loaded) {
    return refused(loaded.why());
  }
  if (const auto no = setup_.certificates()) {
    return refused(*no);
  }
  std::vector<std::string> live;
  std::vector<std::string> later;
  for (const auto& key : changed_keys(running_, *loaded)) {
    (is_live(key) ? live : later).push_back(key);
  }
  running_.log_level = loaded->log_level;
  running_.log_levels = loaded->log_levels;
  running_.log_format = loaded->log_format;
  setup_.log(running_);
  log::info(component::node, "config.reloaded",
            {{"changed", joined(live, ", ")}, {"tls", running_.node_tls}},
            running_.node_tls.empty() ? "the configuration was read again"
                                      : "the configuration was read again; new connections use the "
                                        "certificates as they are now");
  if (!later.empty()) {
    log::warn(component::node, "config.needs_restart", {{"keys", joined(later, ", ")}},
              "these settings differ from what the node runs with; they count from its next start");
  }
  return std::nullopt;
}

} // namespace belay::app
