#include "actors/worker/lease_keeper.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

/// After a renewal that was not answered, the next one follows after this part of the ttl.
constexpr int retry_parts = 10;

} // namespace

void lease_keeper_state::start(pointer self, keeper_setup setup) {
  self_ = self;
  setup_ = std::move(setup);
  // The claim itself was sent at the earliest when the registry granted it; the grant reached us
  // later, so counting from now would be too long by the way here. The first renewal, well before
  // the end, makes the account exact; until then a tenth of the ttl is left aside.
  const auto ttl = std::chrono::milliseconds{setup_.ttl_ms};
  deadline_ = now() + ttl - ttl / retry_parts;
  next_renewal_ = now() + std::chrono::milliseconds{setup_.renew_interval_ms};
  set_alarm(std::min(next_renewal_, deadline_) - now());
}

lease_keeper_state::time_point lease_keeper_state::now() const {
  return self_->clock().now();
}

void lease_keeper_state::set_alarm(caf::actor_clock::duration_type delay) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(delay).count();
  self_->send(setup_.sweeper, atom::alarm_v, setup_.slot, true, ++current_alarm_,
              std::max<duration_ms>(ms, 1));
}

void lease_keeper_state::alarm(std::uint32_t number) {
  if (lost_ || number != current_alarm_) {
    return;
  }
  if (now() >= deadline_) {
    lose("no renewal was answered within the lease");
    return;
  }
  if (!renewing_ && now() >= next_renewal_) {
    renew();
  }
  // While an answer is awaited there is nothing to do before the deadline.
  const auto next = renewing_ ? deadline_ : std::min(next_renewal_, deadline_);
  set_alarm(next - now());
}

void lease_keeper_state::renew_now() {
  if (!lost_) {
    renew();
    set_alarm(deadline_ - now());
  }
}

void lease_keeper_state::renew() {
  const auto sent = now();
  // One that is not due yet is renewed because the link is new: it is not late.
  const auto due = std::min(next_renewal_, sent);
  const auto retry
    = std::chrono::milliseconds{std::max<duration_ms>(setup_.ttl_ms / retry_parts, 1)};
  renewing_ = true;
  next_renewal_ = sent
                  + std::max<caf::actor_clock::duration_type>(
                    std::chrono::milliseconds{setup_.renew_interval_ms}, retry);
  self_->request(setup_.registry, deadline_ - sent, atom::renew_v, setup_.held)
    .then(
      [this, sent, due](const lease& renewed) {
        renewing_ = false;
        ++renewals_;
        if (setup_.meter) {
          setup_.meter->renewed(now() - due);
        }
        setup_.held.expires_at = renewed.expires_at;
        deadline_ = std::max(deadline_, sent + std::chrono::milliseconds{setup_.ttl_ms});
        set_alarm(std::min(next_renewal_, deadline_) - now());
      },
      [this, retry](const caf::error& x) {
        renewing_ = false;
        if (setup_.meter) {
          setup_.meter->renewal_failed();
        }
        const auto why = to_refusal(x);
        if (why.code == ec::lease_superseded) {
          lose(why.text);
          return;
        }
        next_renewal_ = now() + retry;
        // Never beyond the deadline: by then the registry may have given the row away.
        set_alarm(std::min(next_renewal_, deadline_) - now());
      });
}

void lease_keeper_state::lose(const std::string& why) {
  lost_ = true;
  if (setup_.meter) {
    setup_.meter->lease_lost();
  }
  log::warn(component::keeper, "lease.lost",
            {{"process", setup_.held.id},
             {"row", static_cast<std::uint64_t>(setup_.held.row)},
             {"fence", static_cast<std::uint64_t>(setup_.held.fence)},
             {"owner", setup_.held.holder.name},
             {"why", why}},
            "the lease is gone; the process stops without a write");
  self_->send<caf::message_priority::high>(setup_.process, atom::lost_v, why);
  self_->quit(caf::exit_reason::normal);
}

std::string lease_keeper_state::snapshot() const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - now());
  return nlohmann::json{{"actor", name},
                        {"process", setup_.held.id},
                        {"fence", static_cast<std::uint64_t>(setup_.held.fence)},
                        {"renewals", renewals_},
                        {"left_ms", left.count()}}
    .dump();
}

lease_keeper_actor::behavior_type
lease_keeper(lease_keeper_state::pointer self, keeper_setup setup) {
  install_fault_handlers(self, component::keeper);
  auto& state = self->state;
  state.start(self, std::move(setup));
  return {
    [&state](atom::renew) { state.renew_now(); },
    [&state](atom::alarm, std::uint32_t number) { state.alarm(number); },
    [&state](atom::snapshot) { return state.snapshot(); },
  };
}

} // namespace belay::actors
