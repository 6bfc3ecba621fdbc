// The model: events, waits, journals.
#include "tests/storage/model_words.hpp"

namespace belay::tests {

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
      for (const auto& id : one.wait->open) { // Those that ended may have lost their ids to others.
        more = reached.insert(ids.at(id)).second || more;
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

} // namespace belay::tests
