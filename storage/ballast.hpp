// A file that holds nothing but room: given back to the disk when another program has filled it, so
// that what runs can still end and pruning can run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>

namespace belay::storage {

/// The ballast of one data directory. Concurrency: every member from any thread.
class ballast {
public:
  /// Makes the file when the disk has room for it and `spare_bytes` beyond; a disk without that is
  /// no fault. `bytes` 0 means no ballast.
  ballast(std::filesystem::path file, std::uint64_t bytes, std::uint64_t spare_bytes);

  /// Deletes the file: a write has found the disk full. Returns whether there was one.
  bool give_up();

  /// Makes the file again if it was given up and the disk has room now. Returns whether it is still
  /// missed: until then no new work is taken, or the room would go to that.
  bool missed();

private:
  bool make() const;

  std::filesystem::path file_;
  std::uint64_t bytes_;
  std::uint64_t spare_bytes_;
  std::mutex mutex_;
  bool given_up_ = false;
};

} // namespace belay::storage
