#include "actors/node/node.hpp"

#include "actors/cluster/membership.hpp"
#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/registry/reader.hpp"
#include "actors/registry/timekeeper.hpp"
#include "actors/survey.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

/// What a drain may take beyond its own timeout: the explicit releases.
constexpr duration_ms drain_margin_ms = 15'000;
constexpr std::chrono::seconds membership_deadline{2};

} // namespace

void node_state::start(pointer self, node_setup setup) {
  self_ = self;
  setup_ = std::move(setup);
  auto& card = setup_.worker.card;
  card.name = setup_.name;
  if (card.run == 0) {
    card.run = setup_.random() | 1U; // 0 would be none.
  }
  setup_.registry.local_owner = setup_.name;
  setup_.registry.local_run = card.run;
  self->set_down_handler([this](const caf::down_msg& x) { down(x); });
  self->set_exit_handler([this](const caf::exit_msg& x) {
    for (const auto& child : children_) {
      caf::anon_send_exit(child, caf::exit_reason::user_shutdown);
    }
    self_->quit(x.reason);
  });
  if (setup_.uplink.dial) {
    start_worker();
  } else {
    start_registry();
  }
  if (setup_.on_started) {
    setup_.on_started({node_actor{self}, registry_, uplink_, sweeper_});
  }
}

void node_state::start_registry() {
  watcher_ = self_->spawn(watcher, setup_.store, setup_.clock, setup_.watch, setup_.known);
  timekeeper_ = self_->spawn(timekeeper, setup_.safety_sweep_ms);
  node_info own;
  own.name = setup_.name;
  own.role = setup_.works ? "registry+worker" : "registry";
  own.state = "connected";
  own.connected_at = setup_.clock->now();
  if (setup_.works) {
    own.kinds = setup_.worker.offer.empty() ? setup_.tools->names() : setup_.worker.offer;
  }
  own.version = program_version;
  own.place = setup_.worker.card.place;
  membership_ = self_->spawn(membership, std::move(own), setup_.known);
  registry_links links{setup_.store, setup_.clock,         setup_.random,   watcher_,
                       timekeeper_,  membership_,          setup_.on_fault, setup_.at_commit,
                       setup_.known, setup_.registry_meter};
  if (setup_.tracer) {
    links.trace = std::make_shared<tracing::registry_trace>(setup_.tracer);
  }
  registry_ = setup_.detach_registry
                ? self_->spawn<caf::detached>(registry, std::move(links), setup_.registry)
                : self_->spawn(registry, std::move(links), setup_.registry);
  self_->send(timekeeper_, atom::connect_v, caf::actor_cast<caf::actor>(registry_));
  for (std::size_t i = 0; i < std::max<std::size_t>(setup_.readers, 1); ++i) {
    readers_.push_back(
      self_->spawn(reader, setup_.store, setup_.clock, setup_.known, setup_.detach_registry));
  }
  if (setup_.works) {
    worker_links worker{registry_,
                        readers_.front(),
                        watcher_,
                        {},
                        {},
                        setup_.tools,
                        setup_.run_code,
                        [clock = setup_.clock] { return clock->now(); },
                        setup_.worker_meter};
    worker.tracer = setup_.tracer;
    sweeper_ = self_->spawn(sweeper, std::move(worker), setup_.worker);
    self_->send(sweeper_, atom::enlist_v);
    adopt(sweeper_);
  }
  adopt(timekeeper_);
  show(membership_);
  show(watcher_);
  for (const auto& x : readers_) {
    show(x);
  }
  show(registry_);
  if (setup_.known) {
    setup_.known->receive(self_->id());
  }
}

void node_state::start_worker() {
  const auto clock = setup_.uplink.clock;
  uplink_ = self_->spawn(uplink, setup_.uplink);
  worker_links worker{uplink_,
                      uplink_,
                      uplink_,
                      {},
                      uplink_,
                      setup_.tools,
                      setup_.run_code,
                      [clock] { return clock->now(); },
                      setup_.worker_meter};
  worker.tracer = setup_.tracer;
  sweeper_ = self_->spawn(sweeper, std::move(worker), setup_.worker);
  self_->send(uplink_, atom::connect_v, caf::actor_cast<caf::actor>(sweeper_));
  adopt(sweeper_);
  adopt(uplink_);
}

template <class Handle>
void node_state::adopt(const Handle& child) {
  self_->monitor(child);
  children_.push_back(caf::actor_cast<caf::actor>(child));
}

template <class Handle>
void node_state::show(const Handle& child) {
  adopt(child);
  if (setup_.known) {
    setup_.known->receive(child->id());
  }
}

caf::result<welcome> node_state::hello(std::uint32_t version, const std::string& client) {
  if (draining_ || stopping_) {
    return caf::make_error(ec::shutting_down, std::string{"the node is stopping"});
  }
  if (!registry_) {
    return caf::make_error(ec::bad_request, "'" + setup_.name + "' is a worker of the registry at "
                                              + setup_.uplink.where + "; ask there");
  }
  if (version != protocol_version) {
    return caf::make_error(ec::protocol_mismatch,
                           "the client '" + client + "' speaks protocol version "
                             + std::to_string(version) + ", this node version "
                             + std::to_string(protocol_version));
  }
  ++clients_;
  welcome x;
  x.node = setup_.name;
  x.registry = registry_;
  x.reader = readers_.at(next_reader_++ % readers_.size());
  x.watcher = watcher_;
  x.membership = membership_;
  x.batch_max = static_cast<std::uint32_t>(setup_.registry.register_max);
  x.now = setup_.clock->now();
  x.message_max = setup_.message_max;
  auto promise = self_->make_response_promise<welcome>();
  self_->request(membership_, membership_deadline, atom::offer_v)
    .then(
      [x, promise](std::vector<std::string>& kinds) mutable {
        x.tools = std::move(kinds);
        promise.deliver(std::move(x));
      },
      [promise](const caf::error& why) mutable { promise.deliver(why); });
  return promise;
}

