// The full scan: every checksum, every index against the rows, and the invariants.
#include "storage/codec.hpp"
#include "storage/store_impl.hpp"

#include <map>
#include <set>

namespace belay::storage {

namespace {

/// One scan of a store; each finding is a sentence that names the row.
class checker {
public:
  checker(const transaction& txn, const table_handles& tables, const blob_store& blobs)
    : txn_{txn}, tables_{tables}, read_{txn, tables, blobs} {}

  std::vector<std::string> run() {
    each(tables_.head, "head", [this](std::string_view key, std::string_view value) {
      check_row(row_of(key), decode_head(value));
    });
    each(tables_.id, "id", [this](std::string_view key, std::string_view value) {
      const auto row = row_id{decode_number(value, "id")};
      expect(read_.body(row).id == key, row, "is named '" + std::string{key} + "' by the id index");
      ++ids_;
    });
    each(tables_.lease, "lease", [this](std::string_view key, std::string_view) {
      expect(running_.count(row_of(key)) != 0, row_of(key), "has a lease but does not run");
    });
    each(tables_.ready, "ready", [this](std::string_view key, std::string_view) {
      expect(ready_.count(std::string{key}) != 0, decode_ready(key).row,
             "has a place in ready that does not fit it");
      ++places_;
    });
    each(tables_.event_key, "event_key", [this](std::string_view key, std::string_view value) {
      const auto row = row_of(key.substr(0, sizeof(std::uint64_t)));
      expect(decode_event_key(value).seq <= read_.head(row).last_seq, row,
             "has an idempotency key for an event that is not there");
    });
    each(tables_.event, "event", [this](std::string_view key, std::string_view) {
      byte_reader in{key};
      const auto row = row_id{in.u64()};
      const auto seq = in.u64();
      ++events_;
      expect(seq >= 1 && seq <= read_.head(row).last_seq, row,
             "has an event " + std::to_string(seq) + " beyond its last");
    });
    check_totals();
    return std::move(findings_);
  }

private:
  template <class Visit>
  void each(MDB_dbi table, const char* name, Visit visit) {
    cursor all{txn_, table};
    for (auto found = all.first(); found; found = all.next()) {
      try {
        visit(all.key(), all.value());
      } catch (const error& x) {
        findings_.push_back(std::string{"table "} + name + ": " + x.what());
      }
    }
  }

  void expect(bool holds, row_id row, const std::string& otherwise) {
    if (!holds) {
      findings_.push_back("row " + std::to_string(static_cast<std::uint64_t>(row)) + " "
                          + otherwise);
    }
  }

  void check_row(row_id row, const head_record& head) {
    ++rows_;
    events_expected_ += head.last_seq;
    ++counted_[counter_of(head)];
    const auto body = read_.body(row);
    static_cast<void>(registration_from_canonical(read_.text(body.registration)));
    expect(hash_hex(read_.text(body.registration)) == body.hash, row,
           "has a registration that does not match its hash");
    expect(read_.row(body.id) == row, row, "is not found by its id '" + body.id + "'");
    check_history(row, head);
    const auto held = read_.lease(row);
    const auto place = encode(place_of(head, row));
    const auto placed = txn_.get(tables_.ready, place).has_value();
    if (head.state == process_state::running) {
      running_.insert(row);
      expect(held.has_value(), row, "runs without a lease (I4)");
      expect(!held || held->fence == head.fence, row, "has a lease with another fence (I3)");
    }
    if (head.state == process_state::ready) {
      ready_.insert(place);
      expect(placed, row, "is ready but has no place in ready (I4)");
    }
  }

  /// I1: exactly one terminal event, and the last, if and only if there is an outcome. I6: events
  /// 1..n without gaps. I3: fences of the starts rise.
  void check_history(row_id row, const head_record& head) {
    static const std::set<std::string, std::less<>> terminal{
      event_types::completed, event_types::failed, event_types::cancelled, event_types::abandoned};
    std::size_t ends = 0;
    std::size_t starts = 0;
    for (event_seq seq = 1; seq <= head.last_seq; ++seq) {
      const auto x = read_.stored_event(row, seq); // A gap throws: I6.
      if (terminal.count(x.type) != 0) {
        ++ends;
        expect(seq == head.last_seq, row, "went on after its end (I1)");
        expect(x.type == rules::terminal_event(head.ended), row,
               "ended otherwise than it says (I1)");
      }
      starts += x.type == event_types::started ? 1 : 0;
    }
    const auto finished = head.state == process_state::finished;
    const auto ended = read_.outcome(row);
    expect(ends == (finished ? 1U : 0U), row,
           "has " + std::to_string(ends) + " terminal events (I1)");
    expect(ended.has_value() == finished, row, "has an outcome that does not fit its state (I1)");
    expect(!ended || ended->kind == head.ended, row, "has an outcome of another kind (I1)");
    expect(starts == head.attempt && static_cast<std::uint64_t>(head.fence) >= head.attempt, row,
           "has fewer fences than starts (I3)");
    if (ended) {
      static_cast<void>(read_.text(ended->text));
    }
  }

  void check_totals() {
    if (ids_ != rows_) {
      findings_.push_back("there are " + std::to_string(rows_) + " rows and " + std::to_string(ids_)
                          + " ids");
    }
    if (places_ != ready_.size()) {
      findings_.push_back("there are " + std::to_string(ready_.size()) + " ready rows and "
                          + std::to_string(places_) + " places in ready");
    }
    if (events_ != events_expected_) {
      findings_.push_back("there are " + std::to_string(events_) + " events, the rows say "
                          + std::to_string(events_expected_) + " (I6)");
    }
    each(tables_.counter, "counter", [this](std::string_view key, std::string_view value) {
      const auto which = decode_counter(key);
      const auto stored = decode_number(value, "counter");
      const auto found = counted_.find(which);
      const auto actual = found == counted_.end() ? 0 : found->second;
      if (stored != actual) {
        findings_.push_back("the counter of " + counter_word(which.state) + " says "
                            + std::to_string(stored) + ", there are " + std::to_string(actual));
      }
      counted_.erase(which);
    });
    for (const auto& [key, number] : counted_) {
      findings_.push_back("there is no counter of " + counter_word(key.state) + ", but "
                          + std::to_string(number) + " such rows");
    }
  }

  const transaction& txn_;
  const table_handles& tables_;
  table_reader read_;
  std::vector<std::string> findings_;
  std::map<counter_key, std::uint64_t> counted_;
  std::set<row_id> running_;
  std::set<std::string, std::less<>> ready_;
  std::uint64_t rows_ = 0;
  std::uint64_t ids_ = 0;
  std::uint64_t places_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t events_expected_ = 0;
};

} // namespace

std::vector<std::string> store::check() const {
  const transaction txn{impl_->env, transaction::mode::read};
  return checker{txn, impl_->tables, impl_->blobs}.run();
}

} // namespace belay::storage
