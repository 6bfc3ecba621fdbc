#include "actors/metrics/readiness.hpp"

#include "messages/time.hpp"

#include <caf/scoped_actor.hpp>
#include <nlohmann/json.hpp>
#include <optional>

namespace belay::metrics {

namespace {

using said = std::optional<nlohmann::json>;

/// Sends the question at once; the answer, or nothing, is fetched later.
template <class Handle>
auto question(caf::scoped_actor& self, const Handle& to, std::chrono::milliseconds within) {
  return
    [&self, to,
     asked
     = to ? std::optional{self->request<caf::message_priority::high>(to, within, atom::snapshot_v)}
          : std::nullopt]() mutable {
      said result;
      if (asked) {
        asked->receive(
          [&result](const std::string& text) {
            result = nlohmann::json::parse(text, nullptr, false);
          },
          [](const caf::error&) {
            // Nothing is the answer.
          });
      }
      return result;
    };
}

void judge_registry(const said& x, const std::string& within, std::vector<std::string>& why) {
  if (!x) {
    why.push_back("wedged: the registry has not answered within " + within
                  + "; a commit may be stuck");
  } else if (x->value("nearly_full", false) || x->value("commit_failed", false)) {
    why.emplace_back("read-only: the disk or the store is full; new processes are refused");
  }
}

void judge_uplink(const said& x, const std::string& within, std::vector<std::string>& why) {
  if (!x) {
    why.push_back("wedged: the uplink has not answered within " + within);
  } else if (!x->value("linked", false)) {
    const auto more = x->value("why", std::string{});
    why.push_back("the registry at " + x->value("registry", std::string{}) + " cannot be reached"
                  + (more.empty() ? "" : ": " + more));
  }
}

void judge_sweeper(const said& x, const std::string& within, std::vector<std::string>& why) {
  if (!x) {
    why.push_back("wedged: the sweeper has not answered within " + within);
  } else if (x->value("draining", false)) {
    why.emplace_back("draining: this worker takes nothing new");
  } else if (!x->value("enlisted", false)) {
    why.emplace_back("not enlisted: the registry has not taken this worker in");
  }
}

} // namespace

readiness::readiness(caf::actor_system& system, std::chrono::milliseconds within)
  : system_{system}, within_{within} {}

void readiness::meet(parts who) {
  const std::lock_guard lock{mutex_};
  who_ = std::move(who);
}

void readiness::part() {
  const std::lock_guard lock{mutex_};
  who_ = {};
  last_ = {"stopped"};
}

std::vector<std::string> readiness::why_not() {
  const std::unique_lock turn{asking_, std::try_to_lock};
  parts who;
  {
    const std::lock_guard lock{mutex_};
    if (!turn || !who_.node) {
      return last_;
    }
    who = who_;
  }
  auto found = ask(who);
  const std::lock_guard lock{mutex_};
  last_ = found;
  return found;
}

std::vector<std::string> readiness::ask(const parts& who) const {
  caf::scoped_actor self{system_};
  auto node = question(self, who.node, within_);
  auto registry = question(self, who.registry, within_);
  auto uplink = question(self, who.uplink, within_);
  auto sweeper = question(self, who.sweeper, within_);
  const auto within = format_duration(within_.count());
  std::vector<std::string> why;
  const auto of_node = node();
  if (!of_node) {
    return {"the node has stopped, or has not answered within " + within};
  }
  if (of_node->value("draining", false) || of_node->value("stopping", false)) {
    return {"draining: the node is stopping"};
  }
  if (who.registry) {
    judge_registry(registry(), within, why);
  }
  if (who.uplink) {
    judge_uplink(uplink(), within, why);
  }
  if (who.sweeper && why.empty()) {
    judge_sweeper(sweeper(), within, why);
  }
  return why;
}

} // namespace belay::metrics
