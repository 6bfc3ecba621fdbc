// A closed store, changed through LMDB itself.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <lmdb.h>
#include <string>

namespace belay::tests {

/// Changes one table.
inline void tamper(const std::filesystem::path& directory, const char* table,
                   const std::function<void(MDB_txn*, MDB_dbi)>& change) {
  MDB_env* env = nullptr;
  REQUIRE(mdb_env_create(&env) == 0);
  mdb_env_set_maxdbs(env, 64);
  REQUIRE(mdb_env_open(env, (directory / "belay.mdb").c_str(), MDB_NOSUBDIR, 0600) == 0);
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  REQUIRE(mdb_txn_begin(env, nullptr, 0, &txn) == 0);
  REQUIRE(mdb_dbi_open(txn, table, 0, &dbi) == 0);
  change(txn, dbi);
  REQUIRE(mdb_txn_commit(txn) == 0);
  mdb_env_close(env);
}

inline void raw_put(MDB_txn* txn, MDB_dbi dbi, std::string key, std::string value) {
  MDB_val k{key.size(), key.data()};
  MDB_val v{value.size(), value.data()};
  REQUIRE(mdb_put(txn, dbi, &k, &v, 0) == 0);
}

} // namespace belay::tests
