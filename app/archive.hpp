// A directory as one tar file, and back (libarchive).
#pragma once

#include <filesystem>

namespace belay::app {

/// Writes everything below a directory into a new tar file, on disk and complete or not at all.
/// Throws `std::runtime_error`.
void write_archive(const std::filesystem::path& directory, const std::filesystem::path& file);

/// Unpacks a tar file into an empty or new directory; refuses names that lead out of it. Throws
/// `std::runtime_error`.
void read_archive(const std::filesystem::path& file, const std::filesystem::path& directory);

} // namespace belay::app
