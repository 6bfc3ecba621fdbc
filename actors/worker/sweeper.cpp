#include "actors/worker/sweeper.hpp"

#include "actors/faults.hpp"
#include "actors/worker/lease_keeper.hpp"
#include "actors/worker/process.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

constexpr const char* component = "sweeper";
constexpr auto registry_deadline = std::chrono::seconds{10};
/// Pause before a refused or unanswered enlist is tried again.
constexpr auto enlist_pause = std::chrono::milliseconds{500};
/// The alarm of the sweeper itself (slot 0): the drain's deadline.
constexpr std::uint64_t own_slot = 0;

} // namespace

void sweeper_state::start(pointer self, worker_links links, worker_policy policy) {
  self_ = self;
  links_ = std::move(links);
  policy_ = std::move(policy);
  self->set_down_handler([this](const caf::down_msg& x) { down(x); });
  self->set_exit_handler([this](const caf::exit_msg&) { stop(); });
  enlist();
}

void sweeper_state::enlist() {
  if (draining_) {
    return;
  }
  self_
    ->request(links_.registry, registry_deadline, atom::enlist_v, policy_.owner_name,
              caf::actor_cast<caf::actor>(self_))
    .then(
      [this](const owner& who) {
        who_ = who;
        // Rows of an earlier enlisting are void: their processes are told by their keepers.
        offered_ = 0;
        offer_free();
      },
      [this](const caf::error& x) {
        log::warn(component, "enlist.refused", {{"why", to_refusal(x).text}},
                  "the registry did not take this worker; trying again");
        self_->delayed_send(self_, enlist_pause, atom::enlist_v);
      });
}

void sweeper_state::offer_free() {
  const auto taken = busy() + offered_;
  if (taken < policy_.slots && !draining_ && !who_.name.empty()) {
    const auto count = policy_.slots - taken;
    offered_ += count;
    self_->send(links_.registry, atom::offer_v, who_, count, links_.tools->names(), policy_.queues);
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
  x.keeper = self_->spawn(lease_keeper, keeper_setup{x.held, number, links_.registry, me, x.process,
                                                     policy_.ttl_ms, policy_.renew_interval_ms});
  by_process_[x.process.address()] = number;
  slots_.emplace(number, std::move(x));
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
  for (auto it = alarms_.begin(); it != alarms_.end();) {
    it = it->second.slot == number ? alarms_.erase(it) : std::next(it);
  }
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
  const auto at = self_->clock().now() + std::chrono::milliseconds{std::max<duration_ms>(delay, 0)};
  alarms_.emplace(at, alarm_entry{number, keeper, tag});
  arm();
}

void sweeper_state::arm() {
  if (alarms_.empty()) {
    return;
  }
  const auto next = alarms_.begin()->first;
  if (armed_at_ && *armed_at_ <= next) {
    return;
  }
  armed_at_ = next;
  self_->delayed_send(self_, next - self_->clock().now(), atom::tick_v);
}

void sweeper_state::tick() {
  armed_at_.reset();
  const auto now = self_->clock().now();
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    const auto due = alarms_.begin()->second;
    alarms_.erase(alarms_.begin());
    if (due.slot == own_slot) {
      release_all("drain timed out");
      continue;
    }
    const auto found = slots_.find(due.slot);
    if (found == slots_.end()) {
      continue;
    }
    if (due.keeper) {
      self_->send<caf::message_priority::high>(found->second.keeper, atom::alarm_v, due.tag);
    } else {
      self_->send<caf::message_priority::high>(found->second.process, atom::alarm_v, due.tag);
    }
  }
  arm();
}

caf::result<done> sweeper_state::drain(duration_ms length) {
  if (draining_) {
    return caf::make_error(ec::shutting_down, std::string{"already draining"});
  }
  draining_ = true;
  drained_ = self_->make_response_promise<done>();
  if (!who_.name.empty()) {
    // Grants that left the registry before the withdrawal reach us before its answer, and are
    // given back.
    self_->request(links_.registry, registry_deadline, atom::withdraw_v, who_)
      .then([this](const done&) { who_.name.clear(), finish_drain_if_idle(); },
            [this](const caf::error&) { who_.name.clear(), finish_drain_if_idle(); });
  }
  log::info(component, "worker.draining", {{"running", slots_.size()}},
            "no new rows; waiting for what runs");
  alarm(own_slot, false, 0, length);
  for (const auto& [number, x] : slots_) {
    self_->send(x.process, atom::park_v); // What waits is not waited for.
  }
  auto promise = *drained_;
  finish_drain_if_idle();
  return promise;
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
  if (drained_ && slots_.empty() && who_.name.empty()) {
    drained_->deliver(done{released_});
    drained_.reset(); // A stored promise holds its actor: the cycle ends here.
  }
}

void sweeper_state::stop() {
  if (drained_) {
    drained_->deliver(caf::make_error(ec::shutting_down, std::string{"stopped"}));
    drained_.reset();
  }
  for (const auto& [number, x] : slots_) {
    caf::anon_send_exit(x.keeper, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(x.process, caf::exit_reason::user_shutdown);
  }
  slots_.clear();
  alarms_.clear();
  self_->quit(caf::exit_reason::user_shutdown);
}

std::string sweeper_state::snapshot() const {
  auto running = nlohmann::json::array();
  for (const auto& [number, x] : slots_) {
    running.push_back({{"id", x.held.id},
                       {"row", static_cast<std::uint64_t>(x.held.row)},
                       {"fence", static_cast<std::uint64_t>(x.held.fence)}});
  }
  return nlohmann::json{{"actor", name},          {"owner", policy_.owner_name},
                        {"slots", policy_.slots}, {"draining", draining_},
                        {"busy", busy()},         {"waiting", idle_},
                        {"started", started_},    {"alarms", alarms_.size()},
                        {"ended", ended_},        {"lost", lost_},
                        {"running", running}}
    .dump();
}

sweeper_actor::behavior_type
sweeper(sweeper_state::pointer self, worker_links links, worker_policy policy) {
  install_fault_handlers(self, component);
  auto& state = self->state;
  state.start(self, std::move(links), std::move(policy));
  return {
    [&state](atom::grant, claimed_list& rows) { state.grant(std::move(rows)); },
    [&state](atom::cancel, row_id row, fencing_token fence, bool kill) {
      state.cancel(row, fence, kill);
    },
    [&state](atom::enlist) { state.enlist(); },
    [&state](atom::alarm, std::uint64_t slot, bool keeper, std::uint32_t tag, duration_ms delay) {
      state.alarm(slot, keeper, tag, delay);
    },
    [&state](atom::idle, std::uint64_t slot) { state.idle(slot); },
    [&state](atom::resume, std::uint64_t slot) { state.resume(slot); },
    [&state](atom::tick) { state.tick(); },
    [&state](atom::drain, duration_ms length) { return state.drain(length); },
    [&state](atom::snapshot) { return state.snapshot(); },
  };
}

} // namespace belay::actors
