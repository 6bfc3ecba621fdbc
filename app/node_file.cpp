#include "app/node_file.hpp"

#include "messages/time.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::app {

namespace {

constexpr const char* file_name = "node.json";

std::string environment(const char* name) {
  const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): before any thread
  return value == nullptr ? std::string{} : std::string{value};
}

/// Who listens on every address is reached at the loopback one.
std::string local_address(const std::string& host) {
  return host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
}

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw std::runtime_error{"cannot write " + path.string() + ": " + std::strerror(errno)};
}

} // namespace

std::filesystem::path default_data_directory() {
  if (auto given = environment("BELAY_DATA"); !given.empty()) {
    return given;
  }
  if (auto state = environment("XDG_STATE_HOME"); !state.empty()) {
    return std::filesystem::path{state} / "belay";
  }
  auto home = environment("HOME");
  return std::filesystem::path{home.empty() ? "/" : home} / ".local" / "state" / "belay";
}

void write_node_file(const std::filesystem::path& directory, const node_address& address,
                     const std::string& name) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();
  nlohmann::json content{{"address", local_address(address.host)},
                         {"port", address.port},
                         {"pid", getpid()},
                         {"name", name},
                         {"started_at", format_time(now)}};
  if (!address.tls.empty()) {
    content["tls"] = std::filesystem::absolute(address.tls).string();
  }
  if (!address.metrics.empty()) {
    content["metrics"] = address.metrics;
  }
  const auto text = content.dump() + "\n";
  const auto path = directory / file_name;
  const auto fresh = directory / (std::string{file_name} + ".new");
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    fail(fresh);
  }
  const auto written = write(fd, text.data(), text.size());
  const auto closed = close(fd);
  if (written != static_cast<ssize_t>(text.size()) || closed != 0) {
    fail(fresh);
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    fail(path);
  }
}

void remove_node_file(const std::filesystem::path& directory) {
  std::error_code ignored;
  std::filesystem::remove(directory / file_name, ignored);
}

checked<node_address> read_node_file(const std::filesystem::path& directory) {
  const auto path = directory / file_name;
  std::ifstream in{path};
  if (!in) {
    return refusal{ec::shutting_down, "no node runs on the data directory " + directory.string()
                                        + " (there is no " + path.string()
                                        + "); start one with: belay node --data "
                                        + directory.string()};
  }
  const auto text = nlohmann::json::parse(in, nullptr, false);
  if (!text.is_object() || !text.contains("address") || !text.contains("port")
      || !text["address"].is_string() || !text["port"].is_number_unsigned()) {
    return refusal{ec::shutting_down, path.string() + " is damaged; restart the node"};
  }
  const auto tls = text.find("tls");
  const auto metrics = text.find("metrics");
  return node_address{text["address"].get<std::string>(), text["port"].get<std::uint16_t>(),
                      tls != text.end() && tls->is_string() ? tls->get<std::string>() : "",
                      metrics != text.end() && metrics->is_string() ? metrics->get<std::string>()
                                                                    : ""};
}

checked<node_address> parse_listen(const std::string& text) {
  const auto colon = text.rfind(':');
  const auto start = colon == std::string::npos ? 0 : colon + 1;
  node_address result;
  result.host = start == 0 ? "127.0.0.1" : text.substr(0, colon);
  if (start != 0 && result.host.size() > 2 && result.host.front() == '['
      && result.host.back() == ']') {
    result.host = result.host.substr(1, result.host.size() - 2);
  }
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const auto is_ip = inet_pton(AF_INET, result.host.c_str(), bytes.data()) == 1
                     || inet_pton(AF_INET6, result.host.c_str(), bytes.data()) == 1;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + start, end, result.port);
  if (error == std::errc{} && stop == end && is_ip) {
    return result;
  }
  return refusal{ec::bad_request, "'" + text
                                    + "' is not acceptable, expected IP:PORT as in 127.0.0.1:9464 "
                                      "or [::1]:9464, or a port of the loopback address"};
}

checked<node_address>
parse_address(const std::string& text, const std::string& flag, std::uint16_t port_min) {
  const auto colon = text.rfind(':');
  node_address result;
  if (colon != std::string::npos && colon > 0) {
    result.host = text.substr(0, colon);
    const auto bracketed = result.host.front() == '[' && result.host.back() == ']';
    if (bracketed) { // An IPv6 address, as in [::1]:7400.
      result.host = result.host.substr(1, result.host.size() - 2);
    }
    const auto* allowed = bracketed
                            ? "0123456789abcdefABCDEF:.%"
                            : "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_";
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, result.port);
    if (error == std::errc{} && stop == end && result.port >= port_min && !result.host.empty()
        && result.host.find_first_not_of(allowed) == std::string::npos) {
      return result;
    }
  }
  return refusal{ec::bad_request,
                 flag + ": '" + text
                   + "' is not an address, expected HOST:PORT as in 127.0.0.1:7400 or [::1]:7400, "
                     "with a port from "
                   + std::to_string(port_min)};
}

} // namespace belay::app
