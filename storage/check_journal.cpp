#include "storage/check_journal.hpp"

#include "storage/codec.hpp"
#include "storage/store.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace belay::storage {

namespace {

/// Walks one table; a record that cannot be read is a finding of its row.
template <class Visit>
void each_record(const transaction& txn, MDB_dbi table, const char* name, const check_sinks& sinks,
                 Visit visit) {
  cursor all{txn, table};
  for (auto found = all.first(); found; found = all.next()) {
    try {
      visit(all.key(), all.value());
    } catch (const error& x) {
      sinks.report(row_of(all.key()), std::string{"table "} + name + ": " + x.what());
    }
  }
}

/// One journal at a time: the rows stand in order.
class journal_check {
public:
  explicit journal_check(const check_sinks& sinks) : sinks_{sinks} {}

  void entry(row_id row, std::uint64_t number, const journal_record& x, const std::string& result) {
    if (row != row_) {
      row_ = row;
      last_ = 0;
      named_.clear();
      done_.clear();
    }
    expect(number == last_ + 1,
           "has a gap before entry " + std::to_string(number) + " of its journal (I8)");
    last_ = number;
    const auto fresh = named_.emplace(x.scope, x.kind, x.name, x.ordinal).second;
    expect(fresh, "has an entry twice in its journal: " + x.name + " (I8)");
    expect(x.done == 0 || done_.insert(x.done).second,
           "has two entries with one place of completion: " + std::to_string(x.done) + " (I8)");
    expect(!nlohmann::json::parse(result, nullptr, false).is_discarded(),
           "has a result in its journal that is not JSON");
  }

private:
  void expect(bool holds, const std::string& otherwise) {
    if (!holds) {
      sinks_.report(row_, otherwise);
    }
  }

  const check_sinks& sinks_;
  row_id row_{};
  std::uint64_t last_ = 0;
  std::set<std::tuple<std::string, effect_kind, std::string, std::uint32_t>> named_;
  std::set<std::uint64_t> done_;
};

} // namespace

void check_journals(const transaction& txn, const table_handles& tables, const table_reader& read,
                    const check_sinks& sinks) {
  std::set<row_id> journaled;
  std::set<row_id> attached;
  std::set<row_id> shown;
  journal_check journals{sinks};
  each_record(txn, tables.journal, "journal", sinks,
              [&](std::string_view key, std::string_view value) {
                byte_reader in{key};
                const auto row = row_id{in.u64()};
                const auto x = decode_journal(value);
                journaled.insert(row);
                sinks.count(x.result);
                journals.entry(row, in.u64(), x, read.text(x.result));
              });
  each_record(txn, tables.attachment, "attachment", sinks,
              [&](std::string_view key, std::string_view value) {
                const auto x = decode_attachment(value);
                attached.insert(row_of(key));
                sinks.count(x.content);
                const auto bytes = read.text(x.content);
                if (hash_hex(bytes) != x.hash || bytes.size() != x.bytes) {
                  sinks.report(row_of(key), "has an attachment that is not what its hash says");
                }
              });
  each_record(txn, tables.status, "status", sinks,
              [&](std::string_view key, std::string_view value) {
                const auto x = decode_status(value);
                shown.insert(row_of(key));
                sinks.count(x);
                static_cast<void>(read.text(x));
              });
  each_record(txn, tables.head, "head", sinks, [&](std::string_view key, std::string_view value) {
    const auto row = row_of(key);
    const auto head = decode_head(value);
    if (head.journaled != (journaled.erase(row) != 0)
        || head.has_attachments != (attached.erase(row) != 0)
        || head.has_status != (shown.erase(row) != 0)) {
      sinks.report(row,
                   "does not say rightly whether it has a journal, a status, attachments (I8)");
    }
  });
  for (const auto* left : {&journaled, &attached, &shown}) {
    for (const auto row : *left) {
      sinks.report(row, "has a journal, a status or attachments but no head (I8)");
    }
  }
}

} // namespace belay::storage
