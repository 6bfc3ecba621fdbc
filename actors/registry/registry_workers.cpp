// The registry's account of its workers: who is here, what they can take, whom it is granted to.
#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/registry/registry.hpp"
#include "messages/page_size.hpp"

#include <limits>

namespace belay::actors {

std::optional<refusal> registry_state::name_taken(const worker_card& card) const {
  const refusal taken{ec::name_taken, "the name '" + card.name
                                        + "' belongs to another worker that is connected; choose "
                                          "another (node.name)"};
  if (card.name == policy_.local_owner && card.run != policy_.local_run) {
    return refusal{ec::name_taken, "the name '" + card.name
                                     + "' is that of the registry's own node; choose another "
                                       "(node.name)"};
  }
  const auto here = workers_.find(card.name);
  if (here != workers_.end() && here->second.card.run != card.run) {
    return taken;
  }
  const auto comes = enlisting_.find(card.name);
  if (comes != enlisting_.end() && comes->second != card.run) {
    return taken;
  }
  return std::nullopt;
}

bool registry_state::speaks_for(const caf::node_id& node) const {
  const auto& sender = self_->current_sender();
  return !sender || sender->node() == node;
}

caf::result<enlisted> registry_state::enlist(worker_card card, const caf::actor& sweeper) {
  if (stopping_) {
    return refused(ec::shutting_down, "the node is stopping");
  }
  if (const auto no = validate(card)) {
    return refused(no->code, no->text);
  }
  if (!sweeper || !speaks_for(sweeper.node())) {
    return refused(ec::bad_request, "a node enlists its own sweeper only");
  }
  if (const auto no = name_taken(card)) {
    return refused(no->code, no->text);
  }
  enlisting_[card.name] = card.run;
  auto promise = self_->make_response_promise<enlisted>();
  enlist_request request{card.name, card.incarnation};
  enqueue(std::move(request), 0,
          [this, promise, card = std::move(card),
           handle = caf::actor_cast<sweeper_actor>(sweeper)](answer& x) mutable {
            enlisting_.erase(card.name);
            if (const auto* no = std::get_if<refusal>(&x)) {
              promise.deliver(to_error(*no));
              return;
            }
            const auto& who = std::get<owner>(x);
            take_in(std::move(card), who, handle);
            promise.deliver(enlisted{who, policy_.ttl_ms, links_.clock->now()});
          });
  return promise;
}

void registry_state::take_in(worker_card card, const owner& who, const sweeper_actor& sweeper) {
  silent_.erase(who.name);
  if (const auto old = workers_.find(who.name); old != workers_.end()) {
    self_->demonitor(old->second.sweeper.address());
  }
  self_->monitor(sweeper);
  node_info shown;
  shown.name = who.name;
  shown.incarnation = who.incarnation;
  shown.role = "worker";
  shown.kinds = card.kinds;
  shown.queues = card.queues;
  shown.slots = card.slots;
  shown.connected_at = links_.clock->now();
  shown.version = card.version;
  shown.place = card.place;
  self_->send(links_.membership, atom::enlist_v, std::move(shown),
              caf::actor_cast<caf::actor>(sweeper));
  workers_[who.name] = worker{std::move(card), who, sweeper};
  count_workers();
  log::info(component::registry, "worker.enlisted",
            {{"owner", who.name}, {"incarnation", who.incarnation}}, "a worker is here");
}

void registry_state::push_cancel(const storage::cancel_push& x) {
  const auto holder = workers_.find(x.holder.name);
  if (holder != workers_.end() && holder->second.who == x.holder) {
    // Not with high priority: it must not come before the grant of the row.
    self_->send(holder->second.sweeper, atom::cancel_v, x.row, x.fence, x.kill);
  }
}

void registry_state::offer(const owner& who, std::uint32_t slots, std::vector<std::string> kinds,
                           std::vector<std::string> queues) {
  const auto found = workers_.find(who.name);
  if (found == workers_.end() || found->second.who != who
      || !speaks_for(found->second.sweeper.node())) {
    return; // An earlier incarnation: its successor has enlisted.
  }
  found->second.card.kinds = std::move(kinds);
  found->second.card.queues = std::move(queues);
  found->second.credit += slots;
  ready_hint_ = true;
  serve();
}

done registry_state::withdraw(const owner& who) {
  const auto found = workers_.find(who.name);
  if (found == workers_.end() || found->second.who != who
      || !speaks_for(found->second.sweeper.node())) {
    return {0};
  }
  const auto left = found->second.credit;
  found->second.credit = 0;
  return {left};
}

void registry_state::add_grants() {
  if (!ready_hint_ || stopping_) {
    return;
  }
  ready_hint_ = false;
  grant_request grants;
  grants.ttl = policy_.ttl_ms;
  auto lowest = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [key, to] : workers_) {
    if (to.credit > 0) {
      grants.claimants.push_back({to.who, to.card.kinds, to.card.queues, to.credit, to.card.slots,
                                  std::max(to.turn, turn_)});
      lowest = std::min(lowest, grants.claimants.back().turn);
    }
  }
  if (grants.claimants.empty()) {
    return;
  }
  turn_ = lowest;
  std::vector<owner> whom;
  for (const auto& one : grants.claimants) {
    whom.push_back(one.holder);
  }
  batch_.push_back(std::move(grants));
  answers_.push_back([this, whom = std::move(whom)](answer& x) {
    auto* granted = std::get_if<grant_list>(&x);
    for (std::size_t i = 0; granted != nullptr && i < whom.size(); ++i) {
      const auto found = workers_.find(whom[i].name);
      if (found != workers_.end() && found->second.who == whom[i]) {
        found->second.turn = granted->turns[i];
        if (!granted->each[i].items.empty()) {
          deliver(found->second, std::move(granted->each[i]));
        }
      }
    }
  });
}

