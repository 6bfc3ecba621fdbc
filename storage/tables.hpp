// The tables of a store: opened once, all together, before any other transaction.
#pragma once

#include "storage/blobs.hpp"
#include "storage/environment.hpp"

#include <map>
#include <optional>

namespace belay::storage {

/// The handles of all tables; docs/FORMAT.md says what stands in each.
struct table_handles {
  MDB_dbi meta = 0;
  MDB_dbi id = 0;
  MDB_dbi head = 0;
  MDB_dbi lease = 0;
  MDB_dbi body = 0;
  MDB_dbi outcome = 0;
  MDB_dbi event = 0;
  MDB_dbi event_key = 0;
  MDB_dbi ready = 0;
  MDB_dbi expiry = 0;
  MDB_dbi name = 0;
  MDB_dbi name_text = 0;
  MDB_dbi owner = 0;
  MDB_dbi counter = 0;
  MDB_dbi detail = 0;
  MDB_dbi observer = 0;
  MDB_dbi session = 0;
  MDB_dbi change = 0;
  MDB_dbi finished = 0;
  MDB_dbi child = 0;
  MDB_dbi wait = 0;
  MDB_dbi waiter = 0;
  MDB_dbi timer = 0;
  MDB_dbi wake = 0;
  MDB_dbi wake_open = 0;
  MDB_dbi wake_row = 0;
  MDB_dbi tombstone = 0;
  MDB_dbi tombstone_age = 0;
  MDB_dbi blob = 0;
  MDB_dbi event_by_type = 0;
  MDB_dbi journal = 0;
  MDB_dbi status = 0;
  MDB_dbi attachment = 0;
  MDB_dbi queue = 0;
  MDB_dbi blocked = 0;
  MDB_dbi key_running = 0;
  MDB_dbi failed = 0;

  /// Every table by its name.
  [[nodiscard]] std::vector<std::pair<std::string, MDB_dbi>> all() const;
};

/// What kind of thing an interned name names.
enum class name_kind : char { queue = 'q', kind = 'k', owner = 'o' };

/// Returns the key of a name in the table `name`.
[[nodiscard]] std::string name_key(name_kind kind, std::string_view text);

/// Keys of `meta`.
namespace meta_keys {
inline constexpr std::string_view format = "format";
inline constexpr std::string_view next_row = "next_row";
inline constexpr std::string_view next_name = "next_name";
inline constexpr std::string_view time = "time";
inline constexpr std::string_view next_change = "next_change";
inline constexpr std::string_view next_wake = "next_wake";
inline constexpr std::string_view open_wakes = "open_wakes";
/// The highest fence of any forgotten tombstone: new processes begin above it.
inline constexpr std::string_view fence_floor = "fence_floor";
} // namespace meta_keys

/// Version of the format this program writes.
inline constexpr std::uint64_t format_version = 4;

/// Opens all tables, makes them in a new store, and checks the format version.
/// A store of an earlier format is copied to `belay.mdb.formatN` and brought up to this one in one
/// transaction. Throws `error{unusable}` on a newer format or a file of another program.
[[nodiscard]] table_handles open_tables(const environment& env, const blob_store& blobs);

/// The same for a store that is only read. Throws `error{unusable}` also on an older format.
[[nodiscard]] table_handles open_tables_to_read(const environment& env);

/// Reads that both batches and queries need; all inside the caller's transaction.
class table_reader {
public:
  table_reader(const transaction& txn, const table_handles& tables, const blob_store& blobs)
    : txn_{txn}, tables_{tables}, blobs_{blobs} {}

  [[nodiscard]] std::optional<row_id> row(std::string_view id) const;
  /// Returns the row; refuses with `unknown_process` or, of a pruned one, `pruned`.
  [[nodiscard]] checked<row_id> lookup(std::string_view id) const;
  [[nodiscard]] std::optional<tombstone_record> tombstone(std::string_view id) const;
  [[nodiscard]] std::optional<head_record> find_head(row_id row) const;
  [[nodiscard]] detail_record detail(row_id row) const;
  [[nodiscard]] std::optional<wait_record> waiting(row_id row) const;
  /// What was said of a queue; the defaults when nothing was.
  [[nodiscard]] queue_record queue(name_id queue) const;
  /// How many processes of a queue run with a concurrency key.
  [[nodiscard]] std::uint64_t running_with(std::string_view queue_key) const;
  [[nodiscard]] std::vector<std::string> observers(row_id row) const;
  [[nodiscard]] std::optional<journal_record> journal_entry_at(row_id row, std::uint64_t n) const;
  /// The number of the last entry of a row's journal; 0 when it has none.
  [[nodiscard]] std::uint64_t journal_entries(row_id row) const;
  /// The n-th event of a type, from 1; 0 when there is none yet.
  [[nodiscard]] event_seq
  nth_event(row_id row, const head_record& head, std::string_view type, std::uint64_t n) const;
  /// How many events of a type there are up to and including a sequence number.
  [[nodiscard]] std::uint64_t
  count_events(row_id row, const head_record& head, std::string_view type, event_seq through) const;
  /// The first event of a type after a sequence number; 0 when there is none.
  [[nodiscard]] event_seq
  first_event(row_id row, const head_record& head, std::string_view type, event_seq after) const;
  /// Requires that the row exists; otherwise throws `error{fault}`.
  [[nodiscard]] head_record head(row_id row) const;
  [[nodiscard]] body_record body(row_id row) const;
  [[nodiscard]] std::optional<lease_record> lease(row_id row) const;
  [[nodiscard]] std::optional<outcome_record> outcome(row_id row) const;
  [[nodiscard]] event stored_event(row_id row, event_seq seq) const;
  [[nodiscard]] std::string text(const stored_text& x) const {
    return blobs_.get(x);
  }
  [[nodiscard]] std::optional<name_id> find_name(name_kind kind, std::string_view text) const;
  [[nodiscard]] std::string name(name_id id) const;
  /// How many queue and kind names there are; looks at each of them.
  [[nodiscard]] std::uint64_t count_names() const;
  [[nodiscard]] std::uint64_t meta(std::string_view key) const;

private:
  [[nodiscard]] std::string_view need(MDB_dbi table, row_id row, const char* what) const;

  const transaction& txn_;
  const table_handles& tables_;
  const blob_store& blobs_;
};

/// Returns a wake as its receiver and an operator see it.
[[nodiscard]] wake view_of(const table_reader& read, wake_id id, const wake_record& x);

} // namespace belay::storage
