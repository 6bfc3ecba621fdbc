// What a registration is known by: its kind and its hash.
#include "messages/registration.hpp"

#include <array>
#include <openssl/evp.h>
#include <stdexcept>

namespace belay {

namespace {

/// Between the name and the version of a workflow's kind; no name has it.
constexpr char version_mark = '@';

} // namespace

std::string workflow_kind(std::string_view name, std::uint32_t version) {
  return std::string{name} + version_mark + std::to_string(version);
}

bool is_workflow_kind(std::string_view kind) {
  return kind.find(version_mark) != std::string_view::npos;
}

std::string hash_hex(std::string_view canonical) {
  // Looking the algorithm up by name takes longer than hashing a registration: it is kept, and
  // never freed, for threads that still hash while the program ends.
  static const auto* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (algorithm == nullptr
      || EVP_Digest(canonical.data(), canonical.size(), digest.data(), &length, algorithm, nullptr)
           != 1) {
    throw std::runtime_error{"SHA-256 is not available"};
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(static_cast<std::size_t>(length) * 2);
  for (std::size_t i = 0; i < length; ++i) {
    text += digits[digest.at(i) >> 4U];
    text += digits[digest.at(i) & 0x0FU];
  }
  return text;
}

} // namespace belay
