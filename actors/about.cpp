#include "actors/about.hpp"

#include "messages/protocol.hpp"

#include <caf/config.hpp>
#include <openssl/crypto.h>

namespace belay::actors {

std::uint32_t registry_protocol() {
  return protocol_version;
}

std::string caf_version() {
  // CAF_VERSION is MAJOR * 10000 + MINOR * 100 + PATCH (caf/config.hpp).
  constexpr int step = 100;
  return std::to_string(CAF_VERSION / (step * step)) + "."
         + std::to_string(CAF_VERSION / step % step) + "." + std::to_string(CAF_VERSION % step);
}

std::string openssl_version() {
  return OpenSSL_version(OPENSSL_VERSION_STRING);
}

} // namespace belay::actors
