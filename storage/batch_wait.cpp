// Parking and waking: a waiting process is a row, a wait record and an index entry.
#include "storage/batch.hpp"
#include "storage/codec.hpp"

#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

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
  return facts;
}

} // namespace

bool batch::holds(const row_state& x, const wait_record& wait) const {
  switch (wait.kind) {
    case wait_kind::signal:
      return read_.count_events(x.row, x.head, event_types::signal_prefix + wait.name,
                                x.head.last_seq)
             >= wait.ordinal;
    case wait_kind::timer:
      return wait.deadline <= context_.now;
    case wait_kind::child: {
      const auto child = read_.find_head(wait.target);
      return !child || child->state == process_state::finished;
    }
    default:
      return false;
  }
}

void batch::forget_wait(const row_state& x) {
  const auto wait = read_.waiting(x.row);
  if (!wait) {
    return;
  }
  if (wait->woken.empty()) {
    if (wait->deadline != 0) {
      txn_.erase(tables_.timer, timer_key(wait->deadline, x.row, 0));
    }
    if (wait->kind == wait_kind::child) {
      txn_.erase(tables_.waiter, pair_key(static_cast<std::uint64_t>(wait->target),
                                          static_cast<std::uint64_t>(x.row)));
    }
    drop(wait->outcome);
  }
  txn_.erase(tables_.wait, row_key(x.row));
}

void batch::resume(row_state& x, wait_record wait, const nlohmann::json& why) {
  forget_wait(x);
  wait.woken = json_text(why);
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
  if (wait && wait->kind == wait_kind::signal && event_types::signal_prefix + wait->name == type
      && holds(x, *wait)) {
    resume(x, *wait, {{"by", "signal"}, {"name", wait->name}, {"ordinal", wait->ordinal}});
  }
}

answer batch::run(const park_request& x) {
  auto held = held_row(x.held);
  if (!held) {
    return held.why();
  }
  wait_record wait;
  wait.kind = x.until.kind;
  wait.name = x.until.name;
  wait.ordinal = x.until.ordinal;
  wait.deadline = x.until.deadline;
  wait.since = context_.now;
  if (wait.deadline < 0 || (wait.kind == wait_kind::timer && wait.deadline == 0)) {
    return refusal{ec::bad_request, "until.deadline: " + std::to_string(wait.deadline)
                                      + " is not acceptable, expected a time"};
  }
  if (wait.kind == wait_kind::signal) {
    if (auto no = check_event_name("until.name", event_types::signal_prefix + wait.name)) {
      return *no;
    }
    if (wait.ordinal == 0) {
      return refusal{ec::bad_request, "until.ordinal: 0 is not acceptable, expected 1 or more"};
    }
  } else if (wait.kind == wait_kind::child) {
    const auto child = read_.lookup(wait.name);
    if (!child && child.why().code != ec::pruned) {
      return child.why();
    }
    if (child && *child == held->row) {
      return refusal{ec::bad_request, "until.name: a process cannot wait for itself"};
    }
    wait.target = child ? *child : row_id{};
  } else if (wait.kind != wait_kind::timer) {
    return refusal{ec::bad_request, "until.kind: " + to_string(wait.kind)
                                      + " is not acceptable, expected signal, timer or child"};
  }
  auto& head = held->head;
  drop_lease(held->row, *read_.lease(held->row));
  head.state = process_state::waiting;
  add_event(*held, event_types::waiting, json_text(facts_of(wait)));
  park_receipt receipt;
  if (head.cancel_requested || head.kill_requested) {
    end(*held, make_cancelled("cancelled before it waited"), head.fence);
  } else if (head.abandon_requested) {
    end(*held, abandoned_by(*held, "reconciled_request", "abandoned by request"), head.fence);
  } else if (holds(*held, wait)) {
    // It holds already: nothing is stored but the answer.
    receipt.woken = true;
    auto woken = wait;
    woken.deadline = 0;
    resume(*held, woken,
           {{"by", to_string(wait.kind)}, {"name", wait.name}, {"ordinal", wait.ordinal}});
  } else {
    txn_.put(tables_.wait, row_key(held->row), encode(wait));
    if (wait.deadline != 0) {
      txn_.put(tables_.timer, timer_key(wait.deadline, held->row, 0), {});
    }
    if (wait.kind == wait_kind::child) {
      txn_.put(
        tables_.waiter,
        pair_key(static_cast<std::uint64_t>(wait.target), static_cast<std::uint64_t>(held->row)),
        {});
    }
  }
  save(*held);
  return receipt;
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
      const auto* by = wait->kind == wait_kind::timer ? "timer" : "deadline";
      resume(state, *wait, {{"by", by}, {"name", wait->name}, {"ordinal", wait->ordinal}});
      save(state);
    }
  }
}

} // namespace belay::storage
