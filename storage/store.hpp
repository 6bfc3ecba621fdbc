// The store: every table of one data directory, and the one way to change them.
//
// Concurrency: `apply` is called from one thread at a time (the registry's). The reads may be
// called from any thread; each is one short read transaction that ends before the call returns.
//
// Faults (an unreadable disk, a failed sync, a broken record) throw `storage::error`; refusals are
// answers. After a throw of `apply` nothing of the batch is known to have happened.
#pragma once

#include "messages/operations.hpp"
#include "messages/session_snapshot.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>

namespace belay::storage {

/// What a fault means for the program.
enum class error_kind {
  /// Disk or map full: nothing was written; the store goes on, refusing new work.
  full,
  /// The directory or its format is not usable: said at open, the program ends with code 2.
  unusable,
  /// Anything else: the program must end; never retry an fsync.
  fault,
};

class error : public std::runtime_error {
public:
  error(error_kind kind, const std::string& what) : std::runtime_error{what}, kind_{kind} {}

  [[nodiscard]] error_kind kind() const {
    return kind_;
  }

private:
  error_kind kind_;
};

struct options {
  std::filesystem::path directory;
  /// Size of the reserved map in bytes; the file grows only as used.
  std::uint64_t size_max_bytes = 64ULL << 30;
  /// New processes are refused when less than this is free on the disk, in bytes.
  std::uint64_t free_min_bytes = 64ULL << 20;
  /// Room on the disk that is set aside in a file and given back once a write finds the disk full;
  /// 0 means none.
  std::uint64_t ballast_bytes = 16ULL << 20;
  /// Texts longer than this go to files beside the store, in bytes.
  std::size_t inline_bytes_max = 2'048;
  /// Most distinct queue and kind names.
  std::uint32_t names_max = 10'000;
  /// Interruptions after which a row is quarantined; 0 means never.
  std::uint32_t interruptions_max = 3;
  /// Most events of one process.
  std::uint64_t events_max = 1'000'000;
  /// Largest event payload in bytes.
  std::size_t event_bytes_max = 65'536;
  /// Largest outcome in bytes.
  std::size_t outcome_bytes_max = 4'194'304;
  /// Most entries of one journal.
  std::uint64_t journal_max = 100'000;
  /// Largest status of a process, as JSON text, in bytes.
  std::size_t status_bytes_max = 65'536;
  /// Largest attachment in bytes, and most of them with one process.
  std::size_t attachment_bytes_max = 2'097'152;
  std::uint64_t attachments_max = 1'000;
  /// Most wakes on their way in all.
  std::uint64_t wakes_max = 1'000'000;
  /// Times a wake is handed out before it is given up.
  std::uint32_t wake_attempts_max = 20;
  /// Age at which a wake is given up, in milliseconds; 0 means never.
  duration_ms wake_age_max = 7LL * 24 * 3'600 * 1'000;
  /// Names of files that wait for a reader to end before they are deleted. About 300 bytes of
  /// memory each; of those beyond it the folders are looked through instead.
  std::size_t dropped_names_max = 100'000;
  /// How often writing looks for readers whose program has died, at most. One such look costs a
  /// system call for each other program that reads; what a dead reader holds back is what was
  /// written meanwhile.
  std::chrono::milliseconds reader_check_every{10'000};
  /// Opens an existing store to read it while another program may hold it: takes no lock, writes
  /// nothing, `apply` is refused.
  bool read_only = false;
  registration_limits registration;
  /// Looks at the arguments of a process that is new; what it returns is why there is to be none.
  /// May be empty. Not asked for an import, nor for what somebody outside is to complete.
  std::function<std::optional<refusal>(const belay::registration&)> check_new;
  /// What the lock file says of the holder.
  std::string holder;
};

/// What a batch may not ask the machine for itself.
struct batch_context {
  timestamp_ms now = 0;
  /// Returns 64 random bits: lease tokens, retry jitter.
  std::function<std::uint64_t()> random;
};

/// What a batch did to a process, for those who count.
struct happening {
  enum class what : std::uint8_t {
    registered,
    claimed,
    finished,
    retried,
    interrupted,
    quarantined,
    /// Woken because a time had come: a timer, or the deadline of another wait.
    timer,
  };

  what happened = what::registered;
  /// Of `finished`.
  outcome_kind ended = outcome_kind::success;
  /// Name of its kind, see `store::name`.
  std::uint32_t kind = 0;
  /// Of a first claim: how long the process was ready before, in milliseconds; otherwise -1.
  duration_ms waited = -1;
};

/// A holder to be told that its process is to end.
struct cancel_push {
  row_id row{};
  owner holder;
  fencing_token fence{};
  bool kill = false;
};

struct batch_result {
  /// One for each operation, in order.
  std::vector<answer> answers;
  /// Rows with a new event or state, each once.
  std::vector<row_id> changed;
  /// Whether a row became claimable, now or at a later due time.
  bool ready_changed = false;
  /// Holders that are to be told of a cancel: of one that a parent's end made, and of each that a
  /// renewal shows not to have been heard.
  std::vector<cancel_push> pushes;
  /// In the order in which it happened.
  std::vector<happening> happenings;
  /// Whether there was anything to write.
  bool written = false;
};

/// The times the timekeeper waits for; 0 means none.
struct next_times {
  /// The earliest due time after now.
  timestamp_ms due_at = 0;
  /// The earliest entry of the expiry index (may be earlier than the true expiry: renewals are
  /// noticed lazily).
  timestamp_ms expires_at = 0;
  /// The earliest deadline of a waiting row or end of a wake.
  timestamp_ms timer_at = 0;
};

/// Sizes of a store, for people and alarms.
struct store_stat {
  std::uint64_t page_bytes = 0;
  /// Of the data file, and what of it is in use; the rest is free pages inside it.
  std::uint64_t file_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t free_pages = 0;
  std::uint64_t size_max_bytes = 0;
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t blobs = 0;
  std::uint64_t last_transaction = 0;
  /// Readers, and how many transactions the oldest of them lies behind.
  std::uint64_t readers = 0;
  std::uint64_t oldest_reader_behind = 0;
  /// Records by table.
  std::map<std::string, std::uint64_t> records;
  std::map<std::string, std::uint64_t> by_state;
};

class store {
public:
  /// Opens or creates the data directory and locks it.
  /// Throws `error{unusable}` when another program holds it (the text names the holder), the format
  /// is newer, or the directory cannot be used.
  explicit store(options opts);
  ~store();
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  /// Applies a batch in one write transaction and waits until it is on disk.
  [[nodiscard]] batch_result apply(std::span<const operation> batch, const batch_context& context);

