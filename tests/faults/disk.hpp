// The disk as a test sees it: every write and sync of this program comes by here, is written down
// when asked, and fails when told to. Only this test program has it: disk.cpp stands in for libc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace belay::tests::disk {

enum class what { write, sync, rename, unlink };

/// One thing that was done to a file below the recorded directory.
struct record {
  what kind = what::write;
  std::string path;
  /// Of a rename: the new name.
  std::string target;
  std::uint64_t offset = 0;
  std::string bytes;
  /// Written through a descriptor that waits for the disk (O_DSYNC).
  bool synchronous = false;
};

/// Writes down what happens below a directory from now on.
void start_recording(const std::string& directory);
std::vector<record> stop_recording();
/// Records so far.
std::size_t recorded();

enum class fault { none, write_error, write_short, write_full, sync_error };

/// Lets the n-th matching call (1 is the next) on a file whose path ends in `suffix` fail, and all
/// that follow until `heal`.
void fail_from(fault kind, int nth, const std::string& suffix);
void heal();
/// Calls that were made to fail.
int failed();
/// Writes and syncs seen at all: that the stand-in is in place.
std::uint64_t seen();

} // namespace belay::tests::disk
