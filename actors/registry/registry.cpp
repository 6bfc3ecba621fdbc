#include "actors/registry/registry.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/thinning.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

/// Until what falls due is tried again on a disk that is full.
constexpr duration_ms full_pause_ms = 1'000;

/// Operations after which a row may be claimable that was not before.
bool may_make_ready(const operation& op) {
  return !std::holds_alternative<claim_request>(op) && !std::holds_alternative<renew_request>(op)
         && !std::holds_alternative<append_request>(op)
         && !std::holds_alternative<complete_request>(op)
         && !std::holds_alternative<cancel_request>(op)
         && !std::holds_alternative<prune_request>(op)
         && !std::holds_alternative<compact_request>(op)
         && !std::holds_alternative<grant_request>(op);
}

} // namespace

void registry_state::start(pointer self, registry_links links, registry_policy policy) {
  self_ = self;
  links_ = std::move(links);
  policy_ = std::move(policy);
  self->set_down_handler([this](const caf::down_msg& x) { down(x); });
  self->set_exit_handler([this](const caf::exit_msg&) { stop(); });
  enqueue(recover_request{policy_.local_owner, policy_.ttl_ms}, 0, [](answer& x) {
    if (const auto* found = std::get_if<done>(&x); found != nullptr && found->count > 0) {
      log::info(component::registry, "registry.recovered", {{"leases", found->count}},
                "leases of the former incarnation are void");
    }
  });
  sweep();
}

storage::batch_context registry_state::context() const {
  return {links_.clock->now(), links_.random};
}

void registry_state::enqueue(operation op, std::size_t bytes, answer_function answered) {
  ready_hint_ = ready_hint_ || may_make_ready(op);
  if (links_.meter && batch_.empty()) {
    links_.meter->batch_begins();
  }
  if (links_.trace) {
    links_.trace->joined();
  }
  batch_.push_back(std::move(op));
  answers_.push_back(std::move(answered));
  batch_bytes_ += bytes;
  if (batch_.size() >= policy_.batch_ops_max || batch_bytes_ >= policy_.batch_bytes_max) {
    commit();
  } else if (!commit_queued_) {
    commit_queued_ = true;
    self_->send(self_, atom::commit_v);
  }
}

template <class Answer>
caf::result<Answer> registry_state::submit(operation op, std::size_t bytes) {
  if (stopping_) {
    return refused(ec::shutting_down, "the node is stopping");
  }
  auto promise = self_->make_response_promise<Answer>();
  enqueue(std::move(op), bytes, [promise](answer& x) mutable {
    if (const auto* no = std::get_if<refusal>(&x)) {
      promise.deliver(to_error(*no));
    } else {
      promise.deliver(std::move(std::get<Answer>(x)));
    }
  });
  return promise;
}

caf::result<registered_list> registry_state::enroll(std::vector<registration> items) {
  if (items.empty() || items.size() > policy_.register_max) {
    return refused(ec::bad_request, "registrations: " + std::to_string(items.size())
                                      + " in one message, expected 1 to "
                                      + std::to_string(policy_.register_max));
  }
  std::size_t bytes = 0;
  const auto now = links_.clock->now();
  timestamp_ms next_due = 0;
  for (const auto& item : items) {
    bytes += item.input.size();
    if (item.due_at > now && (next_due == 0 || item.due_at < next_due)) {
      next_due = item.due_at;
    }
  }
  auto result = submit<registered_list>(register_request{std::move(items)}, bytes);
  if (next_due != 0) {
    consider_alarm(next_due);
  }
  return result;
}

caf::result<park_receipt> registry_state::park(park_request request) {
  auto deadline = request.until.deadline;
  for (const auto& one : request.also) {
    if (one.deadline != 0 && (deadline == 0 || one.deadline < deadline)) {
      deadline = one.deadline;
    }
  }
  auto result = submit<park_receipt>(std::move(request));
  consider_alarm(deadline);
  return result;
}

