#include "storage/environment.hpp"

#include "storage/file_mode.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace belay::storage {

namespace {

constexpr unsigned tables_max = 48;
constexpr unsigned readers_max = 512;
/// Part of the map above which new work is refused, in percent.
constexpr std::uint64_t map_used_max_percent = 95;

/// File systems whose locks and memory maps cannot be trusted (statfs(2)).
constexpr std::array<std::uint64_t, 5> remote_file_systems
  = {0x6969 /* NFS */, 0xFF534D42 /* CIFS */, 0xFE534D42 /* SMB2 */, 0x01021997 /* 9p */,
     0x65735546 /* FUSE */};

[[noreturn]] void unusable(const std::filesystem::path& path, const std::string& why) {
  throw error{error_kind::unusable,
              "the data directory " + path.string() + " cannot be used: " + why};
}

/// Opening one file twice in a program drops LMDB's locks (lmdb.h, "Caveats").
class open_directories {
public:
  static bool add(const std::filesystem::path& path) {
    const std::lock_guard guard{mutex()};
    return paths().insert(path).second;
  }

  static void remove(const std::filesystem::path& path) {
    const std::lock_guard guard{mutex()};
    paths().erase(path);
  }

private:
  static std::mutex& mutex() {
    static std::mutex x;
    return x;
  }

  static std::set<std::filesystem::path>& paths() {
    static std::set<std::filesystem::path> x;
    return x;
  }
};

void sync_directory(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0) {
    const auto why = std::string{std::strerror(errno)};
    if (fd >= 0) {
      close(fd);
    }
    unusable(path, "fsync: " + why);
  }
  close(fd);
}

/// Makes a new directory outlive a power cut: its name stands in its parent, and so on up.
void sync_ancestors(const std::filesystem::path& path) {
  for (auto x = path; x.has_relative_path();) {
    x = x.parent_path();
    if (access(x.c_str(), R_OK) == 0) {
      sync_directory(x);
    }
  }
}

MDB_val to_val(std::string_view x) {
  // LMDB reads through this pointer only.
  return {x.size(), const_cast<char*>(x.data())};
}

std::string_view to_view(const MDB_val& x) {
  return {static_cast<const char*>(x.mv_data), x.mv_size};
}

} // namespace

void check(int code, const char* what) {
  if (code == MDB_SUCCESS) {
    return;
  }
  const auto full
    = code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT || code == MDB_TXN_FULL;
  throw error{full ? error_kind::full : error_kind::fault,
              std::string{what} + ": " + mdb_strerror(code)};
}

environment::environment(const options& opts)
  : size_max_bytes_{opts.size_max_bytes}, free_min_bytes_{opts.free_min_bytes} {
  std::error_code failed;
  if (opts.read_only) {
    directory_ = std::filesystem::canonical(opts.directory, failed);
    if (failed || !std::filesystem::exists(directory_ / "belay.mdb")) {
      unusable(opts.directory, "there is no store in it");
    }
    open(opts);
    return;
  }
  const auto created = std::filesystem::create_directories(opts.directory, failed);
  if (failed) {
    unusable(opts.directory, failed.message());
  }
  if (created) {
    std::filesystem::permissions(opts.directory, std::filesystem::perms::owner_all, failed);
  }
  directory_ = std::filesystem::canonical(opts.directory, failed);
  if (failed) {
    unusable(opts.directory, failed.message());
  }
  struct statfs fs {};
  if (statfs(directory_.c_str(), &fs) == 0) {
    for (const auto type : remote_file_systems) {
      if (static_cast<std::uint64_t>(fs.f_type) == type) {
        unusable(directory_,
                 "it lies on a network or FUSE file system, where locks and memory maps "
                 "do not hold");
      }
    }
  }
  lock(opts.holder);
  try {
    open(opts);
  } catch (...) {
    close(lock_fd_);
    throw;
  }
  ballast_
    = std::make_unique<ballast>(directory_ / "ballast", opts.ballast_bytes, opts.free_min_bytes);
}

environment::~environment() {
  if (env_ != nullptr) {
    mdb_env_close(env_);
    open_directories::remove(directory_);
  }
  if (lock_fd_ >= 0) {
    close(lock_fd_);
  }
}

