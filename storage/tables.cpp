#include "storage/tables.hpp"

#include "storage/codec.hpp"
#include "storage/migrate.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace belay::storage {

namespace {

/// LMDB refuses empty keys and those over 511 bytes: no process has such an id.
constexpr std::size_t key_bytes_max = 511;

using table_name = std::pair<const char*, MDB_dbi table_handles::*>;

constexpr std::array<table_name, 37> table_names{{
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
  {"detail", &table_handles::detail},
  {"observer", &table_handles::observer},
  {"session", &table_handles::session},
  {"change", &table_handles::change},
  {"finished", &table_handles::finished},
  {"child", &table_handles::child},
  {"wait", &table_handles::wait},
  {"waiter", &table_handles::waiter},
  {"timer", &table_handles::timer},
  {"wake", &table_handles::wake},
  {"wake_open", &table_handles::wake_open},
  {"wake_row", &table_handles::wake_row},
  {"tombstone", &table_handles::tombstone},
  {"tombstone_age", &table_handles::tombstone_age},
  {"blob", &table_handles::blob},
  {"event_by_type", &table_handles::event_by_type},
  {"journal", &table_handles::journal},
  {"status", &table_handles::status},
  {"attachment", &table_handles::attachment},
  {"queue", &table_handles::queue},
  {"blocked", &table_handles::blocked},
  {"key_running", &table_handles::key_running},
  {"failed", &table_handles::failed},
}};

/// Reads the format version of an existing store before anything is written to it.
/// Returns it; 0 of a new store.
std::uint64_t check_format(const environment& env) {
  const transaction txn{env, transaction::mode::read};
  MDB_dbi meta = 0;
  const auto opened = mdb_dbi_open(txn.handle(), "meta", 0, &meta);
  if (opened == MDB_NOTFOUND) {
    MDB_stat stat{};
    check(mdb_env_stat(env.handle(), &stat), "mdb_env_stat");
    if (stat.ms_entries != 0) {
      throw error{error_kind::unusable, "the data file is an LMDB file of another program"};
    }
    return 0;
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
  return version;
}

} // namespace

table_handles open_tables(const environment& env, const blob_store& blobs) {
  const auto version = check_format(env);
  const auto fresh = version == 0;
  const auto old = !fresh && version < format_version;
  if (old) {
    env.keep_copy("belay.mdb.format" + std::to_string(version));
  }
  table_handles tables;
  transaction txn{env, transaction::mode::write};
  for (const auto& [name, member] : table_names) {
    check(mdb_dbi_open(txn.handle(), name, MDB_CREATE, &(tables.*member)), "mdb_dbi_open");
  }
  const auto set = [&](std::string_view key, std::uint64_t value) {
    txn.put(tables.meta, key, encode_number(value));
  };
  if (fresh) {
    set(meta_keys::next_row, 1);
    set(meta_keys::next_name, 1);
    set(meta_keys::time, 0);
  }
  if (fresh || old) {
    set(meta_keys::format, format_version);
  }
  if (fresh || version == 1) {
    set(meta_keys::next_change, 1);
    set(meta_keys::next_wake, 1);
    set(meta_keys::open_wakes, 0);
    set(meta_keys::fence_floor, 0);
  }
  if (version == 1) {
    migrate(txn, tables, blobs);
  }
  // Since format 2 tables were added and records have grown; both are read as they are.
  txn.commit();
  return tables;
}

table_handles open_tables_to_read(const environment& env) {
  const auto version = check_format(env);
  if (version != format_version) {
    throw error{error_kind::unusable,
                version == 0 ? std::string{"there is no store in this directory"}
                             : "the store has format version " + std::to_string(version)
                                 + ": start a node on it once, which brings it to version "
                                 + std::to_string(format_version)};
  }
  table_handles tables;
  transaction txn{env, transaction::mode::read};
  for (const auto& [name, member] : table_names) {
    check(mdb_dbi_open(txn.handle(), name, 0, &(tables.*member)), "mdb_dbi_open");
  }
  txn.commit(); // Keeps the handles (lmdb.h, mdb_dbi_open).
  return tables;
}

std::vector<std::pair<std::string, MDB_dbi>> table_handles::all() const {
  std::vector<std::pair<std::string, MDB_dbi>> result;
  for (const auto& [table, member] : table_names) {
    result.emplace_back(table, this->*member);
  }
  return result;
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

queue_record table_reader::queue(name_id queue) const {
  const auto found = txn_.get(tables_.queue, row_key(row_id{queue}));
  return found ? decode_queue(*found) : queue_record{};
}

std::uint64_t table_reader::running_with(std::string_view queue_key) const {
  const auto found = txn_.get(tables_.key_running, queue_key);
  return found ? decode_number(*found, "key_running") : 0;
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

std::string name_key(name_kind kind, std::string_view text) {
  return std::string(1, static_cast<char>(kind)).append(text);
}

std::optional<name_id> table_reader::find_name(name_kind kind, std::string_view text) const {
  const auto found = txn_.get(tables_.name, name_key(kind, text));
  return found ? std::optional{static_cast<name_id>(decode_number(*found, "name"))} : std::nullopt;
}

std::uint64_t table_reader::count_names() const {
  std::uint64_t count = 0;
  for (const auto kind : {name_kind::queue, name_kind::kind}) {
    const auto prefix = name_key(kind, {});
    cursor all{txn_, tables_.name};
    for (auto found = all.seek(prefix); found && all.key().starts_with(prefix);
         found = all.next()) {
      ++count;
    }
  }
  return count;
}

std::string table_reader::name(name_id id) const {
  auto in = byte_reader::of_record(need(tables_.name_text, row_id{id}, "name"), "name_text");
  return std::string{in.text()};
}

checked<row_id> table_reader::lookup(std::string_view id) const {
  if (const auto found = row(id)) {
    return *found;
  }
  if (const auto gone = tombstone(id)) {
    return refusal{ec::pruned, "the process '" + std::string{id} + "' ended ("
                                 + to_string(gone->ended) + ") and was pruned"};
  }
  return refusal{ec::unknown_process, "no process has the id '" + std::string{id} + "'"};
}

std::optional<tombstone_record> table_reader::tombstone(std::string_view id) const {
  if (id.empty() || id.size() > key_bytes_max) {
    return std::nullopt;
  }
  const auto found = txn_.get(tables_.tombstone, id);
  return found ? std::optional{decode_tombstone(*found)} : std::nullopt;
}

std::optional<head_record> table_reader::find_head(row_id row) const {
  const auto found = txn_.get(tables_.head, row_key(row));
  return found ? std::optional{decode_head(*found)} : std::nullopt;
}

detail_record table_reader::detail(row_id row) const {
  const auto found = txn_.get(tables_.detail, row_key(row));
  return found ? decode_detail(*found) : detail_record{};
}

std::optional<wait_record> table_reader::waiting(row_id row) const {
  const auto found = txn_.get(tables_.wait, row_key(row));
  return found ? std::optional{decode_wait(*found)} : std::nullopt;
}

std::vector<std::string> table_reader::observers(row_id row) const {
  std::vector<std::string> result;
  const auto prefix = row_key(row);
  cursor all{txn_, tables_.observer};
  for (auto found = all.seek(prefix); found && all.key().substr(0, prefix.size()) == prefix;
       found = all.next()) {
    result.push_back(decode_observer(all.value()).session);
  }
  std::sort(result.begin(), result.end());
  return result;
}

namespace {

/// The registry's own types are not in the index of types.
bool is_own(std::string_view type) {
  return type.rfind("process.", 0) == 0;
}

} // namespace

std::uint64_t table_reader::count_events(row_id row, const head_record& head, std::string_view type,
                                         event_seq through) const {
  std::uint64_t count = 0;
  if (is_own(type)) {
    for (event_seq seq = 1; seq <= std::min(through, head.last_seq); ++seq) {
      count += stored_event(row, seq).type == type ? 1 : 0;
    }
    return count;
  }
  const auto end = type_key(row, type, through);
  const auto prefix = end.substr(0, end.size() - sizeof(event_seq));
  cursor all{txn_, tables_.event_by_type};
  for (auto found = all.seek(prefix);
       found && all.key().substr(0, prefix.size()) == prefix && all.key() <= end;
       found = all.next()) {
    ++count;
  }
  return count;
}

event_seq table_reader::first_event(row_id row, const head_record& head, std::string_view type,
                                    event_seq after) const {
  if (after >= head.last_seq) {
    return 0;
  }
  if (is_own(type)) {
    for (auto seq = after + 1; seq <= head.last_seq; ++seq) {
      if (stored_event(row, seq).type == type) {
        return seq;
      }
    }
    return 0;
  }
  const auto start = type_key(row, type, after + 1);
  const auto prefix = start.substr(0, start.size() - sizeof(event_seq));
  cursor all{txn_, tables_.event_by_type};
  if (!all.seek(start) || all.key().substr(0, prefix.size()) != prefix) {
    return 0;
  }
  return byte_reader{all.key().substr(prefix.size())}.u64();
}

event_seq table_reader::nth_event(row_id row, const head_record& head, std::string_view type,
                                  std::uint64_t n) const {
  if (is_own(type)) {
    event_seq seq = 0;
    for (auto left = n; left > 0; --left) {
      seq = first_event(row, head, type, seq);
      if (seq == 0) {
        break;
      }
    }
    return seq;
  }
  const auto start = type_key(row, type, 0);
  const auto prefix = start.substr(0, start.size() - sizeof(event_seq));
  cursor all{txn_, tables_.event_by_type};
  std::uint64_t count = 0;
  for (auto found = all.seek(prefix); found && all.key().substr(0, prefix.size()) == prefix;
       found = all.next()) {
    if (++count == n) {
      return byte_reader{all.key().substr(prefix.size())}.u64();
    }
  }
  return 0;
}

std::optional<journal_record> table_reader::journal_entry_at(row_id row, std::uint64_t n) const {
  const auto found = txn_.get(tables_.journal, pair_key(static_cast<std::uint64_t>(row), n));
  return found ? std::optional{decode_journal(*found)} : std::nullopt;
}

std::uint64_t table_reader::journal_entries(row_id row) const {
  const auto number = static_cast<std::uint64_t>(row);
  cursor all{txn_, tables_.journal};
  const auto behind = all.seek(pair_key(number + 1, 0));
  if (!(behind ? all.previous() : all.last())) {
    return 0;
  }
  byte_reader key{all.key()};
  return key.u64() == number ? key.u64() : 0;
}

std::uint64_t table_reader::meta(std::string_view key) const {
  const auto found = txn_.get(tables_.meta, key);
  if (!found) {
    throw error{error_kind::fault, "meta has no " + std::string{key}};
  }
  return decode_number(*found, "meta");
}

wake view_of(const table_reader& read, wake_id id, const wake_record& x) {
  return {id,      x.session,  read.body(x.row).id, x.seq,     x.event_type, read.text(x.input),
          x.state, x.attempts, x.created_at,        x.next_at, x.token,      x.reason};
}

} // namespace belay::storage