caf::result<journal_receipt> registry_state::journal(journal_request request) {
  if (request.children.size() > policy_.register_max) {
    return refused(ec::bad_request, "children: " + std::to_string(request.children.size())
                                      + " in one message, expected at most "
                                      + std::to_string(policy_.register_max));
  }
  auto bytes = request.status.size();
  for (const auto& one : request.entries) {
    bytes += one.result.size();
  }
  for (const auto& one : request.children) {
    bytes += one.input.size();
    consider_alarm(one.due_at);
  }
  for (const auto& one : request.attachments) {
    bytes += one.bytes.size();
  }
  return submit<journal_receipt>(std::move(request), bytes);
}

caf::result<cancel_receipt> registry_state::cancel(cancel_request request) {
  if (stopping_) {
    return refused(ec::shutting_down, "the node is stopping");
  }
  auto promise = self_->make_response_promise<cancel_receipt>();
  const auto kill = request.kill;
  enqueue(std::move(request), 0, [this, promise, kill](answer& x) mutable {
    if (const auto* no = std::get_if<refusal>(&x)) {
      promise.deliver(to_error(*no));
      return;
    }
    const auto& receipt = std::get<cancel_receipt>(x);
    if (receipt.stage == cancel_stage::requested) {
      push_cancel({receipt.row, receipt.holder, receipt.fence, kill});
    }
    promise.deliver(receipt);
  });
  return promise;
}

void registry_state::serve() {
  if (!commit_queued_ && !stopping_) {
    commit_queued_ = true;
    self_->send(self_, atom::commit_v);
  }
}

void registry_state::sweep() {
  if (stopping_) {
    return;
  }
  alarm_at_ = 0;
  enqueue(expire_request{}, 0, [this](answer& x) {
    if (const auto* ended = std::get_if<done>(&x); ended != nullptr && ended->count > 0) {
      log::warn(component::registry, "lease.expired", {{"leases", ended->count}}, "leases ran out");
    }
    const auto now = links_.clock->now();
    if (std::holds_alternative<refusal>(x)) {
      consider_alarm(now + full_pause_ms); // What is due stays due: at once would be for ever.
      return;
    }
    const auto next = links_.store->upcoming(now);
    consider_alarm(next.due_at);
    consider_alarm(next.expires_at);
    consider_alarm(next.timer_at);
  });
  retain();
}

void registry_state::consider_alarm(timestamp_ms at) {
  if (at == 0 || (alarm_at_ != 0 && alarm_at_ <= at)) {
    return;
  }
  alarm_at_ = at;
  const auto wait = std::max<duration_ms>(1, at - links_.clock->now());
  self_->send(links_.timekeeper, atom::alarm_v, wait);
}

