// The model: sessions and wakes.
#include "tests/storage/model_words.hpp"

namespace belay::tests {

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

} // namespace belay::tests
