#include "tests/storage/model.hpp"

#include "storage/rules.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::tests {

namespace {

refusal no(ec code) {
  return {code, ""};
}

bool live(const model::process& x) {
  return x.state != process_state::finished;
}

bool open_state(wake_state x) {
  return x == wake_state::pending || x == wake_state::taken || x == wake_state::undeliverable;
}

const event_type* declared(const model::process& x, const std::string& type) {
  for (const auto& one : x.what.event_types) {
    if (one.name == type) {
      return &one;
    }
  }
  return nullptr;
}

outcome ended_by(outcome_kind kind) {
  outcome x;
  x.kind = kind;
  return x;
}

} // namespace

answer model::apply(const operation& op, timestamp_ms now) {
  now_ = now;
  auto result = std::visit([this](const auto& x) { return run(x); }, op);
  settle_ends();
  return result;
}

void model::end_batch() {
  touched_.clear();
}

void model::learn(const answer& real) {
  if (const auto* list = std::get_if<wake_list>(&real)) {
    for (const auto& x : list->wakes) {
      wakes.at(static_cast<std::uint64_t>(x.id)).token = x.token;
    }
  }
}

const model::process* model::find(const std::string& id) const {
  const auto found = ids.find(id);
  return found == ids.end() ? nullptr : &rows.at(found->second);
}

model::process* model::named(const std::string& id, ec& why) {
  const auto found = ids.find(id);
  if (found != ids.end()) {
    return &rows.at(found->second);
  }
  why = tombstones.count(id) != 0 ? ec::pruned : ec::unknown_process;
  return nullptr;
}

/// Tokens are unique to a fence, so the fence stands for both.
model::process* model::holder_of(const lease& held) {
  const auto found = rows.find(held.row);
  if (found == rows.end() || !found->second.lease) {
    return nullptr;
  }
  const auto& stored = *found->second.lease;
  const auto same = stored.owner == held.holder.name && stored.fence == held.fence
                    && stored.incarnation == held.holder.incarnation && stored.expires_at > now_;
  return same ? &found->second : nullptr;
}

void model::touch(process& x) {
  if (touched_.insert(x.row).second) {
    x.change = next_change++;
  }
}

event_seq model::say(process& x, const std::string& type) {
  x.events.push_back(type);
  touch(x);
  return x.events.size();
}

// -- register, claim, leases ----------------------------------------------------------------------

answer model::run(const register_request& x) {
  std::map<std::string, const registration*> earlier;
  for (const auto& item : x.items) {
    if (const auto* stored = find(item.id)) {
      if (!(stored->what == item)) {
        return no(ec::registration_conflict);
      }
    } else if (tombstones.count(item.id) != 0) {
      return no(ec::pruned);
    } else if (!item.parent.empty() && earlier.count(item.parent) == 0) {
      auto why = ec::none;
      const auto* parent = named(item.parent, why);
      if (parent == nullptr) {
        return no(why);
      }
      if (!live(*parent)) {
        return no(ec::already_terminal);
      }
    }
    if (const auto before = earlier.find(item.id);
        before != earlier.end() && !(*before->second == item)) {
      return no(ec::registration_conflict);
    }
    earlier.emplace(item.id, &item);
  }
  registered_list result;
  for (const auto& item : x.items) {
    if (const auto* stored = find(item.id)) {
      result.items.push_back({item.id, stored->row, false});
      continue;
    }
    process fresh;
    fresh.what = item;
    fresh.row = row_id{next_row++};
    fresh.due_at = item.due_at == 0 ? now_ : item.due_at;
    fresh.fence = fencing_token{fence_floor};
    fresh.wake_session = item.wake_session;
    fresh.observers = {item.observers.begin(), item.observers.end()};
    fresh.state = item.rule == recovery_rule::externally_owned ? process_state::external
                                                               : process_state::ready;
    if (!item.parent.empty()) {
      auto& parent = rows.at(ids.at(item.parent));
      parent_of_[fresh.row] = parent.row;
      if (parents_.insert(parent.row).second) {
        touch(parent); // Only the first child changes its parent.
      }
    }
    const auto row = fresh.row;
    ids[item.id] = row;
    auto& stored = rows[row] = std::move(fresh);
    say(stored, event_types::registered);
    result.items.push_back({item.id, row, true});
  }
  return result;
}

