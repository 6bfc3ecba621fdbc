#include "actors/worker/sweeper.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/survey.hpp"
#include "actors/thinning.hpp"
#include "actors/worker/lease_keeper.hpp"
#include "actors/worker/process.hpp"
#include "actors/worker/requests.hpp"
#include "messages/page_size.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

/// Pauses before a refused or unanswered enlist is tried again; doubled each time.
constexpr auto enlist_pause = std::chrono::milliseconds{500};
constexpr auto enlist_pause_max = std::chrono::milliseconds{8'000};
/// The alarm of the sweeper itself (slot 0): the drain's deadline.
constexpr std::uint64_t own_slot = 0;

} // namespace

void sweeper_state::start(pointer self, worker_links links, worker_policy policy) {
  self_ = self;
  links_ = std::move(links);
  policy_ = std::move(policy);
  self->set_down_handler([this](const caf::down_msg& x) { down(x); });
  self->set_exit_handler([this](const caf::exit_msg&) { stop(); });
  count();
}

void sweeper_state::count() const {
  if (links_.meter) {
    links_.meter->slots(policy_.slots, busy(), idle_);
    links_.meter->enlisted(enlisted_, draining_);
  }
}

void sweeper_state::enlist() {
  auto card = policy_.card;
  card.incarnation = who_.incarnation;
  card.slots = policy_.slots;
  card.kinds = kinds();
  card.queues = policy_.queues;
  self_
    ->request(links_.registry, registry_deadline, atom::enlist_v, std::move(card),
              caf::actor_cast<caf::actor>(self_))
    .then([this](const enlisted& x) { taken_in(x); },
          [this](const caf::error& x) { not_taken_in(to_refusal(x)); });
}

std::vector<std::string> sweeper_state::kinds() const {
  return policy_.offer.empty() ? links_.tools->names() : policy_.offer;
}

void sweeper_state::taken_in(const enlisted& x) {
  who_ = x.who;
  ttl_ms_ = x.ttl;
  enlisted_ = true;
  refusals_ = 0;
  offered_ = 0;
  count();
  // After a lost link: what is still ours goes on, the rest is told so by its keeper.
  for (const auto& [number, one] : slots_) {
    self_->send<caf::message_priority::high>(one.keeper, atom::renew_v);
  }
  offer_free();
  if (policy_.on_enlisted) {
    policy_.on_enlisted(true);
  }
}

void sweeper_state::not_taken_in(const refusal& why) {
  if (why.code == ec::not_permitted) {
    self_->quit(to_error(why)); // Only another certificate, with which to start anew, helps.
    return;
  }
  if (why.code == ec::lease_superseded) {
    who_.incarnation = 0; // Somebody has had our name meanwhile.
  }
  ++refusals_;
  if (is_logged(refusals_)) {
    log::warn(component::sweeper, "enlist.refused",
              {{"owner", policy_.card.name}, {"why", why.text}, {"times", refusals_}},
              "the registry did not take this worker; trying again");
  }
  constexpr std::uint64_t doublings_max = 4;
  const auto pause = enlist_pause * (1ULL << std::min(refusals_ - 1, doublings_max));
  self_->delayed_send(self_, std::min<std::chrono::milliseconds>(pause, enlist_pause_max),
                      atom::enlist_v);
}

void sweeper_state::link_lost(const std::string& why) {
  log::warn(component::sweeper, "link.lost", {{"running", slots_.size()}, {"why", why}},
            "no link to the registry; what runs goes on while its lease lasts");
  enlisted_ = false;
  offered_ = 0;
  if (policy_.on_enlisted) {
    policy_.on_enlisted(false);
  }
  count();
}

void sweeper_state::offer_free() {
  const auto taken = busy() + offered_;
  if (taken < policy_.slots && !draining_ && enlisted_) {
    const auto count = policy_.slots - taken;
    offered_ += count;
    self_->send(links_.registry, atom::offer_v, who_, count, kinds(), policy_.queues);
  }
}

void sweeper_state::grant(claimed_list rows) {
  if (!rows.items.empty() && rows.items.front().held.holder == who_) {
    offered_ -= std::min(offered_, static_cast<std::uint32_t>(rows.items.size()));
  }
  for (auto& row : rows.items) {
    if (draining_ || row.held.holder != who_) {
      give_back(row);
    } else {
      run(std::move(row));
    }
  }
}

void sweeper_state::give_back(const claimed& row) {
  self_->request(links_.registry, registry_deadline, atom::release_v, row.held)
    .then([this](const done&) { ++released_; },
          [](const caf::error&) {
            // The lease's end gives the row back all the same.
          });
}

