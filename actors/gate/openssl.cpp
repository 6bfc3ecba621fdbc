#include "actors/gate/openssl.hpp"

#include <openssl/err.h>

namespace belay::gates::openssl {

std::string take_error(const std::string& otherwise) {
  const auto code = ERR_get_error();
  ERR_clear_error();
  const auto* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? otherwise : reason;
}

bool is_ip(const std::string& text) {
  return ip_address{a2i_IPADDRESS(text.c_str())} != nullptr;
}

} // namespace belay::gates::openssl
