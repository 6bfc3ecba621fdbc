#include "storage/tables.hpp"

#include <array>
#include <utility>

namespace belay::storage {

namespace {

using table_name = std::pair<const char*, MDB_dbi table_handles::*>;

constexpr std::array<table_name, 14> table_names{{
  {"meta", &table_handles::meta},
  {"id", &table_handles::id},
  {"head", &table_handles::head},
  {"lease", &table_handles::lease},
  {"body", &table_handles::body},
  {"outcome", &table_handles::outcome},
  {"event", &table_handles::event},
  {"event_key", &table_handles::event_key},
  {"ready", &table_handles::ready},
  {"expiry", &table_handles::expiry},
  {"name", &table_handles::name},
  {"name_text", &table_handles::name_text},
  {"owner", &table_handles::owner},
  {"counter", &table_handles::counter},
}};

/// Reads the format version of an existing store before anything is written to it.
void check_format(const environment& env) {
  const transaction txn{env, transaction::mode::read};
  MDB_dbi meta = 0;
  const auto opened = mdb_dbi_open(txn.handle(), "meta", 0, &meta);
  if (opened == MDB_NOTFOUND) {
    MDB_stat stat{};
    check(mdb_env_stat(env.handle(), &stat), "mdb_env_stat");
    if (stat.ms_entries != 0) {
      throw error{error_kind::unusable, "the data file is an LMDB file of another program"};
    }
    return;
  }
  check(opened, "mdb_dbi_open");
  const auto stored = txn.get(meta, meta_keys::format);
  if (!stored) {
    throw error{error_kind::unusable, "the data file is an LMDB file of another program"};
  }
  const auto version = decode_number(*stored, "meta");
  if (version > format_version) {
    throw error{error_kind::unusable, "the store has format version " + std::to_string(version)
                                        + ", this program knows versions up to "
                                        + std::to_string(format_version) + ": use a newer belay"};
  }
}

} // namespace

table_handles open_tables(const environment& env) {
  check_format(env);
  table_handles tables;
  transaction txn{env, transaction::mode::write};
  for (const auto& [name, member] : table_names) {
    check(mdb_dbi_open(txn.handle(), name, MDB_CREATE, &(tables.*member)), "mdb_dbi_open");
  }
  if (!txn.get(tables.meta, meta_keys::format)) {
    txn.put(tables.meta, meta_keys::format, encode_number(format_version));
    txn.put(tables.meta, meta_keys::next_row, encode_number(1));
    txn.put(tables.meta, meta_keys::next_name, encode_number(1));
    txn.put(tables.meta, meta_keys::time, encode_number(0));
  }
  txn.commit();
  return tables;
}

std::string_view table_reader::need(MDB_dbi table, row_id row, const char* what) const {
  const auto found = txn_.get(table, row_key(row));
  if (!found) {
    throw error{error_kind::fault,
                "row " + std::to_string(static_cast<std::uint64_t>(row)) + " has no " + what};
  }
  return *found;
}

std::optional<row_id> table_reader::row(std::string_view id) const {
  // LMDB refuses empty keys and those over 511 bytes: no process has such an id.
  constexpr std::size_t key_bytes_max = 511;
  if (id.empty() || id.size() > key_bytes_max) {
    return std::nullopt;
  }
  const auto found = txn_.get(tables_.id, id);
  if (!found) {
    return std::nullopt;
  }
  return row_id{decode_number(*found, "id")};
}

head_record table_reader::head(row_id row) const {
  return decode_head(need(tables_.head, row, "head"));
}

body_record table_reader::body(row_id row) const {
  return decode_body(need(tables_.body, row, "body"));
}

std::optional<lease_record> table_reader::lease(row_id row) const {
  const auto found = txn_.get(tables_.lease, row_key(row));
  return found ? std::optional{decode_lease(*found)} : std::nullopt;
}

std::optional<outcome_record> table_reader::outcome(row_id row) const {
  const auto found = txn_.get(tables_.outcome, row_key(row));
  return found ? std::optional{decode_outcome(*found)} : std::nullopt;
}

event table_reader::stored_event(row_id row, event_seq seq) const {
  const auto found = txn_.get(tables_.event, event_key(row, seq));
  if (!found) {
    throw error{error_kind::fault, "row " + std::to_string(static_cast<std::uint64_t>(row))
                                     + " has no event " + std::to_string(seq)};
  }
  auto x = decode_event(*found);
  return {seq, x.at, std::move(x.type), text(x.payload), std::move(x.key)};
}

std::optional<name_id> table_reader::find_name(name_kind kind, std::string_view text) const {
  const auto found = txn_.get(tables_.name, std::string(1, static_cast<char>(kind)).append(text));
  return found ? std::optional{static_cast<name_id>(decode_number(*found, "name"))} : std::nullopt;
}

std::string table_reader::name(name_id id) const {
  return std::string{need(tables_.name_text, row_id{id}, "name")};
}

std::uint64_t table_reader::meta(std::string_view key) const {
  const auto found = txn_.get(tables_.meta, key);
  if (!found) {
    throw error{error_kind::fault, "meta has no " + std::string{key}};
  }
  return decode_number(*found, "meta");
}

} // namespace belay::storage
