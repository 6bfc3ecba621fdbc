// The model: what all operations share, registering, claiming, leases, forgetting.
#include "tests/storage/model_words.hpp"

namespace belay::tests {

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

std::optional<refusal> model::may_register(const std::vector<registration>& items) const {
  std::map<std::string, const registration*> earlier;
  for (const auto& item : items) {
    if (const auto* stored = find(item.id)) {
      if (!is_same(stored->what, item)) {
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
        before != earlier.end() && !is_same(*before->second, item)) {
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
      if (is_closing(parent) && item.close == close_policy::await) {
        ++parent.wait->remaining;
      }
    }
    queues.try_emplace(item.queue);
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
  return std::move(grant({{claimant{x.holder, x.kinds, x.queues, x.max}}, x.ttl}).each.front());
}

answer model::run(const grant_request& x) {
  return grant(x);
}

grant_list model::grant(const grant_request& x) {
  grant_list result;
  result.each.resize(x.claimants.size());
  for (const auto& who : x.claimants) {
    result.turns.push_back(who.turn);
  }
  std::vector<process*> due;
  for (auto& [row, one] : rows) {
    if (one.state == process_state::ready && one.due_at <= now_) {
      due.push_back(&one);
    }
  }
  std::stable_sort(due.begin(), due.end(), [](const process* a, const process* b) {
    if (a->what.priority != b->what.priority) {
      return a->what.priority > b->what.priority;
    }
    return a->due_at < b->due_at;
  });
  for (auto* one : due) {
    std::optional<std::size_t> next;
    for (std::size_t i = 0; i < x.claimants.size(); ++i) {
      const auto& who = x.claimants[i];
      const auto known = incarnations.find(who.holder.name);
      const auto stale = known != incarnations.end() && known->second > who.holder.incarnation;
      const auto suits
        = std::find(who.kinds.begin(), who.kinds.end(), one->what.kind) != who.kinds.end();
      if (!stale && suits && result.each[i].items.size() < who.max
          && (!next || result.turns[i] < result.turns[*next])) {
        next = i;
      }
    }
    if (!next) {
      continue;
    }
    if (!lets_claim(*one, result.again_at)) {
      continue;
    }
    const auto& holder = x.claimants[*next].holder;
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
      one->first_owner = holder.name;
      one->first_fence = one->fence;
    }
    one->lease
      = held_lease{holder.name, holder.incarnation, one->fence, now_ + x.ttl, now_ + x.ttl};
    say(*one, event_types::started);
    row.held = {one->row, one->what.id, holder, {}, one->fence, now_, now_ + x.ttl};
    row.attempt = one->attempt;
    row.interruptions = one->interruptions;
    row.cancel_requested = one->cancel;
    row.failures = one->failures;
    row.journaled = !one->journal.empty();
    result.each[*next].items.push_back(std::move(row));
    result.turns[*next] += (1U << 24U) / x.claimants[*next].slots;
    if (auto& from = queues.at(one->what.queue); from.limits.rate != 0) {
      from.expected_us = std::max(from.expected_us, now_ * 1'000)
                         + from.limits.rate_period_ms * 1'000 / from.limits.rate;
    }
  }
  return result;
}

bool model::lets_claim(const process& x, timestamp_ms& again_at) const {
  const auto& from = queues.at(x.what.queue);
  const auto& limits = from.limits;
  std::uint32_t running = 0;
  std::uint32_t with_key = 0;
  for (const auto& [row, one] : rows) {
    if (one.state == process_state::running && one.what.queue == x.what.queue) {
      ++running;
      with_key += one.what.concurrency_key == x.what.concurrency_key ? 1 : 0;
    }
  }
  if (limits.paused || (limits.concurrency_max != 0 && running >= limits.concurrency_max)) {
    return false;
  }
  if (!x.what.concurrency_key.empty() && limits.per_key_max != 0
      && with_key >= limits.per_key_max) {
    return false;
  }
  if (limits.rate != 0) {
    const auto interval = limits.rate_period_ms * 1'000 / limits.rate;
    const auto burst = limits.burst != 0
                         ? limits.burst
                         : std::max<std::int64_t>(1, limits.rate * 100 / limits.rate_period_ms);
    const auto opens = from.expected_us - std::max<std::int64_t>((burst - 1) * interval, 999);
    if (opens > now_ * 1'000) {
      const auto at = (opens + 999) / 1'000;
      again_at = again_at == 0 ? at : std::min(again_at, at);
      return false;
    }
  }
  return true;
}

answer model::run(const queue_request& x) {
  const auto known = queues.count(x.queue) != 0;
  const auto before = known ? queues.at(x.queue) : queue{};
  const auto limits = changed_limits(before.limits, x);
  if (!limits) {
    return no(limits.why().code);
  }
  if (!known && *limits == queue_limits{}) {
    return queue_settings{false, *limits};
  }
  auto& to = queues[x.queue];
  if (*limits == before.limits) {
    return queue_settings{known, *limits};
  }
  to.limits = *limits;
  to.expected_us
    = limits->rate == 0
        ? 0
        : std::min(to.expected_us, now_ * 1'000 + limits->rate_period_ms * 1'000 / limits->rate);
  return queue_settings{known, *limits};
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
  if (x.incarnation != 0) {
    const auto known = incarnations.find(x.name);
    if (known == incarnations.end() || known->second != x.incarnation) {
      return no(ec::lease_superseded);
    }
    return owner{x.name, x.incarnation};
  }
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
  // In the order of their first deadline.
  std::vector<std::pair<timestamp_ms, row_id>> late;
  for (const auto& [row, one] : rows) {
    timestamp_ms alarm = 0;
    for (const auto& until : one.wait ? one.wait->all : std::vector<wait_condition>{}) {
      alarm
        = until.deadline != 0 && (alarm == 0 || until.deadline < alarm) ? until.deadline : alarm;
    }
    if (one.state == process_state::waiting && alarm != 0 && alarm <= now_) {
      late.emplace_back(alarm, row);
    }
  }
  std::sort(late.begin(), late.end());
  for (const auto& [alarm, row] : late) {
    auto& one = rows.at(row);
    const auto first
      = std::find_if(one.wait->all.begin(), one.wait->all.end(), [this](const auto& until) {
          return until.deadline != 0 && until.deadline <= now_;
        });
    resume(one, by(first->kind == wait_kind::timer ? "timer" : "deadline"));
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