void registry_state::commit() {
  commit_queued_ = false;
  add_grants();
  if (batch_.empty()) {
    return;
  }
  const auto batch = std::move(batch_);
  auto answers = std::move(answers_);
  batch_.clear();
  answers_.clear();
  batch_bytes_ = 0;
  storage::batch_result result;
  const auto dies
    = [this](commit_point point) { return links_.at_commit && !links_.at_commit(point); };
  if (dies(commit_point::before)) {
    vanish();
    return;
  }
  if (links_.meter) {
    links_.meter->commit_begins();
  }
  if (links_.trace) {
    links_.trace->commit_begins();
  }
  try {
    result = links_.store->apply(batch, context());
  } catch (const storage::error& x) {
    const auto full = x.kind() == storage::error_kind::full;
    const refusal no
      = full ? refusal{ec::store_full, x.what()} : refusal{ec::outcome_unknown, x.what()};
    if (links_.meter) {
      links_.meter->commit_failed(batch.size(), no.code);
    }
    if (links_.trace) {
      links_.trace->commit_failed();
    }
    for (auto& answered : answers) {
      answer refused = no;
      answered(refused);
    }
    if (!full) {
      refuse_all(no);
      links_.on_fault(x.what());
      self_->quit(to_error(no));
      return;
    }
    ready_hint_ = true;
    if (is_logged(++full_)) {
      log::error(component::registry, "store.full", {{"what", x.what()}, {"commits", full_}},
                 "the disk or the store is full: new processes are refused until there is room");
    }
    return;
  }
  if (dies(commit_point::after)) {
    vanish();
    return;
  }
  ++commits_;
  if (links_.meter) {
    links_.meter->committed(batch, result);
  }
  if (links_.trace) {
    links_.trace->committed(batch, result.answers);
  }
  full_ = 0;
  operations_ += batch.size();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (std::holds_alternative<refusal>(result.answers[i])) {
      ++refused_;
    }
    if (const auto* ended = std::get_if<completion>(&result.answers[i]);
        ended != nullptr && ended->retry_at != 0) {
      consider_alarm(ended->retry_at);
    }
    if (const auto* rows = std::get_if<claimed_list>(&result.answers[i]);
        rows != nullptr && !rows->items.empty()) {
      consider_alarm(rows->items.front().held.expires_at);
      claims_ += rows->items.size();
    }
    if (const auto* rows = std::get_if<grant_list>(&result.answers[i])) {
      for (const auto& one : rows->each) {
        consider_alarm(one.items.empty() ? 0 : one.items.front().held.expires_at);
        claims_ += one.items.size();
      }
      consider_alarm(rows->again_at);
    }
    answers[i](result.answers[i]);
  }
  after_commit(result);
}

void registry_state::vanish() {
  stopping_ = true;
  batch_.clear();
  answers_.clear();
  self_->quit(caf::exit_reason::kill);
}

void registry_state::after_commit(const storage::batch_result& result) {
  for (const auto& push : result.pushes) {
    push_cancel(push);
  }
  if (result.ready_changed) {
    ready_hint_ = true;
    serve();
  }
  if (!result.changed.empty()) {
    self_->send(links_.watcher, atom::changed_v, result.changed);
  }
}

caf::error registry_state::refused(ec code, std::string text) {
  if (links_.meter) {
    links_.meter->refused(code);
  }
  return caf::make_error(code, std::move(text));
}

void registry_state::refuse_all(const refusal& no) {
  for (auto& answered : answers_) {
    answer refused = no;
    answered(refused);
  }
  batch_.clear();
  answers_.clear();
}

void registry_state::stop() {
  if (stopping_) {
    return;
  }
  commit(); // Everything that was asked before the exit message is still answered.
  if (stopping_) {
    return;
  }
  stopping_ = true;
  self_->quit(caf::exit_reason::user_shutdown);
}

std::string registry_state::snapshot() {
  auto workers = nlohmann::json::array();
  for (const auto& [key, x] : workers_) {
    workers.push_back({{"owner", x.who.name},
                       {"incarnation", x.who.incarnation},
                       {"credit", x.credit},
                       {"slots", x.card.slots},
                       {"kinds", x.card.kinds},
                       {"queues", x.card.queues}});
  }
  return nlohmann::json{{"actor", name},
                        {"batch", batch_.size()},
                        {"commits", commits_},
                        {"operations", operations_},
                        {"refused", refused_},
                        {"claims", claims_},
                        {"alarm_at", alarm_at_},
                        {"pruned", pruned_},
                        {"nearly_full", links_.store->nearly_full()},
                        {"commit_failed", full_ > 0},
                        {"stopping", stopping_},
                        {"workers", workers}}
    .dump();
}

