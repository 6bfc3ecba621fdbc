// What stands in each queue.
#include "storage/codec.hpp"
#include "storage/rules.hpp"
#include "storage/store_impl.hpp"

namespace belay::storage {

namespace {

/// Due rows that one answer counts, about 10 ms of them; beyond it the numbers are estimates.
constexpr std::size_t count_max = 250'000;
constexpr std::uint64_t minutes_shown = 60;

class queue_survey {
public:
  queue_survey(const transaction& txn, const table_handles& tables, const table_reader& read,
               timestamp_ms now)
    : txn_{txn}, tables_{tables}, read_{read}, now_{now} {}

  std::vector<queue_view> run() {
    std::vector<queue_view> result;
    const std::string kind(1, static_cast<char>(name_kind::queue));
    cursor all{txn_, tables_.name};
    for (auto found = all.seek(kind); found && all.key().starts_with(kind); found = all.next()) {
      auto x = look(static_cast<name_id>(decode_number(all.value(), "name")));
      x.name = all.key().substr(kind.size());
      const auto empty = x.ready + x.blocked + x.delayed + x.running + x.waiting + x.quarantined
                           + x.failed_last_hour
                         == 0;
      if (!empty || !(x.limits == queue_limits{})) {
        result.push_back(std::move(x));
      }
    }
    return result;
  }

private:
  queue_view look(name_id queue) {
    queue_view x;
    const auto record = read_.queue(queue);
    x.limits = record.limits;
    if (record.limits.rate != 0) {
      const auto at = rules::rate_allows_at(record.limits, record.expected_us);
      x.next_claim_at
        = at <= now_ * rules::us_per_ms ? 0 : (at + rules::us_per_ms - 1) / rules::us_per_ms;
    }
    const auto prefix = queue_prefix(queue);
    count_states(prefix, x);
    const auto in_ready = x.ready; // All whose state is `ready`.
    if (in_ready != 0) {
      x.ready = 0;
      count_due(queue, x);
      count_blocked(prefix, x);
      const auto due = std::min(in_ready, x.ready + x.blocked);
      x.delayed = in_ready - due;
    }
    const auto minute = minute_of(now_);
    const auto from = failed_key(queue, minute - std::min(minute, minutes_shown - 1));
    cursor failed{txn_, tables_.failed};
    for (auto found = failed.seek(from); found && failed.key().starts_with(prefix);
         found = failed.next()) {
      x.failed_last_hour += decode_number(failed.value(), "failed");
    }
    return x;
  }

  void count_states(const std::string& prefix, queue_view& x) const {
    cursor all{txn_, tables_.counter};
    for (auto found = all.seek(prefix); found && all.key().starts_with(prefix);
         found = all.next()) {
      const auto number = decode_number(all.value(), "counter");
      switch (static_cast<process_state>(decode_counter(all.key()).state)) {
        case process_state::ready:
          x.ready += number;
          break;
        case process_state::running:
          x.running += number;
          break;
        case process_state::waiting:
          x.waiting += number;
          break;
        case process_state::quarantined:
          x.quarantined += number;
          break;
        default:
          break;
      }
    }
  }

  void note_due(timestamp_ms at, queue_view& x) {
    x.oldest_ready_at = x.oldest_ready_at == 0 ? at : std::min(x.oldest_ready_at, at);
  }

  /// Counts one more, if that is still to be done.
  bool may_count(queue_view& x) {
    if (counted_ >= count_max) {
      x.estimated = true;
      return false;
    }
    ++counted_;
    return true;
  }

  void count_due(name_id queue, queue_view& x) {
    cursor all{txn_, tables_.ready};
    auto found = all.seek(queue_prefix(queue));
    while (found) {
      const auto here = decode_ready(all.key());
      if (here.queue != queue) {
        return;
      }
      if (here.due_at > now_ || !may_count(x)) {
        // All that follow in this priority are due later, or are not counted.
        if (here.due_at <= now_) {
          note_due(here.due_at, x);
        }
        found = all.seek(encode(ready_place{queue, here.kind, here.priority - 1, 0, row_id{0}}));
        continue;
      }
      ++x.ready;
      note_due(here.due_at, x);
      found = all.next();
    }
  }

  void count_blocked(const std::string& prefix, queue_view& x) {
    cursor all{txn_, tables_.blocked};
    for (auto found = all.seek(prefix); found && all.key().starts_with(prefix) && may_count(x);
         found = all.next()) {
      ++x.blocked;
      note_due(decode_blocked(all.key()).due_at, x);
    }
  }

  const transaction& txn_;
  const table_handles& tables_;
  const table_reader& read_;
  timestamp_ms now_;
  std::size_t counted_ = 0;
};

} // namespace

queue_list store::queues(timestamp_ms now) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  return {queue_survey{txn, impl_->tables, read, now}.run(), now};
}

} // namespace belay::storage
