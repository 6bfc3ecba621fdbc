#include "storage/about.hpp"

#include "storage/tables.hpp"

#include <lmdb.h>

namespace belay::storage {

std::string lmdb_version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  mdb_version(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

std::uint64_t store_format() {
  return format_version;
}

std::string durability_text() {
  // environment.cpp opens with these flags and no others; tests/faults cuts the power.
  return "every acknowledged write is a committed LMDB transaction, synced to disk with fdatasync "
         "(LMDB's default flags: never MDB_NOSYNC, MDB_NOMETASYNC or MDB_WRITEMAP)";
}

} // namespace belay::storage
