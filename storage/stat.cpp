// Sizes of a store, and copies of it.
#include "storage/store_impl.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sys/statvfs.h>

namespace belay::storage {

namespace {

/// How often a copy is begun anew when a file was pruned while it was made.
constexpr int copy_tries = 5;

/// Keeps the reader that lies furthest behind, and how many there are (mdb_reader_list gives text:
/// a heading, then a line "pid thread txnid" for each; "-" without a transaction).
int note_reader(const char* text, void* to) {
  auto& stat = *static_cast<store_stat*>(to);
  unsigned long long pid = 0;
  unsigned long long txn = 0;
  std::array<char, 64> thread{};
  if (std::sscanf(text, "%llu %63s %llu", &pid, thread.data(), &txn) == 3) {
    ++stat.readers;
    if (stat.last_transaction > txn) {
      stat.oldest_reader_behind
        = std::max<std::uint64_t>(stat.oldest_reader_behind, stat.last_transaction - txn);
    }
  }
  return 0;
}

} // namespace

std::uint64_t store::used_bytes() const {
  MDB_envinfo info{};
  MDB_stat pages{};
  storage::check(mdb_env_info(impl_->env.handle(), &info), "mdb_env_info");
  storage::check(mdb_env_stat(impl_->env.handle(), &pages), "mdb_env_stat");
  return (static_cast<std::uint64_t>(info.me_last_pgno) + 1 - impl_->env.free_pages())
         * pages.ms_psize;
}

store_stat store::stat() const {
  store_stat result;
  const transaction txn{impl_->env, transaction::mode::read};
  auto* env = impl_->env.handle();
  MDB_envinfo info{};
  MDB_stat pages{};
  storage::check(mdb_env_info(env, &info), "mdb_env_info");
  storage::check(mdb_env_stat(env, &pages), "mdb_env_stat");
  result.page_bytes = pages.ms_psize;
  result.file_bytes = (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * pages.ms_psize;
  result.size_max_bytes = impl_->opts.size_max_bytes;
  result.last_transaction = info.me_last_txnid;
  mdb_reader_list(env, note_reader, &result);
  for (const auto& [name, handle] : impl_->tables.all()) {
    MDB_stat table{};
    storage::check(mdb_stat(txn.handle(), handle, &table), "mdb_stat");
    result.records[name] = table.ms_entries;
  }
  result.blobs = result.records["blob"];
  result.free_pages = impl_->env.free_pages();
  result.used_bytes = result.file_bytes - result.free_pages * result.page_bytes;
  struct statvfs fs {};
  if (statvfs(impl_->opts.directory.c_str(), &fs) == 0) {
    result.disk_free_bytes = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
  }
  result.by_state = counts().by_state;
  return result;
}

void store::copy_to(const std::filesystem::path& directory, bool compact) const {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed || !std::filesystem::is_empty(directory, failed) || failed) {
    throw error{error_kind::unusable,
                directory.string() + ": not an empty directory that can be written"};
  }
  const auto data = directory / "belay.mdb";
  for (int attempt = 1;; ++attempt) {
    storage::check(mdb_env_copy2(impl_->env.handle(), data.c_str(), compact ? MDB_CP_COMPACT : 0),
                   "mdb_env_copy2");
    // The files that the copy points to; one that was pruned since makes this copy useless.
    auto complete = true;
    {
      options opts;
      opts.directory = directory;
      opts.read_only = true;
      const store copy{opts};
      const transaction txn{copy.impl_->env, transaction::mode::read};
      const blob_store blobs{directory, 0};
      cursor all{txn, copy.impl_->tables.blob};
      for (auto found = all.first(); found && complete; found = all.next()) {
        const auto name = std::string{all.key()};
        try {
          static_cast<void>(blobs.put(impl_->blobs.get({true, name})));
        } catch (const error& x) {
          if (x.kind() == error_kind::full || attempt == copy_tries) {
            throw;
          }
          complete = false;
        }
      }
    }
    std::filesystem::remove(directory / "belay.mdb-lock", failed);
    if (complete) {
      break;
    }
    std::filesystem::remove(data);
  }
  impl_->env.sync_file(data);
}

} // namespace belay::storage