registry_actor::behavior_type
registry(registry_state::pointer self, registry_links links, registry_policy policy) {
  install_fault_handlers(self, component::registry);
  auto& state = self->state;
  state.start(self, std::move(links), std::move(policy));
  const guard by{self, state.known()};
  using gates::role;
  return {
    by(role::operate,
       [&state](atom::enroll, std::vector<registration>& items) {
         return state.enroll(std::move(items));
       }),
    by(role::worker,
       [&state](atom::claim, owner& who, std::vector<std::string>& kinds,
                std::vector<std::string>& queues, std::uint32_t max) {
         return state.submit<claimed_list>(
           claim_request{std::move(who), std::move(kinds), std::move(queues), max, state.ttl()});
       }),
    by(role::worker,
       [&state](atom::renew, lease& held) {
         return state.submit<lease>(renew_request{std::move(held), state.ttl()});
       }),
    by(role::worker,
       [&state](atom::release, lease& held, std::string& reason) {
         return state.submit<done>(release_request{std::move(held), std::move(reason)});
       }),
    by(role::worker,
       [&state](atom::release, lease& held) {
         return state.submit<done>(release_request{std::move(held), "not taken", false});
       }),
    by(role::worker,
       [&state](atom::park, lease& held, wait_condition& until) {
         return state.park(park_request{std::move(held), std::move(until), {}, 1});
       }),
    by(role::worker,
       [&state](atom::park, park_request& request) { return state.park(std::move(request)); }),
    by(role::worker,
       [&state](atom::journal, journal_request& request) {
         return state.journal(std::move(request));
       }),
    by(role::operate,
       [&state](atom::append, append_request& request) {
         const auto bytes = request.payload.size();
         return state.submit<event>(std::move(request), bytes);
       }),
    by(role::worker,
       [&state](atom::complete, lease& held, outcome& result) {
         const auto bytes = result.value.size();
         return state.submit<completion>(complete_request{std::move(held), std::move(result)},
                                         bytes);
       }),
    by(
      role::operate,
      [&state](atom::cancel, cancel_request& request) { return state.cancel(std::move(request)); }),
    by(role::operate,
       [&state](atom::settle, settle_request& request) {
         const auto bytes = request.result.value.size();
         return state.submit<completion>(std::move(request), bytes);
       }),
    by(role::operate,
       [&state](atom::abandon, abandon_request& request) {
         return state.submit<abandon_receipt>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::requeue, requeue_request& request) {
         return state.submit<done>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::again, again_request& request) {
         return state.submit<registered_list>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::reference, external_ref_request& request) {
         return state.submit<done>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::observe, observe_request& request) {
         return state.submit<done>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::transfer, transfer_request& request) {
         return state.submit<done>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::forget, std::string& session) {
         return state.submit<session_report>(forget_session_request{std::move(session)});
       }),
    by(role::operate,
       [&state](atom::retarget, retarget_request& request) {
         return state.submit<done>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::wakes, take_wakes_request& request) {
         return state.submit<wake_list>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::settle, settle_wake_request& request) {
         return state.submit<done>(std::move(request));
       }),
    by(role::operate,
       [&state](atom::queue, queue_request& request) {
         return state.submit<queue_settings>(std::move(request));
       }),
    by(role::admin,
       [&state](atom::prune, prune_request& request) {
         return state.submit<prune_report>(std::move(request));
       }),
    by(role::admin,
       [&state](atom::compact, compact_request& request) { return state.submit<done>(request); }),
    by(role::worker,
       [&state](atom::enlist, worker_card& card, const caf::actor& sweeper) {
         return state.enlist(std::move(card), sweeper);
       }),
    by.inside([&state](atom::lost, const owner& who) { state.give_up(who); }),
    by(role::worker,
       [&state](atom::offer, const owner& who, std::uint32_t slots, std::vector<std::string>& kinds,
                std::vector<std::string>& queues) {
         state.offer(who, slots, std::move(kinds), std::move(queues));
       }),
    by(role::worker, [&state](atom::withdraw, const owner& who) { return state.withdraw(who); }),
    by.inside([&state](atom::sweep) { state.sweep(); }),
    by.inside([&state](atom::commit) { state.commit(); }),
    by(role::read, [&state](atom::snapshot) { return state.snapshot(); }),
  };
}

} // namespace belay::actors