void registry_state::deliver(worker& to, claimed_list rows) {
  to.credit -= std::min(to.credit, static_cast<std::uint32_t>(rows.items.size()));
  claimed_list next;
  std::size_t bytes = 0;
  for (auto& row : rows.items) {
    bytes += row.registration_json.size() + row.woken.size();
    if (bytes > page_bytes_max && !next.items.empty()) {
      self_->send(to.sweeper, atom::grant_v, std::exchange(next, {}));
      bytes = row.registration_json.size() + row.woken.size();
    }
    next.items.push_back(std::move(row));
  }
  self_->send(to.sweeper, atom::grant_v, std::move(next));
}

void registry_state::down(const caf::down_msg& x) {
  for (auto it = workers_.begin(); it != workers_.end(); ++it) {
    if (it->second.sweeper.address() != x.source) {
      continue;
    }
    const auto who = it->second.who;
    workers_.erase(it);
    count_workers();
    const auto left = x.reason == caf::exit_reason::user_shutdown;
    const auto waits = !left && policy_.link_grace_ms > 0;
    log::write(left ? log::level::info : log::level::warn, component::registry, "worker.down",
               {{"owner", who.name},
                {"incarnation", who.incarnation},
                {"why", self_->system().render(x.reason)}},
               left    ? "a worker has left"
               : waits ? "a worker is gone; its leases are kept for the link's grace"
                       : "a worker is gone; its leases are void");
    if (waits) {
      silent_[who.name]
        = {who, self_->clock().now() + std::chrono::milliseconds{policy_.link_grace_ms}};
      self_->delayed_send(self_, std::chrono::milliseconds{policy_.link_grace_ms}, atom::lost_v,
                          who);
    } else {
      void_leases(who);
    }
    return;
  }
}

void registry_state::count_workers() {
  if (links_.meter) {
    std::uint64_t slots = 0;
    for (const auto& [key, one] : workers_) {
      slots += one.card.slots;
    }
    links_.meter->workers(workers_.size(), slots);
  }
}

void registry_state::give_up(const owner& who) {
  const auto found = silent_.find(who.name);
  // Of a worker that came and went again meanwhile there is a later message.
  if (found != silent_.end() && found->second.who == who
      && found->second.until <= self_->clock().now()) {
    silent_.erase(found);
    void_leases(who);
  }
}

void registry_state::void_leases(const owner& who) {
  if (!stopping_) {
    enqueue(void_request{who, "owner down"}, 0, [](answer&) {});
  }
}

} // namespace belay::actors
