// The PEM files of keys and certificates: who may read them, and that none is overwritten.
#pragma once

#include "actors/gate/openssl.hpp"
#include "messages/error.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace belay::gates {

struct new_file {
  std::string name;
  std::string text;
  /// Readable by its owner only.
  bool is_secret = false;
};

/// Writes files into a directory that is made for them (mode 0700), all or none, and syncs them.
/// Refuses (`bad_request`) when one of them is there, or when others may enter the directory.
[[nodiscard]] std::optional<refusal>
write_new(const std::filesystem::path& directory, const std::vector<new_file>& files);

/// Refuses (`bad_request`) what cannot be read or is none; the text names the file.
[[nodiscard]] checked<openssl::certificate> load_certificate(const std::filesystem::path& file);

/// The same for a key. Refuses also one that any user of the machine may read.
[[nodiscard]] checked<openssl::key> load_key(const std::filesystem::path& file);

/// Returns what was written to a buffer in memory.
[[nodiscard]] std::string contents_of(BIO& buffer);

/// Renders 4 or 16 bytes as an IP address.
[[nodiscard]] std::string ip_text(const std::string& bytes);

[[nodiscard]] std::string hex(const std::string& bytes);

} // namespace belay::gates