void sweeper_state::run(claimed row) {
  const auto number = ++last_slot_;
  ++started_;
  slot x;
  x.held = row.held;
  const auto me = sweeper_actor{self_};
  auto links = links_;
  links.sweeper = me;
  // More are held than there are slots only where one that waited has taken the slot of an offer.
  x.idle = busy() >= policy_.slots;
  idle_ += x.idle ? 1 : 0;
  process_setup setup{std::move(row),          number, std::move(links), policy_.workflow,
                      policy_.cancel_grace_ms, x.idle};
  x.process = self_->spawn(process, std::move(setup));
  self_->monitor(x.process);
  x.keeper = self_->spawn(
    lease_keeper,
    keeper_setup{x.held, number, links_.registry, me, x.process, ttl_ms_,
                 std::min(policy_.renew_interval_ms, std::max<duration_ms>(ttl_ms_ / 3, 1)),
                 links_.meter});
  by_process_[x.process.address()] = number;
  slots_.emplace(number, std::move(x));
  count();
}

void sweeper_state::cancel(row_id row, fencing_token fence, bool kill) {
  for (const auto& [number, x] : slots_) {
    if (x.held.row == row && x.held.fence == fence) {
      self_->send<caf::message_priority::high>(x.process, atom::cancel_v, kill);
      return;
    }
  }
}

void sweeper_state::down(const caf::down_msg& x) {
  const auto found = by_process_.find(x.source);
  if (found == by_process_.end()) {
    return;
  }
  const auto number = found->second;
  by_process_.erase(found);
  const auto freed = slots_.find(number);
  if (x.reason && x.reason.category() == caf::atom("belay")) { // No category without an error.
    ++lost_;
  } else {
    ++ended_;
  }
  caf::anon_send_exit(freed->second.keeper, caf::exit_reason::user_shutdown);
  const auto was_idle = freed->second.idle;
  idle_ -= was_idle ? 1 : 0;
  slots_.erase(freed);
  count();
  alarms_.forget(number);
  if (!was_idle) {
    slot_freed();
  }
  finish_drain_if_idle();
}

std::uint32_t sweeper_state::busy() const {
  return static_cast<std::uint32_t>(slots_.size()) - idle_;
}

void sweeper_state::idle(std::uint64_t number) {
  const auto found = slots_.find(number);
  if (found == slots_.end() || found->second.idle) {
    return;
  }
  found->second.idle = true;
  ++idle_;
  count();
  if (idle_ > policy_.waiting_max || draining_) {
    self_->send(found->second.process, atom::park_v);
  }
  slot_freed();
}

void sweeper_state::resume(std::uint64_t number) {
  const auto found = slots_.find(number);
  if (found == slots_.end() || found->second.queued) {
    return;
  }
  auto& x = found->second;
  if (x.idle && busy() >= policy_.slots) {
    x.queued = true;
    queue_.push_back(number);
    return;
  }
  idle_ -= x.idle ? 1 : 0;
  x.idle = false;
  count();
  self_->send(x.process, atom::resume_v);
}

void sweeper_state::slot_freed() {
  while (!queue_.empty()) {
    const auto found = slots_.find(queue_.front());
    queue_.pop_front();
    if (found != slots_.end() && found->second.queued) {
      found->second.queued = false;
      found->second.idle = false;
      --idle_;
      count();
      self_->send(found->second.process, atom::resume_v);
      return;
    }
  }
  offer_free();
}

void sweeper_state::alarm(std::uint64_t number, bool keeper, std::uint32_t tag, duration_ms delay) {
  if (number != own_slot && slots_.count(number) == 0) {
    return; // That actor has ended meanwhile.
  }
  // The clock counts nanoseconds and ends after 292 years.
  constexpr duration_ms delay_max = 100LL * 365 * 24 * 3'600 * 1'000;
  const auto at = self_->clock().now()
                  + std::chrono::milliseconds{std::clamp<duration_ms>(delay, 0, delay_max)};
  alarms_.set(at, {number, keeper, tag});
  arm();
}

void sweeper_state::arm() {
  const auto next = alarms_.next();
  if (next && ticks_.are_needed(*next)) {
    self_->delayed_send(self_, *next - self_->clock().now(), atom::tick_v);
  }
}

void sweeper_state::tick() {
  const auto now = self_->clock().now();
  ticks_.came();
  while (const auto due = alarms_.take_due(now)) {
    if (due->slot == own_slot) {
      release_all("drain timed out");
      continue;
    }
    const auto found = slots_.find(due->slot);
    if (found == slots_.end()) {
      continue;
    }
    if (due->keeper) {
      self_->send<caf::message_priority::high>(found->second.keeper, atom::alarm_v, due->tag);
    } else {
      self_->send<caf::message_priority::high>(found->second.process, atom::alarm_v, due->tag);
    }
  }
  arm();
}

caf::result<done> sweeper_state::drain(duration_ms length) {
  auto promise = self_->make_response_promise<done>();
  drained_.push_back(promise);
  alarm(own_slot, false, 0, length); // Of several the first counts.
  if (draining_) {
    finish_drain_if_idle();
    return promise;
  }
  draining_ = true;
  released_ = 0;
  count();
  if (enlisted_) {
    // Grants that left the registry before the withdrawal reach us before its answer, and are
    // given back.
    self_->request(links_.registry, registry_deadline, atom::withdraw_v, who_)
      .then([this](const done&) { withdrawn(); }, [this](const caf::error&) { withdrawn(); });
  } else {
    withdrawn_ = true;
  }
  log::info(component::sweeper, "worker.draining", {{"running", slots_.size()}},
            "no new rows; waiting for what runs");
  for (const auto& [number, x] : slots_) {
    self_->send(x.process, atom::park_v); // What waits is not waited for.
  }
  finish_drain_if_idle();
  return promise;
}

