#include "storage/check_journal.hpp"

#include "storage/codec.hpp"
#include "storage/store.hpp"

#include <nlohmann/json.hpp>
#include <set>

namespace belay::storage {

namespace {

/// Walks one table; a record that cannot be read is a finding of its row.
template <class Visit>
void each_record(const transaction& txn, MDB_dbi table, const char* name, const check_sinks& sinks,
                 Visit visit) {
  cursor all{txn, table};
  for (auto found = all.first(); found; found = all.next()) {
    const auto row = all.key().size() < sizeof(std::uint64_t) ? row_id{} : row_of(all.key());
    try {
      visit(row, all.key(), all.value());
    } catch (const error& x) {
      sinks.report(row, std::string{"table "} + name + ": " + x.what());
    }
  }
}

/// One journal at a time: the rows stand in order.
struct journal_check {
  void entry(row_id row, std::uint64_t number, const check_sinks& sinks) {
    const auto expected = row == last_row ? last + 1 : 1;
    if (number != expected) {
      sinks.report(row,
                   "has a gap before entry " + std::to_string(number) + " of its journal (I8)");
    }
    last_row = row;
    last = number;
  }

  row_id last_row{};
  std::uint64_t last = 0;
};

} // namespace

void check_journals(const transaction& txn, const table_handles& tables, const table_reader& read,
                    const check_sinks& sinks) {
  std::set<row_id> journaled;
  std::set<row_id> cancelled;
  std::set<row_id> attached;
  std::set<row_id> shown;
  journal_check journals;
  each_record(txn, tables.journal, "journal", sinks,
              [&](row_id row, std::string_view key, std::string_view value) {
                journaled.insert(row);
                journals.entry(row, byte_reader{key.substr(sizeof(std::uint64_t))}.u64(), sinks);
                const auto x = decode_journal(value);
                if (x.kind == effect_kind::cancel) {
                  cancelled.insert(row);
                }
                sinks.count(x.result);
                if (nlohmann::json::parse(read.text(x.result), nullptr, false).is_discarded()) {
                  sinks.report(row, "has a result in its journal that is not JSON");
                }
              });
  each_record(txn, tables.attachment, "attachment", sinks,
              [&](row_id row, std::string_view key, std::string_view value) {
                attached.insert(row);
                const auto x = decode_attachment(value);
                sinks.count(x.content);
                const auto bytes = read.text(x.content);
                const auto hash = hash_hex(bytes);
                if (hash != x.hash || bytes.size() != x.bytes || attachment_key(row, hash) != key) {
                  sinks.report(row, "has an attachment that is not what its hash says");
                }
              });
  each_record(txn, tables.status, "status", sinks,
              [&](row_id row, std::string_view, std::string_view value) {
                shown.insert(row);
                const auto x = decode_status(value);
                sinks.count(x);
                static_cast<void>(read.text(x));
              });
  each_record(
    txn, tables.head, "head", sinks, [&](row_id row, std::string_view, std::string_view value) {
      const auto head = decode_head(value);
      const auto in = [row](std::set<row_id>& rows) { return rows.erase(row) != 0; };
      auto right = head.journaled == in(journaled);
      right = head.cancel_seen == in(cancelled) && right;
      right = head.has_attachments == in(attached) && right;
      right = head.has_status == in(shown) && right;
      if (!right) {
        sinks.report(row, "does not say rightly whether it has a journal, a cancel in it, "
                          "a status, attachments (I8)");
      }
    });
  for (const auto* left : {&journaled, &attached, &shown}) {
    for (const auto row : *left) {
      sinks.report(row, "has a journal, a status or attachments but no head (I8)");
    }
  }
}

} // namespace belay::storage
