#include "app/commands/commands.hpp"
#include "app/node_file.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <poll.h>
#include <sstream>

namespace belay::app {

void add_common(CLI::App& command, common_options& common, bool remote, const char* data) {
  command
    .add_option(data, common.data,
                "Data directory; names the local node (default: $BELAY_DATA, else "
                "$XDG_STATE_HOME/belay)")
    ->type_name("DIR");
  if (remote) {
    command.add_option("--node", common.node, "HOST:PORT of another node")
      ->type_name("HOST:PORT")
      ->check(not_empty);
    command
      .add_option("--tls", common.tls,
                  "Directory with ca.pem, cert.pem and key.pem (default with --node: "
                  "$BELAY_TLS, else that of the local node)")
      ->type_name("DIR")
      ->check(not_empty);
    command.add_flag("--insecure", common.insecure,
                     "Plain connections to other machines: trusts the whole network");
    command.add_option("--connect-timeout", common.connect_timeout,
                       "How long to wait for a node that is starting (default: 2s; `wait` and "
                       "`events --follow` wait 30s for one that they had)");
  }
  add_output(command, common);
}

void add_output(CLI::App& command, common_options& common) {
  command
    .add_option_function<std::string>(
      "-o,--output",
      [&common](const std::string& text) {
        common.format = text == "json" ? output_format::json : output_format::table;
      },
      "table or json")
    ->check(CLI::IsMember({"table", "json"}));
  command.add_flag("-q,--quiet", common.quiet, "Print nothing but errors");
}

duration_ms parse_duration_flag(const std::string& flag, const std::string& text) {
  const auto length = parse_duration(text);
  if (!length || *length < 0) {
    throw command_failure{exit_code::usage,
                          flag + ": '" + text
                            + "' is not a duration, expected a number with a unit as in 500ms, "
                              "30s, 10m, 2h or 7d"};
  }
  return *length;
}

std::string read_file(const std::string& path, const std::string& flag) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return std::move(text).str();
  }
  std::error_code none;
  std::ifstream in{path, std::ios::binary};
  if (!in || std::filesystem::is_directory(path, none)) {
    throw command_failure{exit_code::usage, flag + ": cannot read '" + path + "'"};
  }
  text << in.rdbuf();
  return std::move(text).str();
}

const CLI::Validator whole_number{
  [](const std::string& text) {
    const auto digits = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return c >= '0' && c <= '9';
    });
    return digits ? std::string{} : "'" + text + "' is not acceptable, expected a whole number";
  },
  ""};

namespace {

/// Where the node is that the options name, and which certificates to show it.
checked<node_address> where(const common_options& common, const std::filesystem::path& directory) {
  auto address = common.node.empty() ? read_node_file(directory) : parse_address(common.node);
  if (!address) {
    return address;
  }
  if (!common.tls.empty()) {
    address->tls = common.tls;
  } else if (!common.node.empty()) {
    const char* given = std::getenv("BELAY_TLS"); // NOLINT(concurrency-mt-unsafe): before threads
    address->tls = given == nullptr ? "" : given;
  }
  return address;
}

} // namespace

const CLI::Validator positive_number{
  [](const std::string& text) {
    const auto digits
      = !text.empty() && text.size() <= 9
        && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    return digits && std::stol(text) > 0
             ? std::string{}
             : "'" + text + "' is not acceptable, expected a whole number from 1";
  },
  ""};

const CLI::Validator not_empty{[](const std::string& text) {
                                 return text.empty()
                                          ? std::string{"'' is not acceptable, expected a text"}
                                          : std::string{};
                               },
                               ""};

std::unique_ptr<actors::client> reconnect(common_options common) {
  if (common.connect_timeout.empty()) {
    common.connect_timeout = "30s";
  }
  return connect(common);
}

std::unique_ptr<actors::client> connect(const common_options& common) {
  constexpr int pause_ms = 50;
  constexpr duration_ms try_min_ms = 1'000;
  constexpr duration_ms try_max_ms = 5'000;
  const auto patience = std::chrono::milliseconds{parse_duration_flag(
    "--connect-timeout", common.connect_timeout.empty() ? "2s" : common.connect_timeout)};
  if (!common.node.empty() && !common.data.empty()) {
    throw command_failure{exit_code::usage, "--node and --data name two nodes: give one of them"};
  }
  const auto directory
    = common.data.empty() ? default_data_directory() : std::filesystem::path{common.data};
  // A node that is started again may listen elsewhere: commands look for it anew themselves.
  actors::client_options here_and_now;
  here_and_now.reconnect_for_ms = 0;
  here_and_now.timeout_ms = std::clamp<duration_ms>(patience.count(), try_min_ms, try_max_ms);
  here_and_now.plain_anywhere = common.insecure;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const auto address = where(common, directory);
    refusal no;
    if (address) {
      here_and_now.tls = address->tls;
      auto connected = actors::client::connect(address->host, address->port, here_and_now);
      if (connected) {
        return std::move(*connected);
      }
      no = connected.why();
      if (common.node.empty() && no.code == ec::shutting_down) {
        no.text += "; is the node of " + directory.string() + " still running?";
      }
    } else {
      no = address.why();
    }
    const auto hopeless = no.code == ec::bad_request || no.code == ec::protocol_mismatch
                          || no.code == ec::not_permitted;
    if (hopeless || std::chrono::steady_clock::now() - start >= patience) {
      throw command_failure{exit_code_of(no), no.text};
    }
    poll(nullptr, 0, pause_ms);
  }
}

} // namespace belay::app
