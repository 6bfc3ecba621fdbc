// LMDB: the environment of one data directory, its transactions and cursors.
//
// Rules of LMDB that this file keeps (lmdb.h): one environment per file and program; a write
// transaction lives on one thread; a read transaction is short; no table is opened while another
// transaction is open.
#pragma once

#include "storage/ballast.hpp"
#include "storage/store.hpp"

#include <chrono>
#include <limits>
#include <lmdb.h>
#include <optional>
#include <string_view>
#include <thread>

namespace belay::storage {

/// Throws the `error` that an LMDB code stands for; `what` names the failing call.
void check(int code, const char* what);

/// The table of read transactions, of every program that has the data file open.
struct reader_table {
  std::uint64_t readers = 0;
  /// The transaction whose state the oldest of them sees; the largest number when there is none.
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
};

/// The locked data directory and its open data file.
class environment {
public:
  explicit environment(const options& opts);
  ~environment();
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;

  [[nodiscard]] MDB_env* handle() const {
    return env_;
  }

  [[nodiscard]] reader_table readers() const;

  /// Takes the readers of programs that have died out of the table, unless that was done less than
  /// `every` ago: the pages that such a one holds back are lost to the store until then.
  void forget_dead_readers(std::chrono::milliseconds every);

  /// Writes a consistent copy of the data file into a new file and waits until it is on disk.
  void copy_to(const std::filesystem::path& file, bool compact) const;

  /// Writes a consistent copy of the data file beside it, unless there is one already.
  void keep_copy(const std::string& name) const;

  /// Pages inside the data file that are free, counted in a read transaction of its own.
  [[nodiscard]] std::uint64_t free_pages() const;

  /// Whether the map or the disk has so little room that new work is refused.
  [[nodiscard]] bool nearly_full() const;
  /// Whether the disk has less than `free_min_bytes` left.
  [[nodiscard]] bool disk_nearly_full() const;
  /// A write has found the disk full: gives the ballast back to it.
  void give_ballast_up() const;
  /// Whether a failed write is explained by a full disk.
  [[nodiscard]] bool disk_full() const;

private:
  void lock(const std::string& holder);
  void open(const options& opts);

  std::filesystem::path directory_;
  std::uint64_t size_max_bytes_;
  std::uint64_t free_min_bytes_;
  int lock_fd_ = -1;
  MDB_env* env_ = nullptr;
  std::chrono::steady_clock::time_point readers_checked_;
  /// None in a store that is only read.
  std::unique_ptr<ballast> ballast_;
};

/// One transaction; aborted unless committed. Values read from it are valid until it ends or, in a
/// write transaction, until the next write.
class transaction {
public:
  enum class mode { read, write };

  transaction(const environment& env, mode how);
  ~transaction();
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  [[nodiscard]] std::optional<std::string_view> get(MDB_dbi table, std::string_view key) const;
  void put(MDB_dbi table, std::string_view key, std::string_view value);
  /// Returns whether there was such a key.
  bool erase(MDB_dbi table, std::string_view key);
  /// Waits until everything is on disk.
  void commit();

  [[nodiscard]] MDB_txn* handle() const {
    return txn_;
  }

  /// LMDB's number of it: what a reader sees, or what a write makes.
  [[nodiscard]] std::uint64_t number() const {
    return mdb_txn_id(txn_);
  }

  /// Whether anything was written.
  [[nodiscard]] bool dirty() const {
    return dirty_;
  }

private:
  const environment& env_;
  MDB_txn* txn_ = nullptr;
  std::thread::id thread_ = std::this_thread::get_id();
  bool dirty_ = false;
};

/// Walks the keys of one table in order. Ends before its transaction.
class cursor {
public:
  cursor(const transaction& txn, MDB_dbi table);
  ~cursor();
  cursor(const cursor&) = delete;
  cursor& operator=(const cursor&) = delete;

  /// Goes to the first key that is not less. Returns whether there is one.
  bool seek(std::string_view key);
  bool first();
  bool last();
  bool next();
  bool previous();

  [[nodiscard]] std::string_view key() const;
  [[nodiscard]] std::string_view value() const;

private:
  bool move(MDB_cursor_op how);

  MDB_cursor* cursor_ = nullptr;
  MDB_val key_{};
  MDB_val value_{};
};

} // namespace belay::storage
