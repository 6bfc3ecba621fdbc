// The part of the full scan that looks at queues: rows that stand aside, counts by key, bounds.
#pragma once

#include "storage/tables.hpp"

#include <functional>

namespace belay::storage {

/// What the rows say of the concurrency keys, gathered while they are scanned.
class key_census {
public:
  /// Counts a row that has a concurrency key.
  void add(const head_record& head, std::string_view concurrency_key);

  /// Compares with the tables `blocked`, `key_running`, `queue` and `failed`. Each finding is given
  /// to `add` as a sentence.
  void check(const transaction& txn, const table_handles& tables, const table_reader& read,
             const std::function<void(std::string)>& add) const;

private:
  struct tally {
    name_id queue = 0;
    std::uint64_t running = 0;
    std::uint64_t ready = 0;
    std::uint64_t blocked = 0;
  };

  /// Nobody stands aside while there is room for one with its key.
  static void check_blocked(const tally& x, const table_reader& read,
                            const std::function<void(std::string)>& add);

  /// By the key of `key_running`.
  std::map<std::string, tally> tallies_;
  std::uint64_t blocked_ = 0;
};

} // namespace belay::storage
