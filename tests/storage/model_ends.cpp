// The model: ends, and what is asked of a process from outside its run.
#include "tests/storage/model_words.hpp"

namespace belay::tests {

void model::end(process& x, const outcome& result, fencing_token fence) {
  x.state = process_state::finished;
  x.ended = result;
  x.ended_fence = fence;
  x.finished_at = now_;
  x.resumed = false;
  x.wait.reset();
  if (result.kind == outcome_kind::failure) {
    ++failed[{x.what.queue, now_ / 60'000}];
  }
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

} // namespace belay::tests
