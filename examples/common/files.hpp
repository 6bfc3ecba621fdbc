// Files of which a journal may speak: they are on disk before anybody is told.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace examples {

/// How the names of files begin that are not finished; what a crash leaves behind has such a name.
inline constexpr std::string_view unfinished_prefix = ".part-";

/// Writes a file under its name, all of it or nothing, and waits for the disk. Makes the folders
/// above it. Throws a `belay::failure`, one that may be tried again.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Reads a file, or `count` bytes of it from `offset`. Throws a `belay::failure`.
std::string read_file(const std::filesystem::path& path);
std::string read_file(const std::filesystem::path& path, std::size_t offset, std::size_t count);

/// Removes a file if it is there.
void remove_file(const std::filesystem::path& path);

/// Removes from a folder what interrupted writes have left in it.
void remove_unfinished(const std::filesystem::path& folder);

/// Returns the SHA-256 in hex.
std::string sha256(std::string_view bytes);

/// The same of a file, piece by piece; asks `stopped` between pieces and then throws a
/// `belay::failure` with the code "stopped". Throws one with the code "unreadable", too.
struct hashed_file {
  std::string sha256;
  std::size_t bytes = 0;
};
hashed_file hash_file(const std::filesystem::path& path, const std::function<bool()>& stopped);

} // namespace examples