answer model::run(const claim_request& x) {
  const auto known = incarnations.find(x.holder.name);
  if (known != incarnations.end() && known->second > x.holder.incarnation) {
    return no(ec::lease_superseded);
  }
  std::vector<process*> due;
  for (auto& [row, one] : rows) {
    if (one.state == process_state::ready && one.due_at <= now_
        && std::find(x.kinds.begin(), x.kinds.end(), one.what.kind) != x.kinds.end()) {
      due.push_back(&one);
    }
  }
  std::stable_sort(due.begin(), due.end(), [](const process* a, const process* b) {
    if (a->what.priority != b->what.priority) {
      return a->what.priority > b->what.priority;
    }
    return a->due_at < b->due_at;
  });
  claimed_list result;
  for (auto* one : due) {
    if (result.items.size() >= x.max) {
      break;
    }
    if (one->what.attempts_max != 0 && one->attempt >= one->what.attempts_max && !one->resumed) {
      end(*one, ended_by(outcome_kind::abandoned), one->fence);
      continue;
    }
    one->state = process_state::running;
    one->fence = fencing_token{static_cast<std::uint64_t>(one->fence) + 1};
    if (one->resumed) {
      one->resumed = false;
      one->wait.reset();
    } else {
      ++one->attempt;
    }
    if (one->first_owner.empty()) {
      one->first_owner = x.holder.name;
      one->first_fence = one->fence;
    }
    one->lease
      = held_lease{x.holder.name, x.holder.incarnation, one->fence, now_ + x.ttl, now_ + x.ttl};
    say(*one, event_types::started);
    claimed row;
    row.held = {one->row, one->what.id, x.holder, {}, one->fence, now_, now_ + x.ttl};
    row.attempt = one->attempt;
    row.interruptions = one->interruptions;
    row.cancel_requested = one->cancel;
    result.items.push_back(std::move(row));
  }
  return result;
}

answer model::run(const renew_request& x) {
  auto* one = holder_of(x.held);
  if (one == nullptr) {
    return no(ec::lease_superseded);
  }
  one->lease->expires_at = std::max(one->lease->expires_at, now_ + x.ttl);
  auto renewed = x.held;
  renewed.expires_at = one->lease->expires_at;
  return renewed;
}

answer model::run(const release_request& x) {
  auto* one = holder_of(x.held);
  if (one == nullptr) {
    return done{0};
  }
  one->lease.reset();
  say(*one, event_types::released);
  if (!x.started) {
    --one->attempt;
    if (one->first_fence == one->fence) {
      one->first_owner.clear();
      one->first_fence = {};
    }
  }
  if (one->cancel || one->kill) {
    end(*one, ended_by(outcome_kind::cancelled), one->fence);
  } else if (one->abandon || (one->what.rule == recovery_rule::owner_bound && x.started)) {
    end(*one, ended_by(outcome_kind::abandoned), one->fence);
  } else {
    one->state = process_state::ready;
  }
  return done{1};
}

void model::lose(process& x) {
  x.lease.reset();
  ++x.interruptions;
  say(x, event_types::interrupted);
  if (x.cancel || x.kill) {
    end(x, ended_by(outcome_kind::cancelled), x.fence);
  } else if (x.abandon) {
    end(x, ended_by(outcome_kind::abandoned), x.fence);
  } else if (x.interruptions >= model_interruptions_max
             || x.what.rule == recovery_rule::owner_bound) {
    x.state = process_state::quarantined;
    say(x, event_types::quarantined);
  } else {
    x.state = process_state::ready;
  }
}

answer model::run(const enlist_request& x) {
  const auto incarnation = ++incarnations[x.name];
  for (auto& [row, one] : rows) {
    if (one.lease && one.lease->owner == x.name) {
      lose(one);
    }
  }
  return owner{x.name, incarnation};
}

