#include "storage/migrate.hpp"

#include "storage/codec.hpp"

#include <map>

namespace belay::storage {

namespace {

std::vector<std::pair<std::string, std::string>> all_of(const transaction& txn, MDB_dbi table) {
  std::vector<std::pair<std::string, std::string>> result;
  cursor all{txn, table};
  for (auto found = all.first(); found; found = all.next()) {
    result.emplace_back(all.key(), all.value());
  }
  return result;
}

} // namespace

void migrate(transaction& txn, const table_handles& tables, const blob_store& blobs) {
  std::map<std::string, std::uint64_t> uses;
  const auto count = [&uses](const stored_text& x) {
    if (x.in_file) {
      ++uses[x.content];
    }
  };
  std::uint64_t next_change = 1;
  for (const auto& [key, value] : all_of(txn, tables.head)) {
    const auto row = row_of(key);
    auto head = decode_head(value);
    head.change = next_change++;
    txn.put(tables.head, key, encode(head));
    txn.put(tables.change, row_key(row_id{head.change}), encode(change_record{row, {}}));
    if (head.state == process_state::finished) {
      txn.put(tables.finished, time_key(head.finished_at, row), {});
    }
  }
  // The first format left entries of lost leases behind.
  for (const auto& [key, value] : all_of(txn, tables.expiry)) {
    txn.erase(tables.expiry, key);
  }
  for (const auto& [key, value] : all_of(txn, tables.lease)) {
    const auto held = decode_lease(value);
    txn.put(tables.lease, key, encode(held));
    txn.put(tables.expiry, time_key(held.indexed_at, row_of(key)), {});
  }
  txn.put(tables.meta, meta_keys::next_change, encode_number(next_change));
  for (const auto& [key, value] : all_of(txn, tables.body)) {
    auto body = decode_body(value);
    count(body.registration);
    body.labels = registration_from_canonical(blobs.get(body.registration)).labels;
    txn.put(tables.body, key, encode(body));
  }
  for (const auto& [key, value] : all_of(txn, tables.outcome)) {
    count(decode_outcome(value).text);
  }
  for (const auto& [key, value] : all_of(txn, tables.event)) {
    const auto x = decode_event(value);
    count(x.payload);
    if (x.type.rfind("process.", 0) != 0) {
      byte_reader in{key};
      const auto row = row_id{in.u64()};
      txn.put(tables.event_by_type, type_key(row, x.type, in.u64()), {});
    }
  }
  for (const auto& [name, number] : uses) {
    txn.put(tables.blob, name, encode_number(number));
  }
  for (const auto& [key, value] : all_of(txn, tables.name_text)) {
    txn.put(tables.name_text, key, byte_writer{}.text(value).record());
  }
}

} // namespace belay::storage
