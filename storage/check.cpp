// The full scan: every checksum, every index against the rows, and the invariants.
#include "storage/check_journal.hpp"
#include "storage/check_queues.hpp"
#include "storage/codec.hpp"
#include "storage/store_impl.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace belay::storage {

namespace {

/// Thrown inside this file only: there are more findings than anybody reads.
struct enough {};

/// One scan of a store; each finding is a sentence that names the row.
class checker {
public:
  checker(const transaction& txn, const table_handles& tables, const blob_store& blobs,
          std::size_t findings_max)
    : txn_{txn}, tables_{tables}, read_{txn, tables, blobs}, findings_max_{findings_max} {}

  std::vector<std::string> run() {
    try {
      check_all();
    } catch (const enough&) {
      findings_.emplace_back("there is more: the scan ended early");
    }
    return std::move(findings_);
  }

private:
  using bytes = std::string_view;

  void check_all() {
    each(tables_.name_text, "name_text", [](bytes, bytes value) {
      static_cast<void>(byte_reader::of_record(value, "name_text").text());
    });
    each(tables_.head, "head",
         [this](bytes key, bytes value) { check_row(row_of(key), decode_head(value)); });
    each(tables_.id, "id", [this](bytes key, bytes value) {
      const auto row = row_id{decode_number(value, "id")};
      expect(read_.body(row).id == key, row, "is named '" + std::string{key} + "' by the id index");
      ++ids_;
    });
    each(tables_.body, "body", [this](bytes key, bytes) { expect_row(row_of(key), "a body"); });
    each(tables_.outcome, "outcome",
         [this](bytes key, bytes) { expect_row(row_of(key), "an outcome"); });
    each(tables_.lease, "lease", [this](bytes key, bytes) {
      expect(running_.count(row_of(key)) != 0, row_of(key), "has a lease but does not run");
    });
    each(tables_.ready, "ready", [this](bytes key, bytes) {
      expect(ready_.count(std::string{key}) != 0, decode_ready(key).row,
             "has a place in ready that does not fit it");
      ++places_;
    });
    each(tables_.event_key, "event_key", [this](bytes key, bytes value) {
      const auto row = row_of(key.substr(0, sizeof(std::uint64_t)));
      expect(decode_event_key(value).seq <= read_.head(row).last_seq, row,
             "has an idempotency key for an event that is not there");
    });
    each(tables_.event, "event", [this](bytes key, bytes) {
      byte_reader in{key};
      const auto row = row_id{in.u64()};
      const auto seq = in.u64();
      ++events_;
      expect(seq >= 1 && seq <= read_.head(row).last_seq, row,
             "has an event " + std::to_string(seq) + " beyond its last");
    });
    check_indexes();
    check_sessions();
    check_feed();
    check_journals(txn_, tables_, read_,
                   {[this](row_id row, const std::string& what) { expect(false, row, what); },
                    [this](const stored_text& x) { count_blob(x); }});
    check_wakes();
    keys_.check(txn_, tables_, read_, [this](std::string finding) { add(std::move(finding)); });
    check_totals();
  }

  template <class Visit>
  void each(MDB_dbi table, const char* name, Visit visit) {
    cursor all{txn_, table};
    for (auto found = all.first(); found; found = all.next()) {
      try {
        visit(all.key(), all.value());
      } catch (const error& x) {
        add(std::string{"table "} + name + ": " + x.what());
      } catch (const std::invalid_argument& x) {
        add(std::string{"table "} + name + ": " + x.what());
      }
    }
  }

  void add(std::string finding) {
    findings_.push_back(std::move(finding));
    if (findings_.size() >= findings_max_) {
      throw enough{};
    }
  }

  void expect(bool holds, row_id row, const std::string& otherwise) {
    if (!holds) {
      add("row " + std::to_string(static_cast<std::uint64_t>(row)) + " " + otherwise);
    }
  }

  void expect_row(row_id row, const char* what) {
    expect(read_.find_head(row).has_value(), row, std::string{"has "} + what + " but no head (I8)");
  }

