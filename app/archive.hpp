// A directory as one tar file, and back (libarchive).
#pragma once

#include <filesystem>

namespace belay::app {

/// Makes an empty file that only its owner may read and write. Throws `std::runtime_error`, also
/// when there is one.
void make_private_file(const std::filesystem::path& file);

/// Writes everything below a directory into a new tar file, its owner's alone, and waits until it
/// is on disk. Throws `std::runtime_error`; what was written until then is left behind.
void write_archive(const std::filesystem::path& directory, const std::filesystem::path& file);

/// Unpacks a tar file into an empty or new directory; refuses names that lead out of it. What it
/// makes is its owner's alone. Throws `std::runtime_error`.
void read_archive(const std::filesystem::path& file, const std::filesystem::path& directory);

/// Waits until a file's or a directory's content is on disk. Throws `std::runtime_error`.
void sync_path(const std::filesystem::path& path);

} // namespace belay::app
