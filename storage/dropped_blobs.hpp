// Files of long texts that no record points to any more, until nobody can read them.
#pragma once

#include "storage/environment.hpp"
#include "storage/tables.hpp"

#include <bitset>
#include <deque>
#include <set>
#include <string>
#include <unordered_map>

namespace belay::storage {

/// A reader sees the store as it was when it began, and opens the files of its texts later: a file
/// goes only when every reader, of any program, began after the transaction that dropped its name.
///
/// All of it is in memory: after a crash the files that waited are waste, which `doubt_all` finds.
/// Used by the thread that writes.
class dropped_blobs {
public:
  /// Remembers at most `names_max` names; of those beyond it only the folder is kept in mind, which
  /// is looked through when they may go.
  dropped_blobs(const environment& env, const table_handles& tables, const blob_store& blobs,
                std::size_t names_max)
    : env_{env}, tables_{tables}, blobs_{blobs}, names_max_{names_max} {}

  /// Remembers the names that a committed transaction dropped.
  void add(const std::set<std::string>& names, std::uint64_t transaction);

  /// Deletes some of the files that no reader can come to any more. Called before a write
  /// transaction begins, never right after the commit that dropped them: a reader that is just
  /// beginning has read the number of the last transaction but may not yet stand in the table.
  /// What fails is left for the next call.
  void release();

  /// As `release`, all of them: for the end of a store.
  void release_all();

  /// Whether anything points to a file is to be looked up for every file there is: finds what a
  /// crash has left behind.
  void doubt_all();

  /// What was dropped is no longer known: a commit has failed in a way that leaves open what it
  /// did. The files become waste.
  void forget();

private:
  struct entry {
    std::uint64_t transaction = 0;
    std::string name;
  };

  void release_some(std::size_t names, std::size_t folders);
  void look_through(std::size_t folder, const transaction& txn) const;

  const environment& env_;
  const table_handles& tables_;
  const blob_store& blobs_;
  std::size_t names_max_;
  /// In the order of their transactions; an entry whose name was dropped again later is void.
  std::deque<entry> waiting_;
  /// The transaction that dropped a name last.
  std::unordered_map<std::string, std::uint64_t> last_;
  /// Folders to look through, and the last transaction that dropped a name in one of them.
  std::bitset<blob_store::folders> doubtful_;
  std::uint64_t doubtful_since_ = 0;
};

} // namespace belay::storage