  void expect_entries(MDB_dbi table, const char* name, std::uint64_t expected) {
    MDB_stat stat{};
    check(mdb_stat(txn_.handle(), table, &stat), "mdb_stat");
    if (stat.ms_entries != expected) {
      add(std::string{"table "} + name + " has " + std::to_string(stat.ms_entries)
          + " entries, the rows say " + std::to_string(expected) + " (I8)");
    }
  }

  void count_blob(const stored_text& x) {
    if (x.in_file) {
      ++blobs_[x.content];
    }
  }

  void check_row(row_id row, const head_record& head) {
    ++rows_;
    events_expected_ += head.last_seq;
    ++counted_[counter_of(head)];
    const auto body = read_.body(row);
    count_blob(body.registration);
    const auto what = registration_from_canonical(read_.text(body.registration));
    expect(hash_hex(read_.text(body.registration)) == body.hash, row,
           "has a registration that does not match its hash");
    expect(read_.row(body.id) == row, row, "is not found by its id '" + body.id + "'");
    expect(head.declares == !what.event_types.empty(), row,
           "does not say rightly whether it declares event types (I8)");
    check_key(row, head, what.concurrency_key);
    if (head.observed) {
      observed_heads_.insert(row);
    }
    check_history(row, head);
    check_state(row, head);
    const auto feed = txn_.get(tables_.change, row_key(row_id{head.change}));
    expect(feed && decode_change(*feed).row == row, row, "has no place in the change feed (I8)");
    if (head.parent != row_id{}) {
      const auto parent = read_.find_head(head.parent);
      expect(!parent
               || (parent->has_children
                   && txn_.get(tables_.child, pair_key(static_cast<std::uint64_t>(head.parent),
                                                       static_cast<std::uint64_t>(row)))),
             row, "is not known to its parent (I8)");
      children_ += parent ? 1 : 0;
    }
  }

  void check_key(row_id row, const head_record& head, const std::string& concurrency_key) {
    const auto stored = head.keyed ? read_.detail(row).concurrency_key : std::string{};
    expect(stored == concurrency_key, row, "has another concurrency key than was registered (I8)");
    if (head.keyed) {
      keys_.add(head, stored);
    }
    if (head.blocked) {
      expect(head.state == process_state::ready, row, "stands aside but is not ready (I4)");
      expect(txn_.get(tables_.blocked, blocked_key(stored, place_of(head, row))).has_value(), row,
             "stands aside but has no place there (I4)");
    }
  }

  /// I4: a lease, a place in ready, a wait condition, quarantine or an outside owner.
  void check_state(row_id row, const head_record& head) {
    const auto held = read_.lease(row);
    const auto place = encode(place_of(head, row));
    const auto wait = read_.waiting(row);
    switch (head.state) {
      case process_state::running:
        running_.insert(row);
        expect(held.has_value(), row, "runs without a lease (I4)");
        expect(!held || held->fence == head.fence, row, "has a lease with another fence (I3)");
        break;
      case process_state::ready:
        if (head.blocked) {
          break;
        }
        ready_.insert(place);
        expect(txn_.get(tables_.ready, place).has_value(), row,
               "is ready but has no place in ready (I4)");
        break;
      case process_state::waiting:
        expect(wait && wait->woken.empty(), row, "waits for nothing (I4)");
        if (wait) {
          check_wait(row, head, *wait);
        }
        break;
      case process_state::quarantined:
        break;
      case process_state::external:
        expect(head.rule == recovery_rule::externally_owned, row,
               "is external but not externally owned (I4)");
        break;
      case process_state::finished:
        expect(txn_.get(tables_.finished, time_key(head.finished_at, row)).has_value(), row,
               "has ended but is not among the finished (I8)");
        ++finished_;
        break;
      default:
        expect(false, row, "has a state that there is not (I4)");
    }
    expect(!wait || head.state == process_state::waiting || head.resumed, row,
           "has a wait record but does not wait (I8)");
    expect(!head.resumed || (wait && !wait->woken.empty()), row,
           "goes on after a wait that is not there (I8)");
    waits_ += wait ? 1 : 0;
  }