void sweeper_state::withdrawn() {
  withdrawn_ = draining_;
  offered_ = 0;
  finish_drain_if_idle();
  offer_free();
}

done sweeper_state::undrain() {
  if (!draining_) {
    return {0};
  }
  draining_ = false;
  count();
  releasing_ = false;
  withdrawn_ = false;
  alarms_.forget(own_slot);
  for (auto& promise : drained_) {
    promise.deliver(caf::make_error(ec::wrong_state, std::string{"the drain was called off"}));
  }
  drained_.clear();
  log::info(component::sweeper, "worker.undrained", {}, "claims again");
  enlisted_ ? offer_free() : enlist();
  return {1};
}

void sweeper_state::release_all(const std::string& reason) {
  if (releasing_) {
    return;
  }
  releasing_ = true;
  released_ += slots_.size();
  for (const auto& [number, x] : slots_) {
    self_->send<caf::message_priority::high>(x.process, atom::release_v, reason);
  }
  finish_drain_if_idle();
}

void sweeper_state::finish_drain_if_idle() {
  if (draining_ && slots_.empty() && withdrawn_) {
    alarms_.forget(own_slot);
    for (auto& promise : drained_) {
      promise.deliver(done{released_});
    }
    drained_.clear(); // A stored promise holds its actor: the cycle ends here.
  }
}

void sweeper_state::stop() {
  for (auto& promise : drained_) {
    promise.deliver(caf::make_error(ec::shutting_down, std::string{"stopped"}));
  }
  drained_.clear();
  for (const auto& [number, x] : slots_) {
    caf::anon_send_exit(x.keeper, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(x.process, caf::exit_reason::user_shutdown);
  }
  slots_.clear();
  alarms_.clear();
  self_->quit(caf::exit_reason::user_shutdown);
}

caf::result<actor_tree> sweeper_state::tree(std::uint32_t limit) {
  const auto all = std::make_shared<survey>(self_->make_response_promise<actor_tree>());
  all->add(0, name, snapshot());
  if (links_.uplink) {
    all->keep_to(page_bytes_max);
    all->ask(self_, survey_deadline, 1, "uplink", links_.uplink);
  }
  std::uint32_t count = 0;
  for (const auto& [number, x] : slots_) {
    if (++count > limit) {
      all->leave_out(slots_.size() - limit);
      break;
    }
    all->ask(self_, survey_deadline, 1, "process/" + x.held.id, x.process);
    all->ask(self_, survey_deadline, 2, "keeper/" + x.held.id, x.keeper);
  }
  return all->close();
}

caf::result<actor_tree> sweeper_state::tree_of(const process_id& id) {
  const auto all = std::make_shared<survey>(self_->make_response_promise<actor_tree>());
  for (const auto& [number, x] : slots_) {
    if (x.held.id == id) {
      all->ask(self_, survey_deadline, 0, "process/" + id, x.process);
      all->ask(self_, survey_deadline, 1, "keeper/" + id, x.keeper);
    }
  }
  return all->close();
}

std::string sweeper_state::snapshot() const {
  return nlohmann::json{{"actor", name},
                        {"owner", policy_.card.name},
                        {"slots", policy_.slots},
                        {"draining", draining_},
                        {"incarnation", who_.incarnation},
                        {"enlisted", enlisted_},
                        {"busy", busy()},
                        {"waiting", idle_},
                        {"started", started_},
                        {"alarms", alarms_.size()},
                        {"ended", ended_},
                        {"lost", lost_}}
    .dump();
}

sweeper_actor::behavior_type
sweeper(sweeper_state::pointer self, worker_links links, worker_policy policy) {
  install_fault_handlers(self, component::sweeper);
  auto& state = self->state;
  state.start(self, std::move(links), std::move(policy));
  return {
    [&state](atom::grant, claimed_list& rows) { state.grant(std::move(rows)); },
    [&state](atom::cancel, row_id row, fencing_token fence, bool kill) {
      state.cancel(row, fence, kill);
    },
    [&state](atom::enlist) { state.enlist(); },
    [&state](atom::lost, const std::string& why) { state.link_lost(why); },
    [&state](atom::alarm, std::uint64_t slot, bool keeper, std::uint32_t tag, duration_ms delay) {
      state.alarm(slot, keeper, tag, delay);
    },
    [&state](atom::idle, std::uint64_t slot) { state.idle(slot); },
    [&state](atom::resume, std::uint64_t slot) { state.resume(slot); },
    [&state](atom::tick) { state.tick(); },
    [&state](atom::drain, duration_ms length) { return state.drain(length); },
    [&state](atom::undrain) { return state.undrain(); },
    [&state](atom::tree, std::uint32_t limit) { return state.tree(limit); },
    [&state](atom::tree, const process_id& id) { return state.tree_of(id); },
    [&state](atom::snapshot) { return state.snapshot(); },
  };
}

} // namespace belay::actors
