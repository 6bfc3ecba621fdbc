// The wake outbox: written with the event that causes a wake, settled by who receives it.
#include "storage/batch.hpp"
#include "storage/codec.hpp"

#include <algorithm>

namespace belay::storage {

namespace {

/// Open wakes of a session that one take looks at.
constexpr std::size_t take_scan_max = 10'000;
constexpr std::uint32_t take_max = 1'000;
constexpr duration_ms ttl_max = 24LL * 3'600 * 1'000;

} // namespace

std::optional<wake_record> batch::find_wake(wake_id id) const {
  const auto found = txn_.get(tables_.wake, row_key(row_id{static_cast<std::uint64_t>(id)}));
  return found ? std::optional{decode_wake(*found)} : std::nullopt;
}

void batch::save_wake(wake_id id, const wake_record& x, wake_state before) {
  const auto number = static_cast<std::uint64_t>(id);
  txn_.put(tables_.wake, row_key(row_id{number}), encode(x));
  if (is_open(before) && !is_open(x.state)) {
    txn_.erase(tables_.wake_open, wake_open_key(x.session, id));
    --open_wakes_.value;
  } else if (!is_open(before) && is_open(x.state)) {
    txn_.put(tables_.wake_open, wake_open_key(x.session, id), {});
    ++open_wakes_.value;
  }
  // Only what is on its way can grow too old.
  if (shared_.opts.wake_age_max > 0 && is_moving(before) && !is_moving(x.state)) {
    txn_.erase(tables_.timer, timer_key(x.created_at + shared_.opts.wake_age_max, x.row, number));
  }
}

void batch::send_wake(const row_state& x, event_seq seq, const std::string& type,
                      const std::string& session, const std::string& input) {
  const auto number = next_wake_.value++;
  wake_record wake;
  wake.row = x.row;
  wake.seq = seq;
  wake.session = session;
  wake.event_type = type;
  wake.input = keep(input);
  wake.created_at = context_.now;
  wake.next_at = context_.now;
  save_wake(wake_id{number}, wake, wake_state::discarded);
  txn_.put(tables_.wake_row, pair_key(static_cast<std::uint64_t>(x.row), number), {});
  if (shared_.opts.wake_age_max > 0) {
    txn_.put(tables_.timer, timer_key(context_.now + shared_.opts.wake_age_max, x.row, number), {});
  }
}

std::vector<wake_id> batch::open_wakes(row_id row) const {
  std::vector<wake_id> result;
  for (const auto& key : keys_of(tables_.wake_row, row_key(row))) {
    const auto id = wake_id{byte_reader{std::string_view{key}.substr(sizeof(std::uint64_t))}.u64()};
    if (is_open(find_wake(id)->state)) {
      result.push_back(id);
    }
  }
  return result;
}

std::uint64_t batch::discard_wakes(row_id row, const std::string& session, const char* reason) {
  std::uint64_t count = 0;
  for (const auto id : open_wakes(row)) {
    auto x = *find_wake(id);
    if (x.session == session) {
      const auto before = x.state;
      x.state = wake_state::discarded;
      x.reason = reason;
      x.token = 0;
      save_wake(id, x, before);
      ++count;
    }
  }
  return count;
}

answer batch::run(const take_wakes_request& x) {
  if (auto no = validate_session("session", x.session, shared_.opts.registration)) {
    return *no;
  }
  if (x.max == 0 || x.max > take_max || x.ttl <= 0 || x.ttl > ttl_max) {
    return refusal{ec::bad_request,
                   "max, ttl: " + std::to_string(x.max) + ", " + std::to_string(x.ttl)
                     + " are not acceptable, expected 1 to 1000 and 1 ms to 1 day"};
  }
  std::vector<wake_id> free;
  {
    // An open wake that cannot be taken holds back the later ones of its process.
    std::set<row_id> blocked;
    const auto prefix = short_hash(x.session);
    cursor all{txn_, tables_.wake_open};
    std::size_t scanned = 0;
    for (auto found = all.seek(prefix); found && all.key().substr(0, prefix.size()) == prefix
                                        && free.size() < x.max && ++scanned <= take_scan_max;
         found = all.next()) {
      const auto id = wake_id{byte_reader{all.key().substr(prefix.size())}.u64()};
      const auto wake = *find_wake(id);
      const auto ready = wake.state != wake_state::undeliverable && wake.next_at <= context_.now;
      if (ready && blocked.count(wake.row) == 0) {
        free.push_back(id);
      } else {
        blocked.insert(wake.row);
      }
    }
  }
  wake_list result;
  for (const auto id : free) {
    auto record = *find_wake(id);
    const auto before = record.state;
    record.state = wake_state::taken;
    ++record.attempts;
    record.token = context_.random();
    record.next_at = context_.now + x.ttl;
    save_wake(id, record, before);
    result.wakes.push_back(view_of(read_, id, record));
  }
  return result;
}

answer batch::run(const settle_wake_request& x) {
  const auto found = find_wake(x.id);
  if (!found) {
    return refusal{ec::bad_request,
                   "id: there is no wake " + std::to_string(static_cast<std::uint64_t>(x.id))};
  }
  auto wake = *found;
  const auto before = wake.state;
  const auto wrong = [&](const std::string& what) {
    return refusal{ec::wrong_state, "wake " + std::to_string(static_cast<std::uint64_t>(x.id))
                                      + " is " + to_string(before) + ": " + what};
  };
  const auto by_hand = x.verdict == wake_verdict::redrive || x.verdict == wake_verdict::discard;
  if (!by_hand && (wake.token != x.token || x.token == 0)) {
    return refusal{ec::lease_superseded, "wake " + std::to_string(static_cast<std::uint64_t>(x.id))
                                           + " was handed to another receiver since"};
  }
  if (auto no = check_text("reason", x.reason, shared_.opts.registration.label_bytes_max)) {
    return *no;
  }
  wake.reason = x.reason;
  switch (x.verdict) {
    case wake_verdict::delivered:
      if (before == wake_state::delivered) {
        return done{0};
      }
      if (before != wake_state::taken) {
        return wrong("only one that was taken is delivered");
      }
      wake.state = wake_state::delivered;
      break;
    case wake_verdict::deferred:
      if (before != wake_state::taken) {
        return wrong("only one that was taken is put back");
      }
      wake.state = wake.attempts >= shared_.opts.wake_attempts_max ? wake_state::undeliverable
                                                                   : wake_state::pending;
      wake.next_at = context_.now + rules::wake_pause(wake.attempts - 1);
      wake.token = 0;
      break;
    case wake_verdict::target_gone:
      if (before != wake_state::taken) {
        return wrong("only one that was taken is given up");
      }
      wake.state = wake_state::undeliverable;
      wake.reason = "target_gone";
      wake.token = 0;
      break;
    case wake_verdict::redrive:
      if (before != wake_state::undeliverable) {
        return wrong("only an undeliverable one is redriven");
      }
      wake.state = wake_state::pending;
      wake.attempts = 0;
      wake.next_at = context_.now;
      break;
    case wake_verdict::discard:
      if (before == wake_state::discarded) {
        return done{0};
      }
      if (!is_open(before)) {
        return wrong("it has arrived");
      }
      wake.state = wake_state::discarded;
      wake.token = 0;
      break;
    default:
      return refusal{ec::bad_request, "verdict: unknown"};
  }
  save_wake(x.id, wake, before);
  touched_.insert(wake.row); // Whoever waits for wakes looks again.
  return done{1};
}

} // namespace belay::storage