  /// I7: no row still waits whose condition holds.
  void check_wait(row_id row, const head_record& head, const wait_record& wait) {
    if (const auto alarm = alarm_of(wait); alarm != 0) {
      expect(txn_.get(tables_.timer, timer_key(alarm, row, 0)).has_value(), row,
             "waits until a time that no timer knows (I7)");
    }
    std::set<row_id> awaited_rows;
    for (const auto& one : conditions_of(wait)) {
      if (one.kind == wait_kind::signal) {
        const auto type = event_types::signal_prefix + one.name;
        expect(read_.count_events(row, head, type, head.last_seq) < one.ordinal, row,
               "waits for a signal that is there (I7)");
      } else if (one.kind == wait_kind::child) {
        check_awaited(row, wait, one.target, awaited_rows);
      } else if (one.kind == wait_kind::closing) {
        count_blob(wait.outcome);
        static_cast<void>(read_.text(wait.outcome));
        expect(wait.remaining > 0, row, "holds its outcome back for no child (I7)");
      }
    }
    waiters_ += awaited_rows.size();
    expect(wait.kind == wait_kind::closing || wait.remaining <= awaited_rows.size(), row,
           "waits for more processes than it names (I7)");
  }

  void check_awaited(row_id row, const wait_record& wait, row_id target, std::set<row_id>& open) {
    const auto child = read_.find_head(target);
    if (child && child->state != process_state::finished) {
      open.insert(target);
      expect(txn_
               .get(tables_.waiter,
                    pair_key(static_cast<std::uint64_t>(target), static_cast<std::uint64_t>(row)))
               .has_value(),
             row, "waits for a process that does not know of it (I7)");
    } else {
      expect(wait.remaining > 0, row, "waits for a process that has ended (I7)");
    }
  }

  /// I1: exactly one terminal event, and the last, if and only if there is an outcome. I6: events
  /// 1..n without gaps. I3: fences of the starts rise.
  void check_history(row_id row, const head_record& head) {
    static const std::set<std::string, std::less<>> terminal{
      event_types::completed, event_types::failed, event_types::cancelled, event_types::abandoned};
    std::size_t ends = 0;
    std::size_t starts = 0;
    std::uint64_t last_fence = 0;
    for (event_seq seq = 1; seq <= head.last_seq; ++seq) {
      const auto stored = txn_.get(tables_.event, event_key(row, seq));
      if (!stored) {
        expect(false, row, "has no event " + std::to_string(seq) + " (I6)");
        continue;
      }
      const auto x = decode_event(*stored);
      count_blob(x.payload);
      const auto payload = read_.text(x.payload);
      if (terminal.count(x.type) != 0) {
        ++ends;
        expect(seq == head.last_seq, row, "went on after its end (I1)");
        expect(x.type == rules::terminal_event(head.ended), row,
               "ended otherwise than it says (I1)");
      }
      if (x.type == event_types::started) {
        const auto facts = nlohmann::json::parse(payload, nullptr, false);
        const auto fence = facts.is_object() ? facts.value("fence", std::uint64_t{0}) : 0;
        expect(fence > last_fence, row, "has starts whose fences do not rise (I3)");
        last_fence = fence;
        starts += facts.is_object() && facts.value("resumed", false) ? 0 : 1;
      } else if (x.type == event_types::released
                 && payload.find("\"started\":false") != std::string::npos) {
        --starts;
      } else if (x.type.rfind("process.", 0) != 0) {
        ++typed_;
        expect(txn_.get(tables_.event_by_type, type_key(row, x.type, seq)).has_value(), row,
               "has an event that its type does not lead to (I8)");
      }
    }
    const auto finished = head.state == process_state::finished;
    const auto ended = read_.outcome(row);
    expect(ends == (finished ? 1U : 0U), row,
           "has " + std::to_string(ends) + " terminal events (I1)");
    expect(ended.has_value() == finished, row, "has an outcome that does not fit its state (I1)");
    expect(!ended || ended->kind == head.ended, row, "has an outcome of another kind (I1)");
    expect(starts == head.attempt, row, "counts other attempts than its history (I3)");
    expect(static_cast<std::uint64_t>(head.fence) >= last_fence, row,
           "has a fence below that of its last start (I3)");
    if (ended) {
      count_blob(ended->text);
      static_cast<void>(
        outcome_from_json(nlohmann::json::parse(read_.text(ended->text), nullptr, false)));
    }
  }

