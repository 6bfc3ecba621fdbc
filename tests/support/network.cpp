#include "tests/support/network.hpp"

#include "tests/support/program.hpp"

#include <atomic>
#include <fstream>
#include <stdexcept>
#include <unistd.h>

namespace belay::tests {

namespace {

/// Interfaces have names of 15 bytes at most.
std::string unique_prefix() {
  static std::atomic<int> made{0};
  return "b" + std::to_string(getpid()) + "x" + std::to_string(++made);
}

void must(const std::vector<std::string>& argv, const std::string& input = {}) {
  const auto got = run_program(argv, input);
  if (got.code != 0) {
    throw std::runtime_error{"ip: " + got.err};
  }
}

std::string subnet(int host) {
  return "10.77." + std::to_string(host);
}

} // namespace

bool network::possible() {
  if (geteuid() != 0) {
    return false;
  }
  try {
    const network one{1};
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

network::network(int hosts) : prefix_{unique_prefix()}, hosts_{hosts} {
  std::string commands = "netns add " + router() + "\n";
  for (int i = 0; i < hosts; ++i) {
    commands += "netns add " + name(i) + "\n";
    const auto port = "v" + std::to_string(i);
    commands += "link add " + port + " netns " + router() + " type veth peer name eth0 netns "
                + name(i) + "\n";
  }
  must({"ip", "-batch", "-"}, commands);
  commands = "link set lo up\n";
  for (int i = 0; i < hosts; ++i) {
    const auto port = "v" + std::to_string(i);
    commands += "addr add " + subnet(i) + ".1/24 dev " + port + "\nlink set " + port + " up\n";
    must({"ip", "-n", name(i), "-batch", "-"},
         "link set lo up\naddr add " + address(i)
           + "/24 dev eth0\nlink set eth0 up\nroute add default via " + subnet(i) + ".1\n");
  }
  must({"ip", "-n", router(), "-batch", "-"}, commands);
  must({"ip", "netns", "exec", router(), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"});
}

network::~network() {
  for (int i = 0; i < hosts_; ++i) {
    run_program({"ip", "netns", "delete", name(i)});
  }
  run_program({"ip", "netns", "delete", router()});
}

std::string network::name(int host) const {
  return prefix_ + "h" + std::to_string(host);
}

std::string network::router() const {
  return prefix_ + "r";
}

std::string network::address(int host) const {
  return subnet(host) + ".2";
}

std::string network::on(int host, const std::string& program) const {
  const auto path
    = scratch_.path()
      / (std::to_string(host) + "-" + std::filesystem::path{program}.filename().string());
  if (std::filesystem::exists(path)) {
    return path.string(); // Some may be starting by it: it is written once.
  }
  std::ofstream{path} << "#!/bin/sh\nexec ip netns exec " << name(host) << " '" << program
                      << "' \"$@\"\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path.string();
}

void network::cut(int host) const {
  must({"ip", "-n", router(), "-batch", "-"}, "rule add iif v" + std::to_string(host)
                                                + " pref 10 blackhole\nrule add to " + address(host)
                                                + " pref 11 blackhole\n");
}

void network::heal(int host) const {
  must({"ip", "-n", router(), "-batch", "-"}, "rule del iif v" + std::to_string(host)
                                                + " pref 10 blackhole\nrule del to " + address(host)
                                                + " pref 11 blackhole\n");
}

} // namespace belay::tests
