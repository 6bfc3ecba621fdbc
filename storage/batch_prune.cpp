// Forgetting: finished processes, then their tombstones.
#include "storage/batch.hpp"
#include "storage/codec.hpp"

#include <algorithm>

namespace belay::storage {

namespace {

constexpr std::uint32_t prune_max = 10'000;
/// Rows that one message looks at: a filter that matches nothing still answers soon.
constexpr std::size_t prune_scan_max = 20'000;

} // namespace

answer batch::run(const prune_request& x) {
  if (x.max == 0 || x.max > prune_max) {
    return refusal{ec::bad_request,
                   "max: " + std::to_string(x.max) + " is not acceptable, expected 1 to 10000"};
  }
  if (x.before <= 0 || x.before > context_.now + 1) {
    return refusal{ec::bad_request, "before: " + std::to_string(x.before)
                                      + " is not acceptable, expected a time that has been"};
  }
  const auto kind = x.kind.empty() ? std::nullopt : read_.find_name(name_kind::kind, x.kind);
  const auto queue = x.queue.empty() ? std::nullopt : read_.find_name(name_kind::queue, x.queue);
  prune_report report;
  std::vector<std::pair<row_id, head_record>> rows;
  const auto matches = [&](row_id row, const head_record& head) {
    const auto outcome_fits
      = x.outcomes.empty()
        || std::find(x.outcomes.begin(), x.outcomes.end(), head.ended) != x.outcomes.end();
    return outcome_fits && (x.kind.empty() || head.kind == kind)
           && (x.queue.empty() || head.queue == queue)
           && (x.change_max == 0 || head.change <= x.change_max)
           && (x.originator.empty() || read_.body(row).originator == x.originator);
  };
  {
    cursor all{txn_, tables_.finished};
    std::size_t scanned = 0;
    auto found = all.seek(x.after_time == 0 ? std::string{time_key(0, row_id{})}
                                            : time_key(x.after_time, x.after_row) + '\0');
    for (; found; found = all.next()) {
      byte_reader key{all.key()};
      const auto at = key.i64();
      const auto row = row_id{key.u64()};
      if (at >= x.before) {
        break;
      }
      if (rows.size() >= x.max || ++scanned > prune_scan_max) {
        report.more = true;
        break;
      }
      report.after_time = at;
      report.after_row = row;
      const auto head = read_.head(row);
      if (!matches(row, head)) {
        continue;
      }
      if (!open_wakes(row).empty()) {
        ++report.held_back;
        continue;
      }
      rows.emplace_back(row, head);
    }
  }
  report.pruned = rows.size();
  if (!x.dry_run) {
    for (const auto& [row, head] : rows) {
      prune_row(row, head);
    }
  }
  return report;
}

void batch::prune_row(row_id row, const head_record& head) {
  const auto number = static_cast<std::uint64_t>(row);
  const auto key = row_key(row);
  const auto body = read_.body(row);
  count(counter_of(head), -1);
  for (event_seq seq = 1; seq <= head.last_seq; ++seq) {
    const auto at = event_key(row, seq);
    if (const auto stored = txn_.get(tables_.event, at)) {
      drop(decode_event(*stored).payload);
      txn_.erase(tables_.event, at);
    }
  }
  drop_entries(row);
  if (const auto status = txn_.get(tables_.status, key)) {
    drop(decode_status(*status));
    txn_.erase(tables_.status, key);
  }
  for (const auto& one : keys_of(tables_.attachment, key)) {
    drop(decode_attachment(*txn_.get(tables_.attachment, one)).content);
    txn_.erase(tables_.attachment, one);
  }
  for (const auto table : {tables_.event_key, tables_.event_by_type, tables_.child}) {
    for (const auto& one : keys_of(table, key)) {
      txn_.erase(table, one);
    }
  }
  for (const auto& session : read_.observers(row)) {
    txn_.erase(tables_.session, session_key(session, session_role::observer, row));
  }
  for (const auto& one : keys_of(tables_.observer, key)) {
    txn_.erase(tables_.observer, one);
  }
  for (const auto& one : keys_of(tables_.wake_row, key)) {
    const auto id = byte_reader{std::string_view{one}.substr(sizeof number)}.u64();
    drop(find_wake(wake_id{id})->input);
    txn_.erase(tables_.wake, row_key(row_id{id}));
    txn_.erase(tables_.wake_row, one);
  }
  if (head.detailed) {
    const auto session = read_.detail(row).wake_session;
    if (!session.empty()) {
      txn_.erase(tables_.session, session_key(session, session_role::target, row));
    }
    txn_.erase(tables_.detail, key);
  }
  if (head.parent != row_id{}) {
    txn_.erase(tables_.child, pair_key(static_cast<std::uint64_t>(head.parent), number));
  }
  drop(body.registration);
  drop(read_.outcome(row)->text);
  txn_.erase(tables_.outcome, key);
  txn_.erase(tables_.finished, time_key(head.finished_at, row));
  txn_.erase(tables_.change, row_key(row_id{head.change}));
  txn_.erase(tables_.head, key);
  txn_.erase(tables_.body, key);
  txn_.erase(tables_.id, body.id);
  const tombstone_record tomb{row, head.ended, context_.now, next_change_.value++, head.fence};
  txn_.put(tables_.tombstone, body.id, encode(tomb));
  txn_.put(tables_.tombstone_age, pair_key(static_cast<std::uint64_t>(tomb.pruned_at), tomb.change),
           encode_name(body.id));
  txn_.put(tables_.change, row_key(row_id{tomb.change}), encode(change_record{{}, body.id}));
  changed_.erase(row);
  touched_.insert(row);
}

answer batch::run(const compact_request& x) {
  if (x.max == 0 || x.max > prune_max) {
    return refusal{ec::bad_request,
                   "max: " + std::to_string(x.max) + " is not acceptable, expected 1 to 10000"};
  }
  std::vector<std::pair<std::string, process_id>> old;
  {
    cursor all{txn_, tables_.tombstone_age};
    for (auto found = all.first(); found && old.size() < x.max; found = all.next()) {
      byte_reader key{all.key()};
      const auto at = static_cast<timestamp_ms>(key.u64());
      const auto change = key.u64();
      if (at >= x.before || (x.change_max != 0 && change > x.change_max)) {
        break; // Changes rise with the time: none that follows fits.
      }
      auto value = byte_reader::of_record(all.value(), "tombstone_age");
      old.emplace_back(std::string{all.key()}, std::string{value.text()});
    }
  }
  for (const auto& [key, id] : old) {
    const auto tomb = *read_.tombstone(id);
    fence_floor_.value = std::max(fence_floor_.value, static_cast<std::uint64_t>(tomb.fence));
    txn_.erase(tables_.change, row_key(row_id{tomb.change}));
    txn_.erase(tables_.tombstone, id);
    txn_.erase(tables_.tombstone_age, key);
  }
  return done{old.size()};
}

} // namespace belay::storage