answer model::run(const void_request& x) {
  std::uint64_t count = 0;
  for (auto& [row, one] : rows) {
    if (one.lease && one.lease->owner == x.holder.name
        && one.lease->incarnation <= x.holder.incarnation) {
      lose(one);
      ++count;
    }
  }
  return done{count};
}

answer model::run(const expire_request&) {
  for (auto& [id, one] : wakes) {
    if (one.ages && one.created_at + model_wake_age_max <= now_
        && (one.state == wake_state::pending || one.state == wake_state::taken)) {
      one.state = wake_state::undeliverable;
    }
    one.ages = one.ages && one.created_at + model_wake_age_max > now_;
  }
  for (auto& [row, one] : rows) {
    if (one.state == process_state::waiting && one.wait && one.wait->until.deadline != 0
        && one.wait->until.deadline <= now_) {
      resume(one);
    }
  }
  std::vector<std::pair<timestamp_ms, row_id>> due;
  for (auto& [row, one] : rows) {
    if (one.lease && one.lease->indexed_at <= now_) {
      if (one.lease->expires_at <= now_) {
        due.emplace_back(one.lease->indexed_at, row);
      } else {
        one.lease->indexed_at = one.lease->expires_at;
      }
    }
  }
  std::sort(due.begin(), due.end());
  for (const auto& [at, row] : due) {
    lose(rows.at(row));
  }
  return done{due.size()};
}

answer model::run(const recover_request& x) {
  std::uint64_t count = 0;
  for (auto& [row, one] : rows) {
    if (one.lease && one.lease->owner == x.local) {
      lose(one);
      ++count;
    } else if (one.lease) {
      one.lease->expires_at = now_ + x.ttl;
      one.lease->indexed_at = now_ + x.ttl;
    }
  }
  return done{count};
}

// -- events and waits -----------------------------------------------------------------------------

bool model::holds(const process& x, const wait_condition& until) const {
  switch (until.kind) {
    case wait_kind::signal:
      return static_cast<std::uint64_t>(
               std::count(x.events.begin(), x.events.end(), "signal." + until.name))
             >= until.ordinal;
    case wait_kind::timer:
      return until.deadline <= now_;
    case wait_kind::child: {
      const auto* child = find(until.name);
      return child == nullptr || !live(*child);
    }
    default:
      return false;
  }
}

void model::resume(process& x) {
  x.wait->woken = true;
  x.resumed = true;
  x.due_at = now_;
  x.state = process_state::ready;
  say(x, event_types::resumed);
}

answer model::run(const append_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  if (x.fenced && (x.held.row != one->row || holder_of(x.held) == nullptr)) {
    return no(ec::lease_superseded);
  }
  const auto stands_for = x.type + x.payload;
  if (!x.key.empty()) {
    if (const auto used = one->keys.find(x.key); used != one->keys.end()) {
      if (used->second.second != stands_for) {
        return no(ec::event_conflict);
      }
      event first;
      first.seq = used->second.first;
      first.type = x.type;
      return first;
    }
  }
  const auto* type = declared(*one, x.type);
  if (type == nullptr && (!x.fenced || x.type.rfind("signal.", 0) == 0)) {
    return no(ec::bad_request);
  }
  if (!live(*one)) {
    return no(ec::already_terminal);
  }
  event result;
  result.seq = say(*one, x.type);
  result.type = x.type;
  if (!x.key.empty()) {
    one->keys[x.key] = {result.seq, stands_for};
  }
  if (type != nullptr && !type->wake.empty() && !one->wake_session.empty()) {
    wakes[next_wake++] = {one->row, one->wake_session, wake_state::pending, 0, now_, now_, 0, true};
  }
  if (one->state == process_state::waiting && one->wait->until.kind == wait_kind::signal
      && "signal." + one->wait->until.name == x.type && holds(*one, one->wait->until)) {
    resume(*one);
  }
  return result;
}

