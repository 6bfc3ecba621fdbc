// The file in the data directory that tells clients where its node listens.
#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace belay::app {

struct node_address {
  std::string host;
  std::uint16_t port = 0;
  /// Directory of the certificates to show there; empty: plain.
  std::filesystem::path tls;
  /// Where its metrics are told, as in 127.0.0.1:9464; empty: nowhere.
  std::string metrics;
};

/// Returns the data directory that commands use unless told: $BELAY_DATA, else
/// $XDG_STATE_HOME/belay, else ~/.local/state/belay.
[[nodiscard]] std::filesystem::path default_data_directory();

/// Writes DIR/node.json in one step, readable by the owner alone: how programs of this machine
/// reach the node, with its own certificates. Throws `std::runtime_error`.
void write_node_file(const std::filesystem::path& directory, const node_address& address,
                     const std::string& name);

/// Removes DIR/node.json, when there is one.
void remove_node_file(const std::filesystem::path& directory);

/// Reads DIR/node.json. Refuses (`shutting_down`) when there is none, which means that no node runs
/// there.
[[nodiscard]] checked<node_address> read_node_file(const std::filesystem::path& directory);

/// Reads IP:PORT, or a port of 127.0.0.1, which may be 0. Refuses with `bad_request`.
[[nodiscard]] checked<node_address> parse_listen(const std::string& text);

/// Reads HOST:PORT as given with `flag`. Refuses with `bad_request`, a port below `port_min` too.
[[nodiscard]] checked<node_address>
parse_address(const std::string& text, const std::string& flag = "--node",
              std::uint16_t port_min = 1);

} // namespace belay::app
