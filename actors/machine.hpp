// What is asked of the machine itself: randomness, and its name.
#pragma once

#include <cstdint>
#include <string>

namespace belay::actors {

/// Returns 64 random bits of OpenSSL's generator. Throws `std::runtime_error` when the system has
/// no source of randomness. From any thread.
[[nodiscard]] std::uint64_t random_bits();

/// Returns whether a host's name or address says that it is this machine.
[[nodiscard]] bool is_this_machine(const std::string& host);

/// Returns HOST:PORT; an IPv6 address in brackets.
[[nodiscard]] std::string address_text(const std::string& host, std::uint16_t port);

/// Returns the name of the host, as `hostname` prints it.
[[nodiscard]] std::string host_name();

} // namespace belay::actors