caf::result<done> node_state::stop(bool drain) {
  auto promise = self_->make_response_promise<done>();
  stopped_.push_back(promise);
  if (stopping_) {
    return promise;
  }
  if (!drain) {
    begin_stop();
    return promise;
  }
  if (!sweeper_) {
    begin_stop();
    return promise;
  }
  if (!draining_) {
    draining_ = true;
    const auto bound = std::chrono::milliseconds{setup_.drain_timeout_ms + drain_margin_ms};
    self_->request(sweeper_, bound, atom::drain_v, setup_.drain_timeout_ms)
      .then(
        [this](const done& x) {
          log::info(component::node, "node.drained", {{"released", x.count}},
                    "nothing runs any more");
          begin_stop();
        },
        [this](const caf::error& x) {
          log::warn(component::node, "node.drain_failed", {{"why", to_refusal(x).text}},
                    "stopping without having drained");
          begin_stop();
        });
  }
  return promise;
}

void node_state::begin_stop() {
  if (!stopping_) {
    stopping_ = true;
    stop_next();
  }
}

void node_state::stop_next() {
  if (!children_.empty()) {
    caf::anon_send_exit(children_.front(), caf::exit_reason::user_shutdown);
    return;
  }
  for (auto& promise : stopped_) {
    promise.deliver(done{});
  }
  stopped_.clear();
  watcher_ = nullptr;
  timekeeper_ = nullptr;
  registry_ = nullptr;
  membership_ = nullptr;
  uplink_ = nullptr;
  sweeper_ = nullptr;
  readers_.clear();
  self_->quit(caf::exit_reason::user_shutdown);
}

void node_state::down(const caf::down_msg& x) {
  const auto found = std::find_if(children_.begin(), children_.end(),
                                  [&x](const caf::actor& c) { return c.address() == x.source; });
  if (found == children_.end()) {
    return;
  }
  const auto first = found == children_.begin();
  children_.erase(found);
  if (!stopping_) {
    const auto why = self_->system().render(x.reason);
    if (!setup_.at_commit) { // Where a test lets the program die this is no surprise.
      log::error(component::node, "node.child_down", {{"why", why}}, "an actor of the node ended");
    }
    stopping_ = true;
    setup_.on_fault("an actor of the node ended: " + why);
    stop_next();
    return;
  }
  if (first) {
    stop_next();
  }
}

caf::result<actor_tree> node_state::tree(std::uint32_t limit) {
  if (limit > survey_limit_max) {
    return caf::make_error(ec::bad_request, "limit: " + std::to_string(limit)
                                              + " is not acceptable, expected 0 to "
                                              + std::to_string(survey_limit_max));
  }
  const auto all = std::make_shared<survey>(self_->make_response_promise<actor_tree>());
  all->add(0, name, snapshot());
  if (registry_) {
    all->ask(self_, survey_deadline, 1, "registry", registry_);
    all->ask(self_, survey_deadline, 1, "timekeeper", timekeeper_);
    all->ask(self_, survey_deadline, 1, "watcher", watcher_);
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      all->ask(self_, survey_deadline, 1, "reader-" + std::to_string(i + 1), readers_[i]);
    }
    all->ask(self_, survey_deadline, 1, "membership", membership_);
    all->ask_tree(self_, cluster_survey_deadline, 1, "", "workers", membership_, limit);
  }
  return all->close();
}

std::string node_state::snapshot() const {
  auto stuck = nlohmann::json::array();
  for (const auto& x : setup_.stuck ? setup_.stuck() : std::vector<running::stuck_code>{}) {
    stuck.push_back({{"id", x.id}, {"ms", x.length_ms}});
  }
  return nlohmann::json{{"actor", name},
                        {"node", setup_.name},
                        {"clients", clients_},
                        {"children", children_.size()},
                        {"draining", draining_},
                        {"stopping", stopping_},
                        {"actors", self_->system().registry().running()},
                        {"stuck", stuck},
                        {"tools", setup_.tools->names()}}
    .dump();
}

node_actor::behavior_type node(node_state::pointer self, node_setup setup) {
  install_fault_handlers(self, component::node);
  auto& state = self->state;
  state.start(self, std::move(setup));
  const guard by{self, state.known()};
  using gates::role;
  return {
    by(role::read, [&state](atom::hello, std::uint32_t version,
                            const std::string& client) { return state.hello(version, client); }),
    by(role::admin, [&state](atom::stop, bool drain) { return state.stop(drain); }),
    by(role::read, [&state](atom::tree, std::uint32_t limit) { return state.tree(limit); }),
    by(role::read, [&state](atom::snapshot) { return state.snapshot(); }),
  };
}

} // namespace belay::actors
