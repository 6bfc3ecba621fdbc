#include "actors/cluster/membership.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/survey.hpp"
#include "messages/did_you_mean.hpp"

#include <caf/typed_response_promise.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

namespace belay::actors {

namespace {

/// Who has not answered by then is shown as silent.
constexpr std::chrono::seconds ask_deadline{1};
/// What a drain may take beyond its own time: the releases.
constexpr std::chrono::seconds drain_margin{15};

/// Fills in what a sweeper says of itself.
void fill(node_info& x, const std::string& snapshot) {
  const auto said = nlohmann::json::parse(snapshot, nullptr, false);
  if (!said.is_object()) {
    return;
  }
  x.busy = said.value("busy", 0U);
  x.waiting = said.value("waiting", 0U);
  x.slots = said.value("slots", x.slots);
  x.state = !said.value("draining", false)  ? "connected"
            : x.busy == 0 && x.waiting == 0 ? "drained"
                                            : "draining";
}

} // namespace

void membership_state::start(pointer self, node_info own) {
  self_ = self;
  own_ = std::move(own);
  self->set_down_handler([this](const caf::down_msg& x) { down(x); });
}

void membership_state::enlist(node_info who, const caf::actor& sweeper) {
  const auto key = who.name;
  if (const auto old = members_.find(key); old != members_.end()) {
    self_->demonitor(old->second.sweeper.address());
  }
  if (key == own_.name) {
    who.role = own_.role;
  }
  auto handle = caf::actor_cast<sweeper_actor>(sweeper);
  self_->monitor(handle);
  members_[key] = member{std::move(who), std::move(handle)};
}

void membership_state::down(const caf::down_msg& x) {
  for (auto it = members_.begin(); it != members_.end(); ++it) {
    if (it->second.sweeper.address() == x.source) {
      members_.erase(it);
      return;
    }
  }
}

caf::result<node_list> membership_state::nodes() {
  auto all = std::make_shared<collection>();
  all->promise = self_->make_response_promise<node_list>();
  if (members_.count(own_.name) == 0) {
    all->found.nodes.push_back(own_);
  }
  all->open = members_.size();
  const auto first = all->found.nodes.size();
  auto index = first;
  for (const auto& [key, x] : members_) {
    all->found.nodes.push_back(x.shown);
    const auto sent = std::chrono::steady_clock::now();
    const auto answered = [all] {
      if (--all->open == 0) {
        all->promise.deliver(std::move(all->found));
      }
    };
    self_->request<caf::message_priority::high>(x.sweeper, ask_deadline, atom::snapshot_v)
      .then(
        [all, index, sent, answered](const std::string& said) {
          auto& one = all->found.nodes[index];
          const auto length = std::chrono::steady_clock::now() - sent;
          one.round_trip_us = static_cast<std::uint64_t>(std::max<std::int64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(length).count(), 1));
          fill(one, said);
          answered();
        },
        [all, index, answered](const caf::error&) {
          all->found.nodes[index].state = "silent";
          answered();
        });
    ++index;
  }
  auto promise = all->promise;
  if (all->open == 0) {
    promise.deliver(std::move(all->found));
  }
  return promise;
}

std::vector<std::string> membership_state::kinds() const {
  std::set<std::string> all{own_.kinds.begin(), own_.kinds.end()};
  for (const auto& [key, x] : members_) {
    all.insert(x.shown.kinds.begin(), x.shown.kinds.end());
  }
  return {all.begin(), all.end()};
}

caf::error membership_state::unknown(const std::string& who) const {
  std::vector<std::string> names;
  for (const auto& [key, x] : members_) {
    names.push_back(key);
  }
  return caf::make_error(ec::unknown_node,
                         "no worker '" + who + "' is connected" + suggestion(who, names));
}

caf::result<done> membership_state::drain(const std::string& who, duration_ms length) {
  const auto found = members_.find(who);
  if (found == members_.end()) {
    return unknown(who);
  }
  auto promise = self_->make_response_promise<done>();
  // A frozen one is not waited for.
  self_->request<caf::message_priority::high>(found->second.sweeper, ask_deadline, atom::snapshot_v)
    .then(
      [this, promise, length, to = found->second.sweeper](const std::string&) mutable {
        self_->request(to, std::chrono::milliseconds{length} + drain_margin, atom::drain_v, length)
          .then([promise](const done& x) mutable { promise.deliver(x); },
                [promise](const caf::error& x) mutable { promise.deliver(x); });
      },
      [promise, who](const caf::error&) mutable {
        promise.deliver(
          caf::make_error(ec::timed_out, "the worker '" + who
                                           + "' does not answer; it is given up when it has been "
                                             "silent for cluster.timeout"));
      });
  return promise;
}

caf::result<done> membership_state::undrain(const std::string& who) {
  const auto found = members_.find(who);
  if (found == members_.end()) {
    return unknown(who);
  }
  auto promise = self_->make_response_promise<done>();
  self_->request(found->second.sweeper, std::chrono::seconds{10}, atom::undrain_v)
    .then([promise](const done& x) mutable { promise.deliver(x); },
          [promise](const caf::error& x) mutable { promise.deliver(x); });
  return promise;
}

caf::result<actor_tree> membership_state::tree(std::uint32_t limit) {
  const auto all = std::make_shared<survey>(self_->make_response_promise<actor_tree>());
  for (const auto& [key, x] : members_) {
    all->ask_tree(self_, worker_survey_deadline, 0, key + "/", "sweeper", x.sweeper, limit);
  }
  return all->close();
}

caf::result<actor_tree> membership_state::tree_of(const std::string& who, const process_id& id) {
  const auto found = members_.find(who);
  if (found == members_.end()) {
    return unknown(who);
  }
  const auto all = std::make_shared<survey>(self_->make_response_promise<actor_tree>());
  all->ask_tree(self_, worker_survey_deadline, 0, who + "/", "process/" + id, found->second.sweeper,
                id);
  return all->close();
}

std::string membership_state::snapshot() const {
  auto members = nlohmann::json::array();
  for (const auto& [key, x] : members_) {
    members.push_back({{"name", key}, {"incarnation", x.shown.incarnation}});
  }
  return nlohmann::json{{"actor", name}, {"members", members}}.dump();
}

membership_actor::behavior_type
membership(membership_state::pointer self, node_info own, std::shared_ptr<visitors> known) {
  install_fault_handlers(self, component::membership);
  auto& state = self->state;
  state.start(self, std::move(own));
  const guard by{self, std::move(known)};
  using gates::role;
  return {
    by.inside([&state](atom::enlist, node_info& who, const caf::actor& sweeper) {
      state.enlist(std::move(who), sweeper);
    }),
    by(role::read, [&state](atom::nodes) { return state.nodes(); }),
    by(role::read, [&state](atom::offer) { return state.kinds(); }),
    by(role::admin, [&state](atom::drain, const std::string& who,
                             duration_ms length) { return state.drain(who, length); }),
    by(role::admin, [&state](atom::undrain, const std::string& who) { return state.undrain(who); }),
    by(role::read, [&state](atom::tree, std::uint32_t limit) { return state.tree(limit); }),
    by(role::read, [&state](atom::tree, const std::string& who,
                            const process_id& id) { return state.tree_of(who, id); }),
    by(role::read, [&state](atom::snapshot) { return state.snapshot(); }),
  };
}

} // namespace belay::actors
