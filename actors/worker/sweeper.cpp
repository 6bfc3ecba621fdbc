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

void sweeper_state::start(pointer self, registry_actor registry,
                          std::shared_ptr<const running::toolbox> tools, worker_policy policy) {
  self_ = self;
  registry_ = std::move(registry);
  tools_ = std::move(tools);
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
    ->request(registry_, registry_deadline, atom::enlist_v, policy_.owner_name,
              caf::actor_cast<caf::actor>(self_))
    .then(
      [this](const owner& who) {
        who_ = who;
        // Rows of an earlier enlisting are void: their processes are told by their keepers.
        offer(policy_.slots - static_cast<std::uint32_t>(slots_.size()));
      },
      [this](const caf::error& x) {
        log::warn(component, "enlist.refused", {{"why", to_refusal(x).text}},
                  "the registry did not take this worker; trying again");
        self_->delayed_send(self_, enlist_pause, atom::enlist_v);
      });
}

void sweeper_state::offer(std::uint32_t count) {
  if (count > 0 && !draining_ && !who_.name.empty()) {
    self_->send(registry_, atom::offer_v, who_, count, tools_->names(), policy_.queues);
  }
}

void sweeper_state::grant(claimed_list rows) {
  for (auto& row : rows.items) {
    if (draining_ || row.held.holder != who_ || slots_.size() >= policy_.slots) {
      give_back(row);
    } else {
      run(std::move(row));
    }
  }
}

void sweeper_state::give_back(const claimed& row) {
  self_->request(registry_, registry_deadline, atom::release_v, row.held)
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
  process_setup setup{std::move(row), number, registry_, me, tools_, policy_.cancel_grace_ms};
  x.process = self_->spawn(process, std::move(setup));
  self_->monitor(x.process);
  x.keeper = self_->spawn(lease_keeper, keeper_setup{x.held, number, registry_, me, x.process,
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
  slots_.erase(freed);
  for (auto it = alarms_.begin(); it != alarms_.end();) {
    it = it->second.slot == number ? alarms_.erase(it) : std::next(it);
  }
  offer(1);
  finish_drain_if_idle();
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
    self_->request(registry_, registry_deadline, atom::withdraw_v, who_)
      .then([this](const done&) { who_.name.clear(), finish_drain_if_idle(); },
            [this](const caf::error&) { who_.name.clear(), finish_drain_if_idle(); });
  }
  log::info(component, "worker.draining", {{"running", slots_.size()}},
            "no new rows; waiting for what runs");
  alarm(own_slot, false, 0, length);
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
                        {"started", started_},    {"alarms", alarms_.size()},
                        {"ended", ended_},        {"lost", lost_},
                        {"running", running}}
    .dump();
}

sweeper_actor::behavior_type
sweeper(sweeper_state::pointer self, registry_actor registry,
        std::shared_ptr<const running::toolbox> tools, worker_policy policy) {
  install_fault_handlers(self, component);
  auto& state = self->state;
  state.start(self, std::move(registry), std::move(tools), std::move(policy));
  return {
    [&state](atom::grant, claimed_list& rows) { state.grant(std::move(rows)); },
    [&state](atom::cancel, row_id row, fencing_token fence, bool kill) {
      state.cancel(row, fence, kill);
    },
    [&state](atom::enlist) { state.enlist(); },
    [&state](atom::alarm, std::uint64_t slot, bool keeper, std::uint32_t tag, duration_ms delay) {
      state.alarm(slot, keeper, tag, delay);
    },
    [&state](atom::tick) { state.tick(); },
    [&state](atom::drain, duration_ms length) { return state.drain(length); },
    [&state](atom::snapshot) { return state.snapshot(); },
  };
}

} // namespace belay::actors
