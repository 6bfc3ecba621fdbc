// Sizes of a store, and copies of it.
#include "storage/store_impl.hpp"

#include <filesystem>
#include <sys/statvfs.h>

namespace belay::storage {

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
  const auto reading = impl_->env.readers();
  result.readers = reading.readers;
  if (reading.oldest < result.last_transaction) {
    result.oldest_reader_behind = result.last_transaction - reading.oldest;
  }
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
  if (!failed && std::filesystem::is_empty(directory, failed) && !failed) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, failed);
  } else {
    failed = std::make_error_code(std::errc::file_exists);
  }
  if (failed) {
    throw error{error_kind::unusable,
                directory.string() + ": not an empty directory that can be written"};
  }
  // Keeps the files of the copy: what it points to is there as long as this has not ended.
  const transaction snapshot{impl_->env, transaction::mode::read};
  impl_->env.copy_to(directory / "belay.mdb", compact);
  {
    options opts;
    opts.directory = directory;
    opts.read_only = true;
    const store copy{opts};
    const transaction txn{copy.impl_->env, transaction::mode::read};
    const blob_store blobs{directory, 0};
    cursor all{txn, copy.impl_->tables.blob};
    for (auto found = all.first(); found; found = all.next()) {
      static_cast<void>(blobs.put(impl_->blobs.get({true, std::string{all.key()}})));
    }
  }
  std::filesystem::remove(directory / "belay.mdb-lock", failed);
}

} // namespace belay::storage
