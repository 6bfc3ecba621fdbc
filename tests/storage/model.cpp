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

/// A cancel ends what has no journal; a kill ends anything.
bool ends_cancelled(const model::process& x) {
  return x.kill || (x.cancel && x.journal.empty());
}

/// Whether the code knows that it is cancelled.
bool knows_cancel(const model::process& x) {
  return std::any_of(x.journal.begin(), x.journal.end(),
                     [](const auto& one) { return one.kind == effect_kind::cancel; });
}

bool is_closing(const model::process& x) {
  return x.state == process_state::waiting && x.wait->all.front().kind == wait_kind::closing;
}

/// Kinds that are over when they are asked for.
bool is_over_at_once(effect_kind kind) {
  static const std::set<effect_kind> kinds{effect_kind::start, effect_kind::emit, effect_kind::now,
                                           effect_kind::patch, effect_kind::attach};
  return kinds.count(kind) != 0;
}

std::string by(const std::string& what) {
  return "by " + what;
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
  settle();
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

std::optional<refusal> model::may_register(const std::vector<registration>& items) const {
  std::map<std::string, const registration*> earlier;
  for (const auto& item : items) {
    if (const auto* stored = find(item.id)) {
      if (!(stored->what == item)) {
        return no(ec::registration_conflict);
      }
    } else if (tombstones.count(item.id) != 0) {
      return no(ec::pruned);
    } else if (!item.parent.empty() && earlier.count(item.parent) == 0) {
      const auto* parent = find(item.parent);
      if (parent == nullptr) {
        return no(tombstones.count(item.parent) != 0 ? ec::pruned : ec::unknown_process);
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
  return std::nullopt;
}

answer model::run(const register_request& x) {
  if (auto why = may_register(x.items)) {
    return *why;
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
      end(*one, ended_by(one->cancel ? outcome_kind::cancelled : outcome_kind::abandoned),
          one->fence);
      continue;
    }
    claimed row;
    one->state = process_state::running;
    one->fence = fencing_token{static_cast<std::uint64_t>(one->fence) + 1};
    if (one->resumed) {
      one->resumed = false;
      row.woken = one->wait->why;
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
    row.held = {one->row, one->what.id, x.holder, {}, one->fence, now_, now_ + x.ttl};
    row.attempt = one->attempt;
    row.interruptions = one->interruptions;
    row.cancel_requested = one->cancel;
    row.failures = one->failures;
    row.journaled = !one->journal.empty();
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
  const auto bound = one->what.rule == recovery_rule::owner_bound && x.started;
  if (ends_cancelled(*one)) {
    end(*one, ended_by(outcome_kind::cancelled), one->fence);
  } else if (one->abandon) {
    end(*one, ended_by(outcome_kind::abandoned), one->fence);
  } else if (bound) {
    end(*one, ended_by(one->cancel ? outcome_kind::cancelled : outcome_kind::abandoned),
        one->fence);
  } else {
    one->state = process_state::ready;
  }
  return done{1};
}

void model::lose(process& x) {
  x.lease.reset();
  ++x.interruptions;
  say(x, event_types::interrupted);
  const auto over
    = x.interruptions >= model_interruptions_max || x.what.rule == recovery_rule::owner_bound;
  if (ends_cancelled(x)) {
    end(x, ended_by(outcome_kind::cancelled), x.fence);
  } else if (x.abandon) {
    end(x, ended_by(outcome_kind::abandoned), x.fence);
  } else if (over && x.cancel) {
    end(x, ended_by(outcome_kind::cancelled), x.fence);
  } else if (over) {
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
    if (one.state != process_state::waiting || !one.wait) {
      continue;
    }
    for (const auto& until : one.wait->all) {
      if (until.deadline != 0 && until.deadline <= now_) {
        resume(one, by(until.kind == wait_kind::timer ? "timer" : "deadline"));
        break;
      }
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

void model::resume(process& x, const std::string& why) {
  x.wait->woken = true;
  x.wait->why = why;
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
  if (one->events.size() >= model_events_max) {
    return no(ec::overloaded);
  }
  event result;
  result.seq = say(*one, x.type);
  result.type = x.type;
  if (!x.key.empty()) {
    one->keys[x.key] = {result.seq, stands_for};
  }
  send_wake(*one, type);
  if (one->state == process_state::waiting) {
    for (const auto& until : one->wait->all) {
      if (until.kind == wait_kind::signal && "signal." + until.name == x.type
          && holds(*one, until)) {
        resume(*one, by("signal"));
        break;
      }
    }
  }
  return result;
}

void model::send_wake(process& x, const event_type* type) {
  if (type != nullptr && !type->wake.empty() && !x.wake_session.empty()) {
    wakes[next_wake++] = {x.row, x.wake_session, wake_state::pending, 0, now_, now_, 0, true};
  }
}

bool model::waits_in_turn(process& x, const process& target) {
  for (auto above = parent_of_.find(x.row); above != parent_of_.end();
       above = parent_of_.find(above->second)) {
    if (above->second == target.row) {
      return true;
    }
    if (rows.count(above->second) == 0) {
      break;
    }
  }
  std::set<row_id> reached{target.row};
  for (bool more = true; more;) {
    more = false;
    for (auto& [row, one] : rows) {
      if (reached.count(row) == 0 || one.state != process_state::waiting) {
        continue;
      }
      for (const auto& until : one.wait->all) {
        const auto* next = until.kind == wait_kind::child ? find(until.name) : nullptr;
        more = (next != nullptr && reached.insert(next->row).second) || more;
      }
      if (is_closing(one)) {
        for (const auto* child : children_of(one)) {
          more = (child->what.close == close_policy::await && reached.insert(child->row).second)
                 || more;
        }
      }
    }
  }
  return reached.count(x.row) != 0;
}

std::optional<refusal> model::may_wait(process& x, const park_request& request) {
  auto all = request.also;
  all.insert(all.begin(), request.until);
  std::set<std::string> live_children;
  for (const auto& until : all) {
    if (until.kind == wait_kind::closing || until.kind == wait_kind::none
        || (until.kind == wait_kind::timer && until.deadline == 0)
        || (until.kind == wait_kind::signal && until.ordinal == 0)) {
      return no(ec::bad_request);
    }
    if (until.kind != wait_kind::child) {
      continue;
    }
    auto why = ec::none;
    const auto* target = named(until.name, why);
    if (target == nullptr && why != ec::pruned) {
      return no(why);
    }
    if (target == &x || (target != nullptr && waits_in_turn(x, *target))) {
      return no(ec::bad_request);
    }
    if (target != nullptr) {
      live_children.insert(until.name);
    }
  }
  const auto all_differ = live_children.size() == all.size();
  if (request.needed == 0 || (request.needed > 1 && (request.needed > all.size() || !all_differ))) {
    return no(ec::bad_request);
  }
  return std::nullopt;
}

answer model::run(const park_request& x) {
  auto* one = holder_of(x.held);
  if (one == nullptr) {
    return no(ec::lease_superseded);
  }
  if (auto why = may_wait(*one, x)) {
    return *why;
  }
  one->lease.reset();
  one->state = process_state::waiting;
  say(*one, event_types::waiting);
  if (ends_cancelled(*one)) {
    end(*one, ended_by(outcome_kind::cancelled), one->fence);
    return park_receipt{};
  }
  if (one->abandon) {
    end(*one, ended_by(outcome_kind::abandoned), one->fence);
    return park_receipt{};
  }
  waiting wait;
  wait.all = x.also;
  wait.all.insert(wait.all.begin(), x.until);
  wait.needed = x.needed;
  return park_receipt{begin_wait(*one, std::move(wait))};
}

bool model::begin_wait(process& x, waiting wait) {
  std::string why;
  std::uint64_t fulfilled = 0;
  for (const auto& until : wait.all) {
    if (holds(x, until)) {
      why = why.empty() ? to_string(until.kind) : why;
      ++fulfilled;
    } else if (until.kind == wait_kind::child) {
      wait.open.insert(until.name);
    }
  }
  const auto enough = fulfilled >= wait.needed;
  wait.needed -= std::min(wait.needed, fulfilled);
  x.wait = std::move(wait);
  if (enough || (x.cancel && !knows_cancel(x))) {
    resume(x, by(enough ? why : "cancel"));
    return true;
  }
  return false;
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

void model::settle() {
  while (!ended_.empty() || !told_.empty()) {
    if (!ended_.empty()) {
      auto& x = rows.at(ended_.front());
      ended_.pop_front();
      settle_end(x);
    } else {
      auto& x = rows.at(told_.front());
      told_.pop_front();
      cancel_children(x, close_policy::cancel);
      cancel_children(x, close_policy::await);
    }
  }
}

void model::settle_end(process& x) {
  for (auto& [row, one] : rows) {
    if (one.state == process_state::waiting && one.wait && one.wait->open.erase(x.what.id) > 0
        && (one.wait->needed <= 1 || --one.wait->needed == 0)) {
      resume(one, by("child"));
    }
  }
  const auto parent = parent_of_.find(x.row);
  if (parent != parent_of_.end() && x.what.close == close_policy::await
      && rows.count(parent->second) != 0) {
    auto& above = rows.at(parent->second);
    if (is_closing(above) && --above.wait->remaining == 0) {
      const auto kept = *above.wait;
      end(above, kept.held_back, kept.fence);
    }
  }
  cancel_children(x, close_policy::cancel);
  if (x.ended->kind == outcome_kind::cancelled) {
    cancel_children(x, close_policy::await);
  }
}

void model::cancel_children(process& x, close_policy which) {
  for (auto* child : children_of(x)) {
    if (live(*child) && !child->cancel && child->what.close == which) {
      say(*child, event_types::cancel_requested);
      child->cancel = true;
      deliver_cancel(*child);
    }
  }
}

bool model::deliver_cancel(process& x) {
  if (is_closing(x)) {
    cancel_children(x, close_policy::await);
    return false;
  }
  const auto stuck = x.state == process_state::quarantined;
  if (!x.lease && (ends_cancelled(x) || stuck)) {
    end(x, ended_by(outcome_kind::cancelled), x.fence);
    return true;
  }
  if (x.journal.empty() || knows_cancel(x)) {
    return false;
  }
  if (x.state == process_state::waiting) {
    resume(x, by("cancel"));
  }
  told_.push_back(x.row);
  return false;
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
      if (is_closing(stored) && stored.wait->fence == x.held.fence
          && stored.wait->held_back == x.result) {
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
    one->journal.clear();
    say(*one, event_types::attempt_failed);
    return completion{completion_status::retry_scheduled, now_};
  }
  std::uint64_t awaited = 0;
  for (const auto* child : children_of(*one)) {
    awaited += live(*child) && child->what.close == close_policy::await ? 1 : 0;
  }
  if (awaited > 0) {
    one->state = process_state::waiting;
    one->wait.emplace();
    one->wait->all = {{wait_kind::closing, "", 0, 0}};
    one->wait->held_back = x.result;
    one->wait->fence = x.held.fence;
    one->wait->remaining = awaited;
    say(*one, event_types::waiting);
    if (x.result.kind == outcome_kind::cancelled) {
      cancel_children(*one, close_policy::await);
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
  }
  if (deliver_cancel(*one)) {
    receipt.stage = cancel_stage::done;
  }
  return receipt;
}

// -- journals -------------------------------------------------------------------------------------

std::optional<refusal> model::may_journal(const process& x, const journal_request& request) const {
  std::uint64_t last = 0;
  auto entries = x.journal.size();
  std::set<std::uint64_t> fresh;
  for (const auto& one : request.entries) {
    if (one.number > model_journal_max) {
      return no(ec::overloaded);
    }
    if (one.number <= last) {
      return no(ec::bad_request);
    }
    last = one.number;
    if (one.number > x.journal.size()) {
      if (one.number != ++entries) {
        return no(ec::bad_request);
      }
      fresh.insert(one.number);
      continue;
    }
    auto stored = x.journal[one.number - 1];
    if (stored.done == 0 && !is_over_at_once(stored.kind)) {
      stored.done = one.done;
      stored.result = one.result;
    }
    if (!(stored == one)) {
      return no(ec::bad_request);
    }
  }
  for (const auto& child : request.children) {
    if (child.parent != x.what.id) {
      return no(ec::bad_request);
    }
  }
  if (auto why = may_register(request.children)) {
    return why;
  }
  auto attached = x.attachments;
  for (const auto& one : request.attachments) {
    if (one.ref != "sha256:" + hash_hex(one.bytes)) {
      return no(ec::bad_request);
    }
    attached.emplace(one.ref, one.name);
  }
  if (!request.attachments.empty() && attached.size() > model_attachments_max) {
    return no(ec::overloaded);
  }
  std::uint64_t emitted = 0;
  for (const auto& one : request.events) {
    if (std::none_of(request.entries.begin(), request.entries.end(),
                     [&one](const auto& entry) { return entry.number == one.entry; })) {
      return no(ec::bad_request);
    }
    if (fresh.count(one.entry) == 0) {
      continue;
    }
    if (declared(x, one.type) == nullptr && one.type.rfind("signal.", 0) == 0) {
      return no(ec::bad_request);
    }
    if (x.events.size() + emitted++ >= model_events_max) {
      return no(ec::overloaded);
    }
  }
  return std::nullopt;
}

answer model::run(const journal_request& x) {
  auto* one = holder_of(x.held);
  if (one == nullptr) {
    return no(ec::lease_superseded);
  }
  if (auto why = may_journal(*one, x)) {
    return *why;
  }
  const auto journaled = !one->journal.empty();
  const auto known = knows_cancel(*one);
  const auto before = one->journal.size();
  run(register_request{x.children});
  for (const auto& entry : x.entries) {
    if (entry.number > one->journal.size()) {
      one->journal.push_back(entry);
    } else {
      one->journal[entry.number - 1] = entry;
    }
  }
  for (const auto& bytes : x.attachments) {
    one->attachments.emplace(bytes.ref, bytes.name);
  }
  one->status = x.status.empty() ? one->status : x.status;
  for (const auto& event : x.events) {
    if (event.entry > before) {
      say(*one, event.type);
      send_wake(*one, declared(*one, event.type));
    }
  }
  if (journaled != !one->journal.empty() || known != knows_cancel(*one) || !x.status.empty()
      || !x.attachments.empty()) {
    touch(*one);
  }
  return journal_receipt{one->journal.size()};
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