void environment::lock(const std::string& holder) {
  const auto path = directory_ / "lock";
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, file_mode);
  if (lock_fd_ < 0) {
    unusable(directory_, "open " + path.string() + ": " + std::strerror(errno));
  }
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 512> text{};
    const auto length = pread(lock_fd_, text.data(), text.size() - 1, 0);
    close(lock_fd_);
    lock_fd_ = -1;
    unusable(directory_,
             "it is held by "
               + (length > 0 ? std::string{text.data(), static_cast<std::size_t>(length)}
                             : std::string{"another program"}));
  }
  const auto text = "process " + std::to_string(getpid())
                    + (holder.empty() ? std::string{} : " (" + holder + ")");
  if (ftruncate(lock_fd_, 0) != 0
      || pwrite(lock_fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    const auto why = std::string{std::strerror(errno)};
    close(lock_fd_);
    lock_fd_ = -1;
    unusable(directory_, "write " + path.string() + ": " + why);
  }
}

void environment::open(const options& opts) {
  if (!open_directories::add(directory_)) {
    unusable(directory_, "this program has it open already");
  }
  const auto path = directory_ / "belay.mdb";
  const auto fresh = !std::filesystem::exists(path);
  try {
    check(mdb_env_create(&env_), "mdb_env_create");
    check(mdb_env_set_mapsize(env_, opts.size_max_bytes), "mdb_env_set_mapsize");
    check(mdb_env_set_maxdbs(env_, tables_max), "mdb_env_set_maxdbs");
    check(mdb_env_set_maxreaders(env_, readers_max), "mdb_env_set_maxreaders");
    const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | (opts.read_only ? MDB_RDONLY : 0U);
    const auto opened = mdb_env_open(env_, path.c_str(), flags, file_mode);
    if (opened == MDB_INVALID || opened == MDB_VERSION_MISMATCH) {
      unusable(directory_, path.string() + " is not a belay store (" + mdb_strerror(opened) + ")");
    }
    if (opened != MDB_SUCCESS) {
      unusable(directory_, "open " + path.string() + ": " + mdb_strerror(opened));
    }
    int fd = -1;
    check(mdb_env_get_fd(env_, &fd), "mdb_env_get_fd");
    fcntl(fd, F_SETFD, FD_CLOEXEC); // LMDB 0.9.24 leaves the data file to child programs.
    if (!opts.read_only) {
      int dead = 0;
      check(mdb_reader_check(env_, &dead), "mdb_reader_check");
      readers_checked_ = std::chrono::steady_clock::now();
      sync_directory(directory_);
      if (fresh) {
        sync_ancestors(directory_);
      }
    }
  } catch (...) {
    mdb_env_close(env_);
    env_ = nullptr;
    open_directories::remove(directory_);
    throw;
  }
}

reader_table environment::readers() const {
  // mdb_reader_list gives text: a heading, then a line "pid thread txnid" for each; "-" without a
  // transaction.
  reader_table result;
  const auto note = [](const char* text, void* to) {
    auto& table = *static_cast<reader_table*>(to);
    unsigned long long pid = 0;
    unsigned long long txn = 0;
    std::array<char, 64> thread{};
    if (std::sscanf(text, "%llu %63s %llu", &pid, thread.data(), &txn) == 3) {
      ++table.readers;
      table.oldest = std::min<std::uint64_t>(table.oldest, txn);
    }
    return 0;
  };
  if (mdb_reader_list(env_, note, &result) < 0) {
    throw error{error_kind::fault, "mdb_reader_list"};
  }
  return result;
}

void environment::forget_dead_readers(std::chrono::milliseconds every) {
  const auto now = std::chrono::steady_clock::now();
  if (now - readers_checked_ < every) {
    return;
  }
  readers_checked_ = now;
  int dead = 0;
  // What is wrong with the environment shows in the transaction that follows.
  static_cast<void>(mdb_reader_check(env_, &dead));
}

void environment::copy_to(const std::filesystem::path& file, bool compact) const {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode);
  check(fd < 0 ? errno : MDB_SUCCESS, ("open " + file.string()).c_str());
  // Not mdb_env_copy2, which makes a file that everybody may read.
  auto code = fchmod(fd, file_mode) == 0 ? MDB_SUCCESS : errno;
  if (code == MDB_SUCCESS) {
    code = mdb_env_copyfd2(env_, fd, compact ? MDB_CP_COMPACT : 0);
  }
  if (code == MDB_SUCCESS && fsync(fd) != 0) {
    code = errno;
  }
  close(fd);
  check(code, "copy of the data file");
  sync_directory(file.parent_path());
}

void environment::keep_copy(const std::string& name) const {
  const auto path = directory_ / name;
  const auto fresh = directory_ / (name + ".new");
  if (std::filesystem::exists(path)) {
    return;
  }
  std::filesystem::remove(fresh);
  copy_to(fresh, false);
  std::filesystem::rename(fresh, path);
  sync_directory(directory_);
}

