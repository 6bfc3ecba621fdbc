#include "actors/machine.hpp"

#include <array>
#include <climits>
#include <openssl/rand.h>
#include <stdexcept>
#include <unistd.h>

namespace belay::actors {

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  // RAND_bytes fails only when the system has no entropy source at all.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&bits), sizeof bits) != 1) {
    throw std::runtime_error{"the system's random number generator does not answer"};
  }
  return bits;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> host{};
  gethostname(host.data(), host.size() - 1);
  return host.data();
}

bool is_this_machine(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

std::string address_text(const std::string& host, std::uint16_t port) {
  const auto is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

} // namespace belay::actors
