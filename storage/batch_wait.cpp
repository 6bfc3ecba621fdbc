// Parking and waking: a waiting process is a row, a wait record and an index entry.
#include "storage/batch.hpp"
#include "storage/codec.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

/// Conditions of one wait, the first included.
constexpr std::size_t conditions_max = 10'000;
/// Rows that are looked at to find out whether two would wait for each other.
constexpr std::size_t turn_scan_max = 2 * conditions_max;
constexpr std::size_t timer_name_bytes_max = 512;

nlohmann::json facts_of(const wait_record& x) {
  nlohmann::json facts{{"for", to_string(x.kind)}};
  if (!x.name.empty()) {
    facts["name"] = x.name;
  }
  if (x.ordinal != 0) {
    facts["ordinal"] = x.ordinal;
  }
  if (x.deadline != 0) {
    facts["deadline"] = x.deadline;
  }
  if (!x.also.empty()) {
    facts["others"] = x.also.size();
  }
  return facts;
}

nlohmann::json reason_of(const char* by, const awaited& x) {
  return {{"by", by}, {"name", x.name}, {"ordinal", x.ordinal}};
}

} // namespace

bool batch::holds(const row_state& x, const awaited& one) const {
  switch (one.kind) {
    case wait_kind::signal:
      return read_.count_events(x.row, x.head, event_types::signal_prefix + one.name,
                                x.head.last_seq)
             >= one.ordinal;
    case wait_kind::timer:
      return one.deadline <= context_.now;
    case wait_kind::child: {
      const auto child = read_.find_head(one.target);
      return !child || child->state == process_state::finished;
    }
    default:
      return false;
  }
}

void batch::forget_wait(const row_state& x) {
  countdowns_.erase(x.row);
  const auto wait = read_.waiting(x.row);
  if (!wait) {
    return;
  }
  if (wait->woken.empty()) {
    if (const auto alarm = alarm_of(*wait); alarm != 0) {
      txn_.erase(tables_.timer, timer_key(alarm, x.row, 0));
    }
    for (const auto& one : conditions_of(*wait)) {
      if (one.kind == wait_kind::child) {
        txn_.erase(tables_.waiter, pair_key(static_cast<std::uint64_t>(one.target),
                                            static_cast<std::uint64_t>(x.row)));
      }
    }
    drop(wait->outcome);
  }
  txn_.erase(tables_.wait, row_key(x.row));
}

void batch::resume(row_state& x, wait_record wait, const nlohmann::json& why) {
  forget_wait(x);
  wait.woken = json_text(why);
  wait.also.clear();
  wait.remaining = 0;
  txn_.put(tables_.wait, row_key(x.row), encode(wait));
  x.head.resumed = true;
  x.head.due_at = context_.now;
  add_event(x, event_types::resumed, wait.woken);
  make_ready(x);
}

void batch::signal_arrived(row_state& x, const std::string& type) {
  if (x.head.state != process_state::waiting) {
    return;
  }
  const auto wait = read_.waiting(x.row);
  for (const auto& one : wait ? conditions_of(*wait) : std::vector<awaited>{}) {
    if (one.kind == wait_kind::signal && event_types::signal_prefix + one.name == type
        && holds(x, one)) {
      resume(x, *wait, reason_of("signal", one));
      return;
    }
  }
}

std::optional<std::string>
batch::waits_in_turn(row_id row, row_id target, std::set<row_id>& seen) const {
  for (auto at = read_.find_head(row); at && at->parent != row_id{};
       at = read_.find_head(at->parent)) {
    if (at->parent == target) {
      return "is an ancestor of it, and ends no sooner";
    }
  }
  std::deque<row_id> open;
  const auto look_at = [&](row_id next) {
    if (seen.size() < turn_scan_max && seen.insert(next).second) {
      open.push_back(next);
    }
  };
  for (look_at(target); !open.empty(); open.pop_front()) {
    const auto wait = read_.waiting(open.front());
    if (open.front() == row) {
      return "waits for it in turn";
    }
    if (!wait || !wait->woken.empty()) {
      continue;
    }
    if (wait->kind == wait_kind::closing) {
      each_child(open.front(), [&](row_id child) {
        const auto head = read_.find_head(child);
        if (head && head->close == close_policy::await) {
          look_at(child);
        }
      });
    }
    for (const auto& one : conditions_of(*wait)) {
      if (one.kind == wait_kind::child) {
        look_at(one.target);
      }
    }
  }
  return std::nullopt;
}