  /// Returns the largest time ever given to `apply`, for a clock that never goes back.
  [[nodiscard]] timestamp_ms last_time() const;

  /// Refuses with `unknown_process` or `pruned`.
  [[nodiscard]] checked<process_view> get(std::string_view id) const;
  [[nodiscard]] process_page list(const list_query& query, timestamp_ms now) const;
  /// Refuses (`unknown_process`). Returns at most `limit` events and about 1 MiB.
  [[nodiscard]] checked<event_page>
  events_after(std::string_view id, event_seq after, std::uint32_t limit) const;
  /// The last events of a process, oldest first. Refuses as `events_after`.
  [[nodiscard]] checked<event_page> recent_events(std::string_view id, std::uint32_t limit) const;
  /// How many events of a type there are up to and including a sequence number.
  [[nodiscard]] checked<std::uint64_t>
  count_events(std::string_view id, std::string_view type, event_seq through) const;
  /// The first event of a type after a sequence number, if there is one yet.
  [[nodiscard]] checked<std::optional<event>>
  event_after(std::string_view id, std::string_view type, event_seq after) const;
  /// The n-th event of a type, from 1, if there is one yet.
  [[nodiscard]] checked<std::optional<event>>
  nth_event(std::string_view id, std::string_view type, std::uint64_t n) const;
  /// The journal after an entry. Returns at most `limit` entries and about 1 MiB.
  [[nodiscard]] checked<journal_page>
  journal_after(std::string_view id, std::uint64_t after, std::uint32_t limit) const;
  /// Attached bytes. Refuses with `unknown_process`, `pruned`, `bad_request` (no such attachment).
  [[nodiscard]] checked<attachment> attached(std::string_view id, std::string_view ref) const;
  /// The change feed after a position, oldest first.
  [[nodiscard]] change_page changes_since(std::uint64_t cursor, std::uint32_t limit) const;
  /// How many live processes run each definition (or, without one, each kind).
  [[nodiscard]] std::map<std::string, std::uint64_t> live_references() const;
  [[nodiscard]] wake_list wakes(const wakes_query& query) const;
  /// A stretch of a session's snapshot: at most `query.limit` processes and about 1 MiB.
  [[nodiscard]] session_snapshot session(const session_query& query) const;
  /// Whether a session has a wake that may be taken now.
  [[nodiscard]] bool has_wake(std::string_view session, timestamp_ms now) const;
  [[nodiscard]] store_stat stat() const;
  /// Bytes of the data file that are in use.
  [[nodiscard]] std::uint64_t used_bytes() const;
  /// Returns the row of an id. Refuses with `unknown_process` or `pruned`.
  [[nodiscard]] checked<row_id> find(std::string_view id) const;
  /// Returns the outcome if the process has one.
  [[nodiscard]] std::optional<outcome_view> outcome_of(row_id row) const;
  [[nodiscard]] process_counts counts() const;
  /// The text of a queue's, kind's or owner's name. Throws `error` when there is none of this
  /// number.
  [[nodiscard]] std::string name(std::uint32_t number) const;
  /// What stands in each queue, and how it is worked off.
  [[nodiscard]] queue_list queues(timestamp_ms now) const;
  [[nodiscard]] next_times upcoming(timestamp_ms now) const;

  /// Returns whether new processes are refused because the disk or the map is nearly full.
  [[nodiscard]] bool nearly_full() const;

  /// Checks every record and invariant by a full scan; returns one sentence per violation, at most
  /// `findings_max`.
  [[nodiscard]] std::vector<std::string> check(std::size_t findings_max = 1'000) const;

  /// Writes a consistent copy of everything into an empty or new directory, while the store is in
  /// use. Until it returns it is a reader: nothing that was there at its beginning goes. Throws
  /// `error`.
  void copy_to(const std::filesystem::path& directory, bool compact) const;
  /// Deletes the files that no record points to and no reader can come to: what a crash has left
  /// behind. Looks at every file. Used by the thread that writes.
  void remove_waste();
  /// Writes everything as JSON lines in a stable order, for `import_lines`.
  void export_lines(std::ostream& out) const;
  /// Fills this store, which must be empty, from what `export_lines` wrote. Throws
  /// `error{unusable}` that names the line; nothing is written then.
  void import_lines(std::istream& in);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay::storage
