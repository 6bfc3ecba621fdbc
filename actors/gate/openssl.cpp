#include "actors/gate/openssl.hpp"

#include <openssl/err.h>

namespace belay::gates::openssl {

std::string take_error(const std::string& otherwise) {
  const auto code = ERR_get_error();
  ERR_clear_error();
  const auto* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? otherwise : reason;
}

} // namespace belay::gates::openssl
