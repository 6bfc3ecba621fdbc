#include "storage/check_queues.hpp"

#include "storage/codec.hpp"

namespace belay::storage {

namespace {

using sink = std::function<void(std::string)>;

/// Walks one table; a record that cannot be read is a finding.
template <class Visit>
void each_record(const transaction& txn, MDB_dbi table, const char* name, const sink& add,
                 Visit visit) {
  cursor all{txn, table};
  for (auto found = all.first(); found; found = all.next()) {
    try {
      visit(all.key(), all.value());
    } catch (const error& x) {
      add(std::string{"table "} + name + ": " + x.what());
    }
  }
}

} // namespace

void key_census::add(const head_record& head, std::string_view concurrency_key) {
  auto& x = tallies_[queue_key(head.queue, concurrency_key)];
  x.queue = head.queue;
  x.running += head.state == process_state::running ? 1 : 0;
  x.blocked += head.blocked ? 1 : 0;
  x.ready += head.state == process_state::ready && !head.blocked ? 1 : 0;
  blocked_ += head.blocked ? 1 : 0;
}

void key_census::check(const transaction& txn, const table_handles& tables,
                       const table_reader& read, const sink& add) const {
  std::uint64_t counted = 0;
  each_record(txn, tables.key_running, "key_running", add,
              [&](std::string_view key, std::string_view value) {
                const auto known = tallies_.find(std::string{key});
                const auto stored = decode_number(value, "key_running");
                const auto actual = known == tallies_.end() ? 0 : known->second.running;
                counted += actual == 0 ? 0 : 1;
                if (stored != actual) {
                  add("a concurrency key is said to have " + std::to_string(stored)
                      + " running processes, " + std::to_string(actual) + " run with it (I8)");
                }
              });
  each_record(txn, tables.queue, "queue", add, [&](std::string_view key, std::string_view value) {
    static_cast<void>(decode_queue(value));
    static_cast<void>(read.name(static_cast<name_id>(byte_reader{key}.u64())));
  });
  each_record(txn, tables.failed, "failed", add, [](std::string_view, std::string_view value) {
    static_cast<void>(decode_number(value, "failed"));
  });
  std::uint64_t expected = 0;
  for (const auto& [key, x] : tallies_) {
    expected += x.running == 0 ? 0 : 1;
    if (x.blocked > 0 && x.ready == 0) {
      check_blocked(x, read, add);
    }
  }
  if (counted != expected) {
    add("there are concurrency keys with running processes that are not counted (I8)");
  }
  MDB_stat stat{};
  storage::check(mdb_stat(txn.handle(), tables.blocked, &stat), "mdb_stat");
  if (stat.ms_entries != blocked_) {
    add("table blocked has " + std::to_string(stat.ms_entries) + " entries, the rows say "
        + std::to_string(blocked_) + " (I8)");
  }
}

void key_census::check_blocked(const tally& x, const table_reader& read, const sink& add) {
  try {
    const auto queue = read.queue(x.queue);
    const auto most = queue.limits.per_key_max;
    if (!queue.recheck && (most == 0 || x.running < most)) {
      add(std::to_string(x.blocked) + " processes of queue '" + read.name(x.queue)
          + "' stand aside for nobody (I4)");
    }
  } catch (const error&) {
    // The record of the queue cannot be read: that is a finding already.
  }
}

} // namespace belay::storage