answer model::run(const park_request& x) {
  auto* one = holder_of(x.held);
  if (one == nullptr) {
    return no(ec::lease_superseded);
  }
  if (x.until.kind == wait_kind::child) {
    auto why = ec::none;
    const auto* child = named(x.until.name, why);
    if (child == nullptr && why != ec::pruned) {
      return no(why);
    }
    if (child == one) {
      return no(ec::bad_request);
    }
  }
  one->lease.reset();
  one->state = process_state::waiting;
  say(*one, event_types::waiting);
  park_receipt receipt;
  if (one->cancel || one->kill) {
    end(*one, ended_by(outcome_kind::cancelled), one->fence);
  } else if (one->abandon) {
    end(*one, ended_by(outcome_kind::abandoned), one->fence);
  } else {
    one->wait = waiting{x.until, false, {}, {}, 0};
    if (holds(*one, x.until)) {
      receipt.woken = true;
      resume(*one);
    }
  }
  return receipt;
}

// -- ends -----------------------------------------------------------------------------------------

void model::end(process& x, const outcome& result, fencing_token fence) {
  x.state = process_state::finished;
  x.ended = result;
  x.ended_fence = fence;
  x.finished_at = now_;
  x.resumed = false;
  x.wait.reset();
  say(x, storage::rules::terminal_event(result.kind));
  ended_.push_back(x.row);
}

std::vector<model::process*> model::children_of(const process& x) {
  std::vector<process*> result;
  for (auto& [row, one] : rows) {
    if (parent_of_.count(row) != 0 && parent_of_.at(row) == x.row) {
      result.push_back(&one);
    }
  }
  return result;
}

void model::settle_ends() {
  while (!ended_.empty()) {
    auto& x = rows.at(ended_.front());
    ended_.pop_front();
    for (auto& [row, one] : rows) {
      if (one.state == process_state::waiting && one.wait
          && one.wait->until.kind == wait_kind::child && one.wait->until.name == x.what.id) {
        resume(one);
      }
    }
    const auto parent = parent_of_.find(x.row);
    if (parent != parent_of_.end() && x.what.close == close_policy::await
        && rows.count(parent->second) != 0) {
      auto& above = rows.at(parent->second);
      if (above.state == process_state::waiting && above.wait->until.kind == wait_kind::closing
          && --above.wait->remaining == 0) {
        const auto kept = *above.wait;
        end(above, kept.held_back, kept.fence);
      }
    }
    for (auto* child : children_of(x)) {
      if (live(*child)
          && (child->what.close == close_policy::cancel
              || (child->what.close == close_policy::await
                  && x.ended->kind == outcome_kind::cancelled))) {
        cancel_child(*child, "parent");
      }
    }
  }
}

void model::cancel_awaited(process& x, const std::string& reason) {
  for (auto* child : children_of(x)) {
    if (live(*child) && !child->cancel && child->what.close == close_policy::await) {
      cancel_child(*child, reason);
    }
  }
}

void model::cancel_child(process& x, const std::string& reason) {
  say(x, event_types::cancel_requested);
  x.cancel = true;
  if (x.lease) {
    return;
  }
  if (x.state == process_state::waiting && x.wait->until.kind == wait_kind::closing) {
    cancel_awaited(x, reason);
  } else {
    end(x, ended_by(outcome_kind::cancelled), x.fence);
  }
}