  void check_indexes() {
    expect_entries(tables_.finished, "finished", finished_);
    expect_entries(tables_.wait, "wait", waits_);
    expect_entries(tables_.waiter, "waiter", waiters_);
    expect_entries(tables_.event_by_type, "event_by_type", typed_);
    each(tables_.child, "child", [this](bytes key, bytes) {
      const auto child = row_of(key.substr(sizeof(std::uint64_t)));
      const auto head = read_.find_head(child);
      expect(head && head->parent == row_of(key), child, "is not the child it is said to be (I8)");
    });
    expect_entries(tables_.child, "child", children_);
    // The entry may be earlier than the expiry, never later.
    expect_entries(tables_.expiry, "expiry", running_.size());
    for (const auto row : running_) {
      const auto held = read_.lease(row);
      expect(!held
               || (held->indexed_at <= held->expires_at
                   && txn_.get(tables_.expiry, time_key(held->indexed_at, row)).has_value()),
             row, "has a lease that no expiry entry covers (I8)");
    }
  }

  void check_sessions() {
    std::uint64_t edges = 0;
    std::set<row_id> observed;
    each(tables_.observer, "observer", [&](bytes key, bytes value) {
      const auto row = row_of(key);
      const auto x = decode_observer(value);
      ++edges;
      observed.insert(row);
      const auto head = read_.find_head(row);
      expect(head && head->observed, row, "has an observer that it does not know of (I8)");
      expect(
        txn_.get(tables_.session, session_key(x.session, session_role::observer, row)).has_value(),
        row, "is observed by a session that does not know of it (I8)");
    });
    each(tables_.detail, "detail", [&](bytes key, bytes value) {
      const auto row = row_of(key);
      const auto x = decode_detail(value);
      const auto head = read_.find_head(row);
      expect(head && head->detailed, row, "has details that it does not know of (I8)");
      expect(head && head->abandon_requested == !x.abandon.empty(), row,
             "has an abandon request that it does not know of (I8)");
      if (!x.wake_session.empty()) {
        ++edges;
        expect(txn_.get(tables_.session, session_key(x.wake_session, session_role::target, row))
                 .has_value(),
               row, "wakes a session that does not know of it (I8)");
      }
    });
    expect_entries(tables_.session, "session", edges);
    for (const auto row : observed_heads_) {
      expect(observed.count(row) != 0, row, "says that it is observed (I8)");
    }
  }

  void check_feed() {
    std::uint64_t tombs = 0;
    each(tables_.tombstone, "tombstone", [&](bytes key, bytes value) {
      ++tombs;
      const auto x = decode_tombstone(value);
      const auto id = std::string{key};
      const auto feed = txn_.get(tables_.change, row_key(row_id{x.change}));
      expect(feed && decode_change(*feed).pruned == id, x.row,
             "was pruned but is not in the change feed (I8)");
      expect(!txn_.get(tables_.id, key), x.row, "was pruned but is there (I8)");
      expect(
        txn_.get(tables_.tombstone_age, pair_key(static_cast<std::uint64_t>(x.pruned_at), x.change))
          .has_value(),
        x.row, "was pruned but its tombstone has no age (I8)");
    });
    expect_entries(tables_.tombstone_age, "tombstone_age", tombs);
    expect_entries(tables_.change, "change", rows_ + tombs);
  }

