// belay nodes, drain, undrain: who is in the cluster, and orders to workers.
#include "app/commands/commands.hpp"
#include "app/output.hpp"
#include "messages/time.hpp"

#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

nlohmann::json node_json(const node_info& x) {
  nlohmann::json result{{"name", x.name},       {"incarnation", x.incarnation},
                        {"role", x.role},       {"state", x.state},
                        {"kinds", x.kinds},     {"queues", x.queues},
                        {"slots", x.slots},     {"busy", x.busy},
                        {"waiting", x.waiting}, {"connected_at", format_time(x.connected_at)},
                        {"version", x.version}, {"place", x.place}};
  if (x.round_trip_us > 0) {
    result["round_trip_us"] = x.round_trip_us;
  }
  return result;
}

exit_code nodes(const common_options& common) {
  const auto list = expect(connect(common)->nodes());
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    for (const auto& x : list.nodes) {
      print_line(node_json(x).dump());
    }
    return exit_code::success;
  }
  text_table table{
    {"NAME", "INC", "ROLE", "STATE", "BUSY", "WAITING", "RTT", "SINCE", "VERSION", "AT", "KINDS"}};
  for (const auto& x : list.nodes) {
    const auto works = x.role != "registry";
    table.add(
      {printable(x.name), works ? std::to_string(x.incarnation) : "-", x.role, x.state,
       works ? (x.state == "silent" ? "?" : std::to_string(x.busy)) + "/" + std::to_string(x.slots)
             : "-",
       works ? std::to_string(x.waiting) : "-",
       x.round_trip_us > 0 ? std::to_string(x.round_trip_us) + "us" : "-",
       format_time(x.connected_at), printable(x.version), printable(x.place),
       x.kinds.empty() ? "-" : printable(joined(x.kinds, ","))});
  }
  table.print();
  return exit_code::success;
}

struct drain_options {
  std::string node;
  std::string timeout = "30s";
};

exit_code drain(const common_options& common, const drain_options& x) {
  const auto length = parse_duration_flag("--timeout", x.timeout);
  const auto report = expect(connect(common)->drain(x.node, length));
  if (!common.quiet) {
    print_line(printable(x.node) + " is drained; " + std::to_string(report.count)
               + (report.count == 1 ? " process was" : " processes were") + " given back");
  }
  return exit_code::success;
}

exit_code undrain(const common_options& common, const std::string& node) {
  const auto report = expect(connect(common)->undrain(node));
  if (!common.quiet) {
    print_line(printable(node) + (report.count > 0 ? " claims again" : " was not drained"));
  }
  return exit_code::success;
}

} // namespace

void add_cluster_commands(CLI::App& app, common_options& common, command_action& action) {
  auto& list = *app.add_subcommand("nodes", "List the nodes of the cluster");
  add_common(list, common);
  list.footer("Example: belay nodes --node 127.0.0.1:7400");
  list.callback([&common, &action] { action = [&common] { return nodes(common); }; });

  auto& stop = *app.add_subcommand("drain", "Let a worker end what it runs, and claim nothing");
  auto x = std::make_shared<drain_options>();
  add_common(stop, common);
  stop.add_option("NODE", x->node, "The worker's name, as `nodes` lists it")->required();
  stop.add_option("--timeout", x->timeout,
                  "What runs longer is given back for others (default: 30s)");
  stop.footer("It claims again after `undrain`, or when it is started anew.\n"
              "Example: belay drain worker-3 --timeout 5m");
  stop.callback([&common, &action, x] { action = [&common, x] { return drain(common, *x); }; });

  auto& again = *app.add_subcommand("undrain", "Let a drained worker claim again");
  auto node = std::make_shared<std::string>();
  add_common(again, common);
  again.add_option("NODE", *node, "The worker's name")->required();
  again.footer("Example: belay undrain worker-3");
  again.callback(
    [&common, &action, node] { action = [&common, node] { return undrain(common, *node); }; });
}

} // namespace belay::app
