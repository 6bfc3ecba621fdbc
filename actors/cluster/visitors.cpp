#include "actors/cluster/visitors.hpp"

#include "actors/component.hpp"
#include "actors/log.hpp"
#include "actors/thinning.hpp"

namespace belay::actors {

namespace {

/// Names whose refusals are counted apart; the rest share one count.
constexpr std::size_t names_max = 1'000;

} // namespace

void visitors::ask(lookup who) {
  const std::lock_guard lock{mutex_};
  who_ = std::move(who);
}

void visitors::receive(caf::actor_id one) {
  const std::lock_guard lock{mutex_};
  receiving_.insert(one);
}

bool visitors::receives(caf::actor_id one) const {
  const std::lock_guard lock{mutex_};
  return receiving_.count(one) != 0;
}

std::optional<refusal>
visitors::check(const caf::node_id& from, std::optional<gates::role> needed) {
  const std::lock_guard lock{mutex_};
  const auto who = who_ ? who_(from) : std::nullopt;
  if (who && needed && gates::includes(who->what, *needed)) {
    return std::nullopt;
  }
  auto no = stranger();
  if (!who) {
    // It came around the gate, or is gone.
  } else if (!needed) {
    no.text = "only the node's own actors may send this";
  } else {
    no.text = "'" + who->name + "' has the role " + std::string{to_string(who->what)}
              + ", and this needs " + std::string{to_string(*needed)};
  }
  note(who ? who->name : std::string{}, no.text);
  return no;
}

refusal visitors::stranger() {
  return {ec::not_permitted, "this node does not know who asks"};
}

void visitors::note(const std::string& name, const std::string& why) {
  const auto known = refused_by_.count(name) != 0 || refused_by_.size() < names_max;
  const auto count = ++refused_by_[known ? name : std::string{}];
  if (is_logged(count)) { // A peer can send without end.
    log::warn(component::node, "peer.refused", {{"name", name}, {"why", why}, {"times", count}},
              "a message was refused: its sender's role does not allow it");
  }
}

} // namespace belay::actors