checked<row_id> batch::read_target(const std::string& field, const std::string& id, row_id row,
                                   std::set<row_id>& seen) const {
  const auto target = read_.lookup(id);
  if (!target && target.why().code == ec::pruned) {
    return row_id{}; // It ended.
  }
  if (!target) {
    return refusal{target.why().code, field + ".name: " + target.why().text};
  }
  if (*target == row) {
    return refusal{ec::bad_request, field + ".name: a process cannot wait for itself"};
  }
  if (const auto why = waits_in_turn(row, *target, seen)) {
    return refusal{ec::bad_request, field + ".name: '" + id + "' cannot be waited for: it " + *why};
  }
  return *target;
}

checked<awaited> batch::read_condition(const std::string& field, const wait_condition& x,
                                       row_id row, std::set<row_id>& seen) const {
  awaited one{x.kind, x.name, x.ordinal, {}, x.deadline};
  if (one.deadline < 0 || (one.kind == wait_kind::timer && one.deadline == 0)) {
    return refusal{ec::bad_request, field + ".deadline: " + std::to_string(one.deadline)
                                      + " is not acceptable, expected a time"};
  }
  switch (one.kind) {
    case wait_kind::signal:
      if (auto no = check_event_name(field + ".name", event_types::signal_prefix + one.name)) {
        return *no;
      }
      if (one.ordinal == 0) {
        return refusal{ec::bad_request,
                       field + ".ordinal: 0 is not acceptable, expected 1 or more"};
      }
      return one;
    case wait_kind::child: {
      const auto target = read_target(field, one.name, row, seen);
      if (!target) {
        return target.why();
      }
      one.target = *target;
      return one;
    }
    case wait_kind::timer:
      if (one.name.size() > timer_name_bytes_max || !is_plain_text(one.name)) {
        return refusal{ec::bad_request, field + ".name: not acceptable, expected at most "
                                          + std::to_string(timer_name_bytes_max)
                                          + " bytes of plain UTF-8"};
      }
      return one;
    default:
      return refusal{ec::bad_request,
                     field + ".kind: not acceptable, expected signal, timer or child"};
  }
}

checked<wait_record> batch::read_wait(const park_request& x, row_id row) const {
  if (x.also.size() >= conditions_max) {
    return refusal{ec::bad_request, "also: " + std::to_string(x.also.size())
                                      + " conditions are not acceptable, expected less than "
                                      + std::to_string(conditions_max)};
  }
  wait_record wait;
  wait.since = context_.now;
  std::vector<awaited> all;
  std::set<row_id> seen;
  for (std::size_t i = 0; i <= x.also.size(); ++i) {
    const auto field = i == 0 ? std::string{"until"} : "also[" + std::to_string(i - 1) + "]";
    auto one = read_condition(field, i == 0 ? x.until : x.also[i - 1], row, seen);
    if (!one) {
      return one.why();
    }
    all.push_back(std::move(*one));
  }
  const auto& first = all.front();
  wait.kind = first.kind;
  wait.name = first.name;
  wait.ordinal = first.ordinal;
  wait.target = first.target;
  wait.deadline = first.deadline;
  wait.also.assign(all.begin() + 1, all.end());
  std::set<row_id> children;
  for (const auto& one : all) {
    if (one.kind == wait_kind::child && one.target != row_id{}) {
      children.insert(one.target);
    }
  }
  if (x.needed == 0 || (x.needed > 1 && (x.needed > all.size() || children.size() < all.size()))) {
    return refusal{ec::bad_request, "needed: " + std::to_string(x.needed)
                                      + " is not acceptable, expected 1 or, where the conditions "
                                        "are so many different children, up to their number"};
  }
  return wait;
}