void environment::give_ballast_up() const {
  if (ballast_) {
    ballast_->give_up();
  }
}

bool environment::disk_nearly_full() const {
  if (ballast_ && ballast_->missed()) {
    return true;
  }
  struct statvfs fs {};
  return statvfs(directory_.c_str(), &fs) == 0
         && static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize < free_min_bytes_;
}

bool environment::disk_full() const {
  // A commit of the largest batch needs about as much; with less left a short write means full.
  constexpr std::uint64_t left_bytes = 16U << 20;
  struct statvfs fs {};
  return statvfs(directory_.c_str(), &fs) == 0
         && static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize
              < std::max(free_min_bytes_, left_bytes);
}

bool environment::nearly_full() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  check(mdb_env_info(env_, &info), "mdb_env_info");
  check(mdb_env_stat(env_, &stat), "mdb_env_stat");
  const auto most = size_max_bytes_ / 100 * map_used_max_percent;
  const auto pages = static_cast<std::uint64_t>(info.me_last_pgno) + 1;
  // The file never shrinks: once it is large, what counts is how much of it is free.
  return (pages * stat.ms_psize > most && (pages - free_pages()) * stat.ms_psize > most)
         || disk_nearly_full();
}

std::uint64_t environment::free_pages() const {
  // LMDB's own table 0 lists them: a count, then their numbers, for each transaction. A write
  // transaction may not look there.
  constexpr MDB_dbi free_table = 0;
  const transaction txn{*this, transaction::mode::read};
  std::uint64_t pages = 0;
  cursor free{txn, free_table};
  for (auto found = free.first(); found; found = free.next()) {
    std::uint64_t count = 0;
    std::memcpy(&count, free.value().data(), sizeof count);
    pages += count;
  }
  return pages;
}

transaction::transaction(const environment& env, mode how) : env_{env} {
  check(mdb_txn_begin(env.handle(), nullptr, how == mode::read ? MDB_RDONLY : 0, &txn_),
        "mdb_txn_begin");
}

transaction::~transaction() {
  if (txn_ != nullptr) {
    mdb_txn_abort(txn_);
  }
}

std::optional<std::string_view> transaction::get(MDB_dbi table, std::string_view key) const {
  auto k = to_val(key);
  MDB_val v{};
  const auto code = mdb_get(txn_, table, &k, &v);
  if (code == MDB_NOTFOUND) {
    return std::nullopt;
  }
  check(code, "mdb_get");
  return to_view(v);
}

void transaction::put(MDB_dbi table, std::string_view key, std::string_view value) {
  auto k = to_val(key);
  auto v = to_val(value);
  dirty_ = true;
  check(mdb_put(txn_, table, &k, &v, 0), "mdb_put");
}

bool transaction::erase(MDB_dbi table, std::string_view key) {
  auto k = to_val(key);
  const auto code = mdb_del(txn_, table, &k, nullptr);
  if (code == MDB_NOTFOUND) {
    return false;
  }
  dirty_ = true;
  check(code, "mdb_del");
  return true;
}

void transaction::commit() {
  assert(thread_ == std::this_thread::get_id());
  auto* txn = txn_;
  txn_ = nullptr;
  const auto code = mdb_txn_commit(txn);
  if (code == EIO && env_.disk_full()) {
    // A short write on a full disk: LMDB says EIO (mdb.c, mdb_page_flush).
    throw error{error_kind::full, "mdb_txn_commit: the disk is full"};
  }
  check(code, "mdb_txn_commit");
}

cursor::cursor(const transaction& txn, MDB_dbi table) {
  check(mdb_cursor_open(txn.handle(), table, &cursor_), "mdb_cursor_open");
}

cursor::~cursor() {
  mdb_cursor_close(cursor_);
}

bool cursor::move(MDB_cursor_op how) {
  const auto code = mdb_cursor_get(cursor_, &key_, &value_, how);
  if (code == MDB_NOTFOUND) {
    return false;
  }
  check(code, "mdb_cursor_get");
  return true;
}

bool cursor::seek(std::string_view key) {
  key_ = to_val(key);
  return move(MDB_SET_RANGE);
}

bool cursor::first() {
  return move(MDB_FIRST);
}

bool cursor::last() {
  return move(MDB_LAST);
}

bool cursor::next() {
  return move(MDB_NEXT);
}

bool cursor::previous() {
  return move(MDB_PREV);
}

std::string_view cursor::key() const {
  return to_view(key_);
}

std::string_view cursor::value() const {
  return to_view(value_);
}

} // namespace belay::storage