  void check_wakes() {
    std::uint64_t all = 0;
    std::uint64_t open = 0;
    each(tables_.wake, "wake", [&](bytes key, bytes value) {
      const auto id = byte_reader{key}.u64();
      const auto x = decode_wake(value);
      ++all;
      count_blob(x.input);
      static_cast<void>(read_.text(x.input));
      expect(
        txn_.get(tables_.wake_row, pair_key(static_cast<std::uint64_t>(x.row), id)).has_value(),
        x.row, "does not know of its wake " + std::to_string(id) + " (I8)");
      expect(read_.head(x.row).last_seq >= x.seq, x.row, "has a wake of an event to come (I8)");
      const auto indexed
        = txn_.get(tables_.wake_open, wake_open_key(x.session, wake_id{id})).has_value();
      expect(indexed == is_open(x.state), x.row,
             "has a wake " + std::to_string(id) + " in the wrong place (I8)");
      open += is_open(x.state) ? 1 : 0;
    });
    expect_entries(tables_.wake_row, "wake_row", all);
    expect_entries(tables_.wake_open, "wake_open", open);
    if (read_.meta(meta_keys::open_wakes) != open) {
      add("there are " + std::to_string(open) + " open wakes, meta says "
          + std::to_string(read_.meta(meta_keys::open_wakes)) + " (I8)");
    }
    each(tables_.blob, "blob", [this](bytes key, bytes value) {
      const auto uses = decode_number(value, "blob");
      const auto found = blobs_.find(std::string{key});
      const auto actual = found == blobs_.end() ? 0 : found->second;
      if (uses != actual) {
        add("the file " + std::string{key} + " is said to be used " + std::to_string(uses)
            + " times, it is " + std::to_string(actual) + " (I8)");
      }
    });
    expect_entries(tables_.blob, "blob", blobs_.size());
  }

  void check_totals() {
    if (ids_ != rows_) {
      add("there are " + std::to_string(rows_) + " rows and " + std::to_string(ids_) + " ids");
    }
    if (places_ != ready_.size()) {
      add("there are " + std::to_string(ready_.size()) + " ready rows and "
          + std::to_string(places_) + " places in ready");
    }
    if (events_ != events_expected_) {
      add("there are " + std::to_string(events_) + " events, the rows say "
          + std::to_string(events_expected_) + " (I6)");
    }
    each(tables_.counter, "counter", [this](bytes key, bytes value) {
      const auto which = decode_counter(key);
      const auto stored = decode_number(value, "counter");
      const auto found = counted_.find(which);
      const auto actual = found == counted_.end() ? 0 : found->second;
      if (stored != actual) {
        add("the counter of " + counter_word(which.state) + " says " + std::to_string(stored)
            + ", there are " + std::to_string(actual));
      }
      counted_.erase(which);
    });
    for (const auto& [key, number] : counted_) {
      add("there is no counter of " + counter_word(key.state) + ", but " + std::to_string(number)
          + " such rows");
    }
  }

  const transaction& txn_;
  const table_handles& tables_;
  table_reader read_;
  std::size_t findings_max_;
  std::vector<std::string> findings_;
  std::map<counter_key, std::uint64_t> counted_;
  std::map<std::string, std::uint64_t> blobs_;
  std::set<row_id> running_;
  std::set<row_id> observed_heads_;
  key_census keys_;
  std::set<std::string, std::less<>> ready_;
  std::uint64_t rows_ = 0;
  std::uint64_t ids_ = 0;
  std::uint64_t places_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t events_expected_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t waits_ = 0;
  std::uint64_t waiters_ = 0;
  std::uint64_t typed_ = 0;
  std::uint64_t children_ = 0;
};

} // namespace

std::vector<std::string> store::check(std::size_t findings_max) const {
  const transaction txn{impl_->env, transaction::mode::read};
  return checker{txn, impl_->tables, impl_->blobs, findings_max}.run();
}

} // namespace belay::storage