answer batch::run(const park_request& x) {
  auto held = held_row(x.held);
  if (!held) {
    return held.why();
  }
  auto wait = read_wait(x, held->row);
  if (!wait) {
    return wait.why();
  }
  const auto& head = held->head;
  drop_lease(held->row, *read_.lease(held->row));
  held->head.state = process_state::waiting;
  add_event(*held, event_types::waiting, json_text(facts_of(*wait)));
  park_receipt receipt;
  if (rules::ends_cancelled(head)) {
    end(*held, make_cancelled("cancelled before it waited"), head.fence);
  } else if (head.abandon_requested) {
    end(*held, abandoned_by(*held, "reconciled_request", "abandoned by request"), head.fence);
  } else {
    receipt.woken = begin_wait(*held, std::move(*wait), x.needed);
  }
  save(*held);
  return receipt;
}

bool batch::begin_wait(row_state& x, wait_record wait, std::uint64_t needed) {
  const auto all = conditions_of(wait);
  std::vector<const awaited*> open;
  const awaited* by = nullptr;
  for (const auto& one : all) {
    if (!holds(x, one)) {
      open.push_back(&one);
    } else if (by == nullptr) {
      by = &one;
    }
  }
  const auto fulfilled = all.size() - open.size();
  const auto cancelled = x.head.cancel_requested && !x.head.cancel_seen;
  if (fulfilled >= needed || cancelled) {
    // It holds already: nothing is stored but the answer.
    wait.deadline = 0;
    resume(x, std::move(wait),
           fulfilled >= needed ? reason_of(to_string(by->kind).c_str(), *by)
                               : nlohmann::json{{"by", "cancel"}});
    return true;
  }
  wait.remaining = needed > 1 ? needed - fulfilled : 0;
  txn_.put(tables_.wait, row_key(x.row), encode(wait));
  if (const auto alarm = alarm_of(wait); alarm != 0) {
    txn_.put(tables_.timer, timer_key(alarm, x.row, 0), {});
  }
  for (const auto* one : open) {
    if (one->kind == wait_kind::child) {
      txn_.put(tables_.waiter,
               pair_key(static_cast<std::uint64_t>(one->target), static_cast<std::uint64_t>(x.row)),
               {});
    }
  }
  return false;
}

void batch::expire_timers(std::uint32_t max) {
  std::vector<std::string> due;
  {
    cursor all{txn_, tables_.timer};
    for (auto found = all.first(); found && due.size() < max; found = all.next()) {
      if (byte_reader{all.key()}.i64() > context_.now) {
        break;
      }
      due.emplace_back(all.key());
    }
  }
  for (const auto& key : due) {
    byte_reader in{key};
    static_cast<void>(in.i64());
    const auto row = row_id{in.u64()};
    const auto what = in.u64();
    txn_.erase(tables_.timer, key);
    if (what != 0) {
      if (auto x = find_wake(wake_id{what}); x && is_open(x->state)) {
        const auto before = x->state;
        x->state = wake_state::undeliverable;
        x->reason = "expired";
        save_wake(wake_id{what}, *x, before);
      }
      continue;
    }
    auto state = load(row);
    const auto wait = read_.waiting(row);
    if (state.head.state == process_state::waiting && wait && wait->woken.empty()) {
      for (const auto& one : conditions_of(*wait)) {
        if (one.deadline != 0 && one.deadline <= context_.now) {
          const auto* by = one.kind == wait_kind::timer ? "timer" : "deadline";
          resume(state, *wait, reason_of(by, one));
          happenings_.push_back({happening::what::timer, {}, state.head.kind});
          break;
        }
      }
      save(state);
    }
  }
}

} // namespace belay::storage
