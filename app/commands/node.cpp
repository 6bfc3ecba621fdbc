// belay node: runs a node in the foreground.
#include "actors/component.hpp"
#include "actors/gate/certificates.hpp"
#include "actors/gate/tls_context.hpp"
#include "actors/log.hpp"
#include "actors/machine.hpp"
#include "actors/node/runtime.hpp"
#include "app/commands/commands.hpp"
#include "app/commands/settings.hpp"
#include "app/node_file.hpp"
#include "app/reload.hpp"
#include "app/service_manager.hpp"
#include "app/signals.hpp"
#include "app/version.hpp"
#include "app/wiring.hpp"
#include "messages/did_you_mean.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace belay::app {

namespace {

/// What a stop may take beyond the drain: the releases, for which the node waits 15 s, and the last
/// commits.
constexpr std::chrono::seconds stop_margin{20};

/// What a running node is served with.
struct service {
  actors::runtime& node;
  const signal_gate& gate;
  service_manager& manager;
  live_configuration& settings;
  std::chrono::milliseconds drain_timeout;
  /// Of the service manager's watchdog; 0: none.
  std::chrono::microseconds watchdog_limit;
};

watchdog make_watchdog(const service& x) {
  watchdog::setup setup;
  setup.limit = x.watchdog_limit;
  setup.ask
    = [&node = x.node](std::chrono::milliseconds patience, std::function<void(bool)> answered) {
        node.check_alive(patience, std::move(answered));
      };
  setup.alive = [&manager = x.manager] { manager.alive(); };
  setup.silent = [] {
    log::error(component::node, "watchdog.silent", {},
               "the node does not answer itself; unless it does, the service manager starts it "
               "again");
  };
  return watchdog{std::move(setup)};
}

/// Waits for signals until the node has stopped. The first SIGTERM or SIGINT drains, the second
/// stops now; SIGHUP reads the configuration again. SIGUSR1 is our own word for "stopped".
void serve(const service& x) {
  std::atomic<bool> is_over{false};
  std::thread stopped{[&node = x.node, &is_over] {
    node.wait_stopped();
    is_over = true;
    kill(getpid(), SIGUSR1);
  }};
  auto watch = make_watchdog(x);
  auto asked = 0;
  for (;;) {
    watch.tick(std::chrono::steady_clock::now());
    const auto number = x.gate.next(watch.due());
    if (!number) {
      continue;
    }
    if (*number == SIGUSR1) {
      if (is_over) {
        break;
      }
      continue; // Somebody else's.
    }
    if (*number == SIGHUP) {
      x.manager.reloading();
      const auto no = x.settings.reload();
      x.manager.reloaded(no ? std::optional{no->text} : std::nullopt);
      continue;
    }
    ++asked;
    const auto drains = asked == 1;
    log::info(component::node, "node.stopping", {{"signal", *number}},
              drains ? "draining; a second signal stops now" : "stopping now");
    x.manager.stopping(drains ? "draining: no new rows, what runs may end" : "stopping",
                       drains ? x.drain_timeout + stop_margin : stop_margin);
    x.node.stop(drains);
  }
  stopped.join();
}

/// The flags of `node` that stand for settings, and where to join.
struct node_options {
  settings_options settings;
  std::string join;
  std::string listen;
  std::string role;
  std::string name;
  unsigned slots = 0;
  std::string offer;
  std::string tls;
};

/// What the flags say, over file and environment.
settings_options with_flags(const node_options& x) {
  auto result = x.settings;
  const auto set = [&result](const std::string& key, const nlohmann::json& value) {
    try {
      result.overrides.push_back(key + "=" + value.dump()); // JSON text is TOML here.
    } catch (const nlohmann::json::type_error&) {
      throw command_failure{exit_code::usage, key + ": the value is not UTF-8 text"};
    }
  };
  if (!x.name.empty()) {
    set("node.name", x.name);
  }
  if (x.slots > 0) {
    set("worker.slots", x.slots);
  }
  if (!x.listen.empty()) {
    const auto address = expect(parse_address(x.listen, "--listen", 0));
    set("node.address", address.host);
    set("node.port", address.port);
  }
  if (!x.tls.empty()) {
    set("node.tls", x.tls);
  }
  if (!x.offer.empty()) {
    auto kinds = nlohmann::json::array();
    std::istringstream words{x.offer};
    for (std::string word; std::getline(words, word, ',');) {
      kinds.push_back(word);
    }
    set("worker.offer", kinds);
  }
  return result;
}

/// Refuses flags that do not go together; returns the role.
std::string role_of(const node_options& x, const common_options& common) {
  const auto refuse = [](const std::string& text) -> void {
    throw command_failure{exit_code::usage, text};
  };
  const auto role = !x.role.empty() ? x.role : x.join.empty() ? "both" : "worker";
  if (role != "registry" && role != "worker" && role != "both") {
    refuse("--role: '" + role + "' is not acceptable, expected registry, worker or both");
  }
  if (role == "worker" && x.join.empty()) {
    refuse("--role worker needs --join HOST:PORT, the registry node that it works for");
  }
  if (role != "worker" && !x.join.empty()) {
    refuse("--join is for --role worker: a registry joins nobody");
  }
  if (role == "worker" && (!common.data.empty() || !x.listen.empty())) {
    refuse("a worker keeps nothing and listens to nobody: give --join without --data and --listen");
  }
  return role;
}

/// Workers of one machine need names of their own; the registry's node is "local" by default.
std::string worker_name() {
  return actors::host_name() + "-" + std::to_string(getpid());
}

void check_offer(const configuration& settings, const running::toolbox& tools) {
  const auto names = tools.names();
  for (const auto& kind : settings.worker_offer) {
    if (std::find(names.begin(), names.end(), kind) == names.end()) {
      throw command_failure{exit_code::usage,
                            "worker.offer: '" + kind
                              + "' is not acceptable, expected a tool or workflow "
                                "of this program"
                              + suggestion(kind, names)};
    }
  }
}

/// Reads the settings. Workers of one machine get names of their own.
checked<configuration> load_node_settings(const node_options& given, const std::string& role) {
  auto settings = try_load_settings(with_flags(given));
  if (settings && role == "worker" && settings->origins.count("node.name") == 0) {
    settings->node_name = worker_name();
  }
  return settings;
}

/// Says beforehand what will keep others out.
void warn_of_certificate(const configuration& settings) {
  if (settings.node_tls.empty()) {
    return;
  }
  constexpr std::int64_t soon_ms = 14LL * 24 * 3'600 * 1'000;
  const auto view = gates::read_certificate(gates::tls_files_in(settings.node_tls).certificate);
  if (!view) {
    return;
  }
  if (view->valid_until - wall_now() < soon_ms) {
    log::warn(
      "node", "certificate.expires",
      {{"name", view->name}, {"valid_until", format_time(view->valid_until)}},
      "the certificate of this node ends soon: then nobody connects any more; issue another "
      "in its place and send SIGHUP");
  }
  const auto& address = settings.node_address;
  const auto is_any = address == "0.0.0.0" || address == "::";
  if (!is_any && !actors::is_this_machine(address)
      && std::find(view->hosts.begin(), view->hosts.end(), address) == view->hosts.end()) {
    log::warn(
      "node", "certificate.host", {{"name", view->name}, {"address", address}},
      "the certificate of this node is not for the address that it listens on: who connects "
      "by that address is refused (belay tls issue --host)");
  }
}

void warn_of_plain(const std::string& host, const configuration& settings) {
  if (settings.node_tls.empty() && settings.cluster_insecure && !actors::is_this_machine(host)) {
    log::warn(component::node, "node.insecure", {{"address", host}},
              "plain connections to other machines: everybody on the network may do everything "
              "(cluster.insecure)");
  }
}

void warn_of_open_metrics(const actors::runtime_options& options) {
  const auto& x = options.metrics;
  if (x.is_on && !actors::is_this_machine(x.http.address)) {
    log::warn(component::node, "metrics.insecure", {{"address", x.http.address}},
              "metrics are told to other machines: everybody on the network may read them "
              "(metrics.insecure)");
  }
}

/// Where the metrics are told; empty: nowhere.
std::string metrics_address(const configuration& settings, const actors::runtime& node) {
  return node.metrics_port() == 0
           ? std::string{}
           : actors::address_text(parse_listen(settings.metrics_listen)->host, node.metrics_port());
}

exit_code run_node(const common_options& common, const node_options& given) {
  const auto role = role_of(given, common);
  const auto settings = expect(load_node_settings(given, role));
  const signal_gate gate{SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  const auto directory
    = common.data.empty() ? default_data_directory() : std::filesystem::path{common.data};
  init_log(settings);
  log::info(component::node, "node.starting", {{"version", version()}, {"commit", commit()}},
            "starting");
  service_manager manager{common.service};
  const auto joins = role == "worker";
  manager.starting(joins ? "looking for the registry at " + given.join : "opening the store");
  const tool_shop shop{settings, common.extra_tools};
  check_offer(settings, *shop.tools());
  auto options = make_runtime_options(settings, directory, shop.tools());
  options.stuck_tools = shop.stuck();
  options.works = role != "registry";
  options.on_enlisted = [&manager](bool yes) { manager.takes_work(yes); };
  if (joins) {
    const auto address = expect(parse_address(given.join, "--join"));
    options.join_host = address.host;
    options.join_port = address.port;
  }
  const auto works = options.works;
  warn_of_plain(joins ? options.join_host : options.address, settings);
  warn_of_certificate(settings);
  warn_of_open_metrics(options);
  actors::runtime node{std::move(options)};
  if (!works && common.service.notify) {
    // No worker that could be taken in: it is ready once its registry answers.
    node.check_alive(std::chrono::hours{24}, [&manager](bool yes) {
      if (yes) {
        manager.takes_work(true);
      }
    });
  }
  live_configuration live{settings,
                          {[&] { return load_node_settings(given, role); },
                           [&] {
                             auto no = node.reload_certificates();
                             if (!no) {
                               warn_of_certificate(settings);
                             }
                             return no;
                           },
                           init_log}};
  const auto metrics = metrics_address(settings, node);
  if (joins) {
    log::info(component::node, "node.ready",
              {{"name", settings.node_name},
               {"registry", given.join},
               {"metrics", metrics.empty() ? "off" : metrics},
               {"pid", getpid()}},
              "ready");
    manager.started("worker '" + settings.node_name + "' of " + given.join);
  } else {
    write_node_file(directory, {settings.node_address, node.port(), settings.node_tls, metrics},
                    settings.node_name);
    log::info(component::node, "node.ready",
              {{"address", settings.node_address},
               {"port", node.port()},
               {"metrics", metrics.empty() ? "off" : metrics},
               {"data", directory.string()},
               {"pid", getpid()}},
              "ready");
    manager.started("listens on " + settings.node_address + ":" + std::to_string(node.port()));
  }
  serve({node, gate, manager, live, std::chrono::milliseconds{settings.node_drain_timeout},
         common.service.watchdog});
  if (!joins) {
    remove_node_file(directory);
  }
  log::info(component::node, "node.stopped", {}, "stopped");
  log::flush();
  return exit_code::success;
}

} // namespace

void add_node_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("node", "Run a node: registry, sweeper and workers");
  auto given = std::make_shared<node_options>();
  command.add_option("--data", common.data, "Data directory; made when there is none")
    ->type_name("DIR");
  command
    .add_option("--listen", given->listen,
                "HOST:PORT to listen on (node.address, node.port); port 0: any that is free")
    ->type_name("HOST:PORT");
  command
    .add_option("--tls", given->tls,
                "Directory with ca.pem, cert.pem and key.pem (node.tls); see belay tls")
    ->type_name("DIR");
  command
    .add_option("--join", given->join,
                "HOST:PORT of a registry node: work for it, without a data directory")
    ->type_name("HOST:PORT");
  command
    .add_option("--role", given->role,
                "registry, worker or both (default: both; with --join: worker)")
    ->type_name("{registry,worker,both}");
  command.add_option(
    "--name", given->name,
    "Its name, unique in the cluster (default: node.name; a worker: host and pid)");
  command.add_option("--slots", given->slots, "Processes run at once (worker.slots)")
    ->check(positive_number);
  command.add_option(
    "--offer", given->offer,
    "Kinds to claim, with commas, as in exec,album@2 (worker.offer; default: all)");
  for (auto* option : command.get_options()) {
    if (option->get_expected_min() > 0) {
      option->check(not_empty);
    }
  }
  add_settings(command, given->settings);
  command.footer(
    "SIGTERM or Ctrl-C drains: no new rows, what runs gets node.drain_timeout, the rest\n"
    "is given back. A second one stops now. SIGHUP reads the configuration and the certificates\n"
    "again. As a service of systemd it says when it is ready, and that it lives.\n"
    "Example: belay node --data /var/lib/belay --conf conf/belay.toml\n"
    "         belay node --join 127.0.0.1:7400 --slots 8 --offer exec");
  command.callback(
    [&common, &action, given] { action = [&common, given] { return run_node(common, *given); }; });
}

} // namespace belay::app