answer model::run(const complete_request& x) {
  auto* one = holder_of(x.held);
  if (one == nullptr) {
    const auto found = rows.find(x.held.row);
    if (found != rows.end()) {
      const auto& stored = found->second;
      if (stored.ended && stored.ended_fence == x.held.fence && *stored.ended == x.result) {
        return completion{completion_status::already_applied, 0};
      }
      if (stored.state == process_state::waiting && stored.wait->until.kind == wait_kind::closing
          && stored.wait->fence == x.held.fence && stored.wait->held_back == x.result) {
        return completion{completion_status::closing, 0};
      }
    }
    return no(ec::lease_superseded);
  }
  one->lease.reset();
  if (x.result.kind == outcome_kind::failure && x.result.retryable && !one->cancel && !one->kill
      && one->failures + 1 < one->what.retry.attempts) {
    ++one->failures;
    one->due_at = now_; // The model's processes pause for no time.
    one->state = process_state::ready;
    say(*one, event_types::attempt_failed);
    return completion{completion_status::retry_scheduled, now_};
  }
  std::uint64_t awaited = 0;
  for (const auto* child : children_of(*one)) {
    awaited += live(*child) && child->what.close == close_policy::await ? 1 : 0;
  }
  if (awaited > 0) {
    one->state = process_state::waiting;
    one->wait = waiting{{wait_kind::closing, "", 0, 0}, false, x.result, x.held.fence, awaited};
    say(*one, event_types::waiting);
    if (x.result.kind == outcome_kind::cancelled) {
      cancel_awaited(*one, "parent");
    }
    return completion{completion_status::closing, 0};
  }
  end(*one, x.result, x.held.fence);
  return completion{completion_status::committed, 0};
}

answer model::run(const settle_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  if (storage::rules::authority_refused(x.by, one->what.rule, x.result.kind)) {
    return no(ec::authority_refused);
  }
  if (one->ended) {
    return *one->ended == x.result ? answer{completion{completion_status::already_applied, 0}}
                                   : answer{no(ec::already_terminal)};
  }
  one->lease.reset();
  end(*one, x.result, one->fence);
  return completion{completion_status::committed, 0};
}

answer model::run(const cancel_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  cancel_receipt receipt{cancel_stage::requested, one->row, {}, one->fence};
  if (!live(*one)) {
    receipt.stage = cancel_stage::already_terminal;
    return receipt;
  }
  const auto* type = x.kill ? event_types::kill_requested : event_types::cancel_requested;
  if (one->keys.emplace(std::string{type} + "/" + x.reason, std::pair{0, ""}).second) {
    say(*one, type);
  }
  touch(*one);
  one->cancel = true;
  one->kill = one->kill || x.kill;
  if (one->lease) {
    receipt.holder = {one->lease->owner, one->lease->incarnation};
  } else if (one->state == process_state::waiting && one->wait->until.kind == wait_kind::closing) {
    cancel_awaited(*one, x.reason);
  } else {
    end(*one, ended_by(outcome_kind::cancelled), one->fence);
    receipt.stage = cancel_stage::done;
  }
  return receipt;
}

answer model::run(const abandon_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  if (one->abandon) {
    if (one->abandon_by != x.by || one->abandon_reason != x.reason) {
      return no(ec::already_set);
    }
    return abandon_receipt{!live(*one)};
  }
  if (!live(*one)) {
    return no(ec::already_terminal);
  }
  one->abandon = true;
  one->abandon_by = x.by;
  one->abandon_reason = x.reason;
  say(*one, event_types::abandon_requested);
  if (one->lease) {
    return abandon_receipt{false};
  }
  end(*one, ended_by(outcome_kind::abandoned), one->fence);
  return abandon_receipt{true};
}

answer model::run(const requeue_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  if (x.from_quarantine) {
    if (one->state != process_state::quarantined
        || (one->what.rule == recovery_rule::owner_bound && !one->first_owner.empty())) {
      return no(ec::wrong_state);
    }
    one->interruptions = 0;
    say(*one, event_types::unquarantined);
  } else if (one->state != process_state::ready || one->due_at <= now_) {
    return no(ec::wrong_state);
  }
  one->state = process_state::ready;
  one->due_at = now_;
  touch(*one);
  return done{1};
}

answer model::run(const again_request& x) {
  auto why = ec::none;
  const auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  if (live(*one)) {
    return no(ec::wrong_state);
  }
  auto what = one->what;
  what.id = x.new_id;
  what.due_at = 0;
  if (const auto* parent = find(what.parent); parent == nullptr || !live(*parent)) {
    what.parent.clear();
  }
  if (what.parent == what.id) {
    return no(ec::bad_request);
  }
  what.labels["retry_of"] = x.id;
  return run(register_request{{what}});
}

