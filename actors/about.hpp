// The libraries that the actors rest on, for `belay --version`.
#pragma once

#include <cstdint>
#include <string>

namespace belay::actors {

/// Returns the version of the protocol between nodes.
[[nodiscard]] std::uint32_t registry_protocol();

/// Returns the version of CAF that this was compiled with, as in "0.17.6".
[[nodiscard]] std::string caf_version();

/// Returns the version of OpenSSL that is loaded, as in "3.0.17".
[[nodiscard]] std::string openssl_version();

} // namespace belay::actors
