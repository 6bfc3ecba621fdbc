#include "actors/gate/local_user.hpp"

#include <arpa/inet.h>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace belay::gates {

std::optional<uid_t> owner_of_connection(std::uint16_t from, std::uint16_t to) {
  // proc(5), /proc/net/tcp: sl local rem st queues tr retransmits uid ...; an address is its word
  // in the byte order of the machine, in hexadecimal.
  const auto shown = [](std::uint16_t port) {
    std::string text(sizeof "01234567:0123", '\0');
    const auto size
      = std::snprintf(text.data(), text.size(), "%08X:%04X", htonl(INADDR_LOOPBACK), port);
    text.resize(static_cast<std::size_t>(size));
    return text;
  };
  const auto local = shown(from);
  const auto remote = shown(to);
  std::ifstream table{"/proc/net/tcp"};
  for (std::string line; std::getline(table, line);) {
    if (line.find(local) == std::string::npos) {
      continue;
    }
    std::istringstream words{line};
    std::string skipped;
    std::string here;
    std::string there;
    uid_t user = 0;
    words >> skipped >> here >> there >> skipped >> skipped >> skipped >> skipped >> user;
    if (words && here == local && there == remote) {
      return user;
    }
  }
  return std::nullopt;
}

} // namespace belay::gates