answer model::run(const external_ref_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  const auto text = x.backend + "/" + x.reference;
  if (!one->external_ref.empty()) {
    return one->external_ref == text ? answer{done{0}} : answer{no(ec::already_set)};
  }
  one->external_ref = text;
  touch(*one);
  if (live(*one)) {
    say(*one, event_types::external_ref_set);
  }
  return done{1};
}

// -- sessions and wakes ---------------------------------------------------------------------------

answer model::run(const observe_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  const auto changed
    = x.add ? one->observers.insert(x.session).second : one->observers.erase(x.session) > 0;
  if (!changed) {
    return done{0};
  }
  touch(*one);
  if (live(*one)) {
    say(*one, x.add ? event_types::observer_added : event_types::observer_removed);
  }
  return done{1};
}

answer model::run(const transfer_request& x) {
  std::set<row_id> moved;
  for (const auto& id : x.ids) {
    auto why = ec::none;
    const auto* one = named(id, why);
    if (one == nullptr) {
      return no(why);
    }
    if (one->observers.count(x.from) == 0) {
      return no(ec::unknown_observer);
    }
    moved.insert(one->row);
  }
  if (x.from == x.to) {
    return done{0};
  }
  for (const auto row : moved) {
    auto& one = rows.at(row);
    one.observers.erase(x.from);
    one.observers.insert(x.to);
    touch(one);
    if (live(one)) {
      say(one, event_types::observer_removed);
      say(one, event_types::observer_added);
    }
  }
  return done{moved.size()};
}

std::uint64_t model::discard_wakes(row_id row, const std::string& session) {
  std::uint64_t count = 0;
  for (auto& [id, one] : wakes) {
    if (one.row == row && one.session == session && open_state(one.state)) {
      one.state = wake_state::discarded;
      one.token = 0;
      ++count;
    }
  }
  return count;
}

answer model::run(const forget_session_request& x) {
  session_report report;
  report.session = x.session;
  // First the edges, then the targets, each in the order of the rows.
  for (auto& [row, one] : rows) {
    if (one.observers.erase(x.session) > 0) {
      touch(one);
      ++report.removed_observers;
      if (live(one)) {
        (one.observers.empty() ? report.orphaned : report.preserved).push_back(one.what.id);
      }
    }
  }
  for (auto& [row, one] : rows) {
    if (one.wake_session == x.session) {
      touch(one);
      one.wake_session.clear();
      report.discarded_wakes += discard_wakes(row, x.session);
    }
  }
  std::sort(report.orphaned.begin(), report.orphaned.end());
  std::sort(report.preserved.begin(), report.preserved.end());
  return report;
}

answer model::run(const retarget_request& x) {
  auto why = ec::none;
  auto* one = named(x.id, why);
  if (one == nullptr) {
    return no(why);
  }
  if (!live(*one)) {
    return no(ec::already_terminal);
  }
  if (one->wake_session == x.session) {
    return done{0};
  }
  if (!one->wake_session.empty()) {
    discard_wakes(one->row, one->wake_session);
  }
  one->wake_session = x.session;
  say(*one, event_types::wake_retargeted);
  return done{1};
}

answer model::run(const take_wakes_request& x) {
  wake_list result;
  std::set<row_id> blocked;
  for (auto& [id, one] : wakes) {
    if (one.session != x.session || !open_state(one.state) || result.wakes.size() >= x.max) {
      continue;
    }
    if (one.state == wake_state::undeliverable || one.next_at > now_
        || blocked.count(one.row) != 0) {
      blocked.insert(one.row);
      continue;
    }
    one.state = wake_state::taken;
    ++one.attempts;
    one.next_at = now_ + x.ttl;
    wake taken;
    taken.id = wake_id{id};
    taken.attempts = one.attempts;
    taken.state = one.state;
    result.wakes.push_back(taken);
  }
  return result;
}

