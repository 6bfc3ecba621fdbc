// belay node: runs a node in the foreground.
#include "actors/gate/certificates.hpp"
#include "actors/gate/tls_context.hpp"
#include "actors/log.hpp"
#include "actors/machine.hpp"
#include "actors/node/runtime.hpp"
#include "app/commands/commands.hpp"
#include "app/commands/settings.hpp"
#include "app/node_file.hpp"
#include "app/signals.hpp"
#include "app/wiring.hpp"
#include "messages/did_you_mean.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace belay::app {

namespace {

/// Waits for signals until the node has stopped. The first SIGTERM or SIGINT drains, the second
/// stops now. SIGUSR1 is our own word for "stopped".
void serve(actors::runtime& node, const signal_gate& gate) {
  std::thread stopped{[&node] {
    node.wait_stopped();
    kill(getpid(), SIGUSR1);
  }};
  auto asked = 0;
  for (;;) {
    const auto number = gate.next();
    if (number == SIGUSR1) {
      break;
    }
    if (number == SIGHUP) {
      continue;
    }
    ++asked;
    log::info("node", "node.stopping", {{"signal", number}},
              asked == 1 ? "draining; a second signal stops now" : "stopping now");
    node.stop(asked == 1);
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
    const auto address = expect(parse_address(x.listen, "--listen"));
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
      "and restart the node with it");
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
    log::warn("node", "node.insecure", {{"address", host}},
              "plain connections to other machines: everybody on the network may do everything "
              "(cluster.insecure)");
  }
}

void warn_of_open_metrics(const actors::runtime_options& options) {
  const auto& x = options.metrics;
  if (x.is_on && !actors::is_this_machine(x.http.address)) {
    log::warn("node", "metrics.insecure", {{"address", x.http.address}},
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
  auto settings = load_settings(with_flags(given));
  if (role == "worker" && settings.origins.count("node.name") == 0) {
    settings.node_name = worker_name();
  }
  const signal_gate gate{SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  const auto directory
    = common.data.empty() ? default_data_directory() : std::filesystem::path{common.data};
  init_log(settings);
  const tool_shop shop{settings, common.extra_tools};
  check_offer(settings, *shop.tools());
  auto options = make_runtime_options(settings, directory, shop.tools());
  options.stuck_tools = shop.stuck();
  options.works = role != "registry";
  if (role == "worker") {
    const auto address = expect(parse_address(given.join, "--join"));
    options.join_host = address.host;
    options.join_port = address.port;
  }
  warn_of_plain(role == "worker" ? options.join_host : options.address, settings);
  warn_of_certificate(settings);
  warn_of_open_metrics(options);
  actors::runtime node{std::move(options)};
  const auto metrics = metrics_address(settings, node);
  if (role == "worker") {
    log::info("node", "node.ready",
              {{"name", settings.node_name},
               {"registry", given.join},
               {"metrics", metrics.empty() ? "off" : metrics},
               {"pid", getpid()}},
              "ready");
    serve(node, gate);
  } else {
    write_node_file(directory, {settings.node_address, node.port(), settings.node_tls, metrics},
                    settings.node_name);
    log::info("node", "node.ready",
              {{"address", settings.node_address},
               {"port", node.port()},
               {"metrics", metrics.empty() ? "off" : metrics},
               {"data", directory.string()},
               {"pid", getpid()}},
              "ready");
    serve(node, gate);
    remove_node_file(directory);
  }
  log::info("node", "node.stopped", {}, "stopped");
  log::flush();
  return exit_code::success;
}

} // namespace

void add_node_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("node", "Run a node: registry, sweeper and workers");
  auto given = std::make_shared<node_options>();
  command.add_option("--data", common.data, "Data directory; made when there is none");
  command.add_option("--listen", given->listen, "HOST:PORT to listen on (node.address, node.port)");
  command.add_option("--tls", given->tls,
                     "Directory with ca.pem, cert.pem and key.pem (node.tls); see belay tls");
  command.add_option("--join", given->join,
                     "HOST:PORT of a registry node: work for it, without a data directory");
  command.add_option("--role", given->role,
                     "registry, worker or both (default: both; with --join: worker)");
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
    "is given back. A second one stops now.\n"
    "Example: belay node --data /var/lib/belay --conf conf/belay.toml\n"
    "         belay node --join 127.0.0.1:7400 --slots 8 --offer exec");
  command.callback(
    [&common, &action, given] { action = [&common, given] { return run_node(common, *given); }; });
}

} // namespace belay::app
