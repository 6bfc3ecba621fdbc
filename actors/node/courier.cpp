#include "actors/node/courier.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"

namespace belay::actors {

namespace {

/// How often a request is sent whose link goes under it each time.
constexpr std::uint32_t attempts_max = 10;

} // namespace

void courier_state::start(courier_pointer actor, courier_setup given) {
  self = actor;
  setup_ = std::move(given);
  self->set_down_handler([this](const caf::down_msg& x) { down(x); });
  self->set_exit_handler([this](const caf::exit_msg&) { stop(); });
  connect();
}

void courier_state::collect() {
  std::deque<std::shared_ptr<errand>> fresh;
  {
    const std::lock_guard lock{setup_.queue->mutex};
    fresh.swap(setup_.queue->waiting);
  }
  for (auto& what : fresh) {
    if (stopped_) {
      what->refuse({ec::shutting_down, "the client is closed"});
      continue;
    }
    const auto number = ++last_number_;
    auto& x = open_[number];
    x.what = std::move(what);
    if (linked_) {
      send(number, x);
    }
  }
  if (!linked_ && !open_.empty()) {
    connect();
  }
}

void courier_state::send(std::uint64_t number, entry& x) {
  const auto attempt = ++x.attempt;
  x.what->send(
    self, far_,
    [this, number, attempt] {
      const auto found = open_.find(number);
      if (found == open_.end() || found->second.attempt != attempt) {
        return false;
      }
      open_.erase(found);
      return true;
    },
    [this, number, attempt](const refusal& why) { broken(number, attempt, why); });
}

void courier_state::broken(std::uint64_t number, std::uint32_t attempt, const refusal& why) {
  const auto found = open_.find(number);
  if (found == open_.end() || found->second.attempt != attempt) {
    return;
  }
  if (!found->second.what->repeatable) {
    refuse(number, {ec::outcome_unknown, "the node was lost before it answered"});
  } else if (setup_.patience.count() == 0 || attempt >= attempts_max) {
    refuse(number, why);
  } else if (linked_) {
    self->demonitor(far_.registry.address());
    lose_link();
  }
}

void courier_state::connect() {
  if (linked_ || connecting_ || stopped_) {
    return;
  }
  connecting_ = true;
  if (missed_at_ == caf::actor_clock::time_point{}) {
    missed_at_ = self->clock().now();
  }
  setup_.dial(
    self, [this](const node_actor& found) { greet(found); },
    [this](const refusal& why) { not_linked(why); });
}

void courier_state::greet(const node_actor& to) {
  self
    ->request(to, setup_.greet_deadline, atom::hello_v, protocol_version, std::string{"belay-cpp"})
    .then(
      [this, to](welcome& x) {
        reached_node reached;
        static_cast<welcome&>(reached) = std::move(x);
        reached.supervisor = to;
        linked(std::move(reached));
      },
      [this](const caf::error& x) { not_linked(to_refusal(x)); });
}

void courier_state::linked(reached_node x) {
  connecting_ = false;
  if (stopped_) {
    return;
  }
  linked_ = true;
  missed_at_ = {};
  pauses_.reset();
  far_ = std::move(x);
  self->monitor(far_.registry);
  setup_.greeted(far_);
  tell_first(std::nullopt);
  // Some are answered at once, which takes them out.
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, open] : open_) {
    numbers.push_back(number);
  }
  for (const auto number : numbers) {
    if (const auto found = open_.find(number); found != open_.end()) {
      send(number, found->second);
    }
  }
}

void courier_state::not_linked(const refusal& why) {
  connecting_ = false;
  if (stopped_) {
    return;
  }
  tell_first(why);
  const auto hopeless = why.code == ec::protocol_mismatch || why.code == ec::bad_request;
  if (hopeless || self->clock().now() - missed_at_ >= setup_.patience) {
    missed_at_ = {};
    while (!open_.empty()) {
      refuse(open_.begin()->first, why);
    }
    return;
  }
  self->delayed_send(self, pauses_.next(setup_.random()), atom::connect_v);
}

void courier_state::tell_first(const std::optional<refusal>& no) {
  if (setup_.first_try) {
    std::exchange(setup_.first_try, nullptr)(no);
  }
}

void courier_state::refuse(std::uint64_t number, const refusal& why) {
  const auto found = open_.find(number);
  if (found != open_.end()) {
    const auto what = std::move(found->second.what);
    open_.erase(found);
    what->refuse(why);
  }
}

void courier_state::down(const caf::down_msg& x) {
  if (linked_ && x.source == far_.registry.address()) {
    lose_link();
  }
}

void courier_state::lose_link() {
  linked_ = false;
  far_ = {};
  std::vector<std::uint64_t> unsure;
  std::vector<std::uint64_t> lost;
  for (const auto& [number, open] : open_) {
    if (!open.what->repeatable) {
      unsure.push_back(number);
    } else if (setup_.patience.count() == 0) {
      lost.push_back(number);
    }
  }
  for (const auto number : unsure) {
    refuse(number, {ec::outcome_unknown, "the node was lost before it answered"});
  }
  for (const auto number : lost) {
    refuse(number, {ec::shutting_down, "the node is gone"});
  }
  if (!open_.empty()) {
    connect();
  }
}

void courier_state::stop() {
  stopped_ = true;
  linked_ = false;
  far_ = {};
  while (!open_.empty()) {
    refuse(open_.begin()->first, {ec::shutting_down, "the client is closed"});
  }
  collect();
  self->quit(caf::exit_reason::user_shutdown);
}

caf::behavior courier(courier_pointer self, courier_setup setup) {
  install_fault_handlers(self, component::client);
  auto& state = self->state;
  state.start(self, std::move(setup));
  return {
    [&state](atom::tick) { state.collect(); },
    [&state](atom::connect) { state.connect(); },
  };
}

} // namespace belay::actors