answer model::run(const settle_wake_request& x) {
  const auto found = wakes.find(static_cast<std::uint64_t>(x.id));
  if (found == wakes.end()) {
    return no(ec::bad_request);
  }
  auto& one = found->second;
  const auto by_hand = x.verdict == wake_verdict::redrive || x.verdict == wake_verdict::discard;
  if (!by_hand && (one.token != x.token || x.token == 0)) {
    return no(ec::lease_superseded);
  }
  const auto taken = one.state == wake_state::taken;
  switch (x.verdict) {
    case wake_verdict::delivered:
      if (one.state == wake_state::delivered) {
        return done{0};
      }
      if (!taken) {
        return no(ec::wrong_state);
      }
      one.state = wake_state::delivered;
      return done{1};
    case wake_verdict::deferred:
      if (!taken) {
        return no(ec::wrong_state);
      }
      one.state
        = one.attempts >= model_wake_attempts_max ? wake_state::undeliverable : wake_state::pending;
      one.next_at = now_ + storage::rules::wake_pause(one.attempts - 1);
      one.token = 0;
      return done{1};
    case wake_verdict::target_gone:
      if (!taken) {
        return no(ec::wrong_state);
      }
      one.state = wake_state::undeliverable;
      one.token = 0;
      return done{1};
    case wake_verdict::redrive:
      if (one.state != wake_state::undeliverable) {
        return no(ec::wrong_state);
      }
      one.state = wake_state::pending;
      one.attempts = 0;
      one.next_at = now_;
      one.ages = false;
      return done{1};
    case wake_verdict::discard:
      if (one.state == wake_state::discarded) {
        return done{0};
      }
      if (!open_state(one.state)) {
        return no(ec::wrong_state);
      }
      one.state = wake_state::discarded;
      one.token = 0;
      return done{1};
  }
  return no(ec::bad_request);
}

// -- forgetting -----------------------------------------------------------------------------------

bool model::has_open_wakes(row_id row) const {
  return std::any_of(wakes.begin(), wakes.end(), [row](const auto& one) {
    return one.second.row == row && open_state(one.second.state);
  });
}

answer model::run(const prune_request& x) {
  prune_report report;
  std::vector<std::pair<timestamp_ms, row_id>> order;
  for (const auto& [row, one] : rows) {
    if (!live(one)) {
      order.emplace_back(one.finished_at, row);
    }
  }
  std::sort(order.begin(), order.end());
  std::vector<row_id> gone;
  for (const auto& [at, row] : order) {
    if (at >= x.before) {
      break;
    }
    if (gone.size() >= x.max) {
      report.more = true;
      break;
    }
    report.after_time = at;
    report.after_row = row;
    const auto& one = rows.at(row);
    if (!x.outcomes.empty()
        && std::find(x.outcomes.begin(), x.outcomes.end(), one.ended->kind) == x.outcomes.end()) {
      continue;
    }
    if (has_open_wakes(row)) {
      ++report.held_back;
      continue;
    }
    gone.push_back(row);
  }
  report.pruned = gone.size();
  if (x.dry_run) {
    return report;
  }
  for (const auto row : gone) {
    const auto& one = rows.at(row);
    tombstones[one.what.id] = {now_, next_change++, one.fence};
    ids.erase(one.what.id);
    for (auto it = wakes.begin(); it != wakes.end();) {
      it = it->second.row == row ? wakes.erase(it) : std::next(it);
    }
    touched_.erase(row);
    rows.erase(row);
  }
  return report;
}

answer model::run(const compact_request& x) {
  std::map<std::pair<timestamp_ms, std::uint64_t>, std::string> order;
  for (const auto& [id, one] : tombstones) {
    order[{one.at, one.change}] = id;
  }
  std::uint64_t count = 0;
  for (const auto& [key, id] : order) {
    if (key.first >= x.before || count >= x.max) {
      break;
    }
    fence_floor = std::max(fence_floor, static_cast<std::uint64_t>(tombstones.at(id).fence));
    tombstones.erase(id);
    ++count;
  }
  return done{count};
}

} // namespace belay::tests
