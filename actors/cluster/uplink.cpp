#include "actors/cluster/uplink.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "messages/message_size.hpp"

#include <caf/typed_response_promise.hpp>
#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

/// How long the handshake may take.
constexpr std::chrono::seconds greet_deadline{5};
/// Longer than those who ask wait themselves: the answer of a slow disk still finds its way.
constexpr std::chrono::seconds forward_deadline{30};
/// What an answer may take beyond the time that was to be waited.
constexpr std::chrono::seconds relay_margin{5};
/// Clocks differ by some 50 us a second at most (crystals); a minute keeps that below 3 ms.
constexpr std::chrono::minutes compare_pause{1};

} // namespace

void uplink_state::start(pointer self, uplink_setup setup) {
  self_ = self;
  setup_ = std::move(setup);
  self->set_down_handler([this](const caf::down_msg& x) { down(x); });
  self->set_exit_handler([this](const caf::exit_msg&) { stop(); });
  self->delayed_send(self, compare_pause, atom::tick_v);
}

void uplink_state::sweeper(const caf::actor& x) {
  sweeper_ = caf::actor_cast<sweeper_actor>(x);
  connect();
}

void uplink_state::connect() {
  if (linked_ || connecting_) {
    return;
  }
  connecting_ = true;
  setup_.dial(
    self_, [this](const node_actor& found) { greet(found); },
    [this](const refusal& why) { not_reached(why); });
}

void uplink_state::greet(const node_actor& to) {
  node_ = to;
  self_->request(to, greet_deadline, atom::hello_v, protocol_version, "worker " + setup_.name)
    .then([this](welcome& x) { welcomed(std::move(x)); },
          [this](const caf::error& x) { not_reached(to_refusal(x)); });
}

void uplink_state::welcomed(welcome x) {
  connecting_ = false;
  linked_ = true;
  ++links_;
  failures_ = 0;
  setup_.pauses.reset();
  why_.clear();
  far_ = std::move(x);
  setup_.clock->set(far_.now);
  self_->monitor(far_.registry);
  log::info(component::uplink, "link.up",
            {{"registry", far_.node}, {"at", setup_.where}, {"links", links_}},
            "connected to the registry");
  if (setup_.message_max != 0 && (far_.message_max == 0 || far_.message_max > setup_.message_max)) {
    log::warn(
      component::uplink, "link.message_max",
      {{"here", setup_.message_max}, {"registry", far_.message_max}},
      "the registry takes larger messages than this node: what is larger ends the link; give "
      "both the same cluster.message_max");
  }
  self_->send(sweeper_, atom::enlist_v);
}

void uplink_state::not_reached(const refusal& why) {
  connecting_ = false;
  node_ = nullptr;
  if (why.code == ec::protocol_mismatch) {
    setup_.on_fault("the registry at " + setup_.where + " does not take this node: " + why.text);
    return;
  }
  if (++failures_ == 1 || why.text != why_) {
    log::warn(component::uplink, "link.not_reached", {{"at", setup_.where}, {"why", why.text}},
              "cannot reach the registry; trying again");
  }
  why_ = why.text;
  self_->delayed_send(self_, setup_.pauses.next(setup_.random()), atom::connect_v);
}

void uplink_state::down(const caf::down_msg& x) {
  if (!linked_ || x.source != far_.registry.address()) {
    return;
  }
  linked_ = false;
  far_ = {};
  node_ = nullptr;
  const auto more = setup_.last_error ? setup_.last_error() : std::string{};
  why_ = "the link was lost (" + (more.empty() ? self_->system().render(x.reason) : more) + ")";
  fail_open();
  self_->send<caf::message_priority::high>(sweeper_, atom::lost_v, why_);
  connect();
}

void uplink_state::fail_open() {
  const auto open = std::exchange(open_, {});
  const auto lost = caf::make_error(ec::outcome_unknown, why_);
  for (const auto& [number, fail] : open) {
    fail(lost);
  }
}

void uplink_state::compare_clocks() {
  self_->delayed_send(self_, compare_pause, atom::tick_v);
  if (linked_) {
    self_->request(node_, greet_deadline, atom::hello_v, protocol_version, "worker " + setup_.name)
      .then([this](const welcome& x) { setup_.clock->set(x.now); },
            [](const caf::error&) {
              // The next one will do, or the link is lost and says so itself.
            });
  }
}

void uplink_state::stop() {
  why_ = "the node is stopping";
  linked_ = false;
  connecting_ = true; // Nothing connects any more.
  fail_open();
  sweeper_ = nullptr;
  node_ = nullptr;
  far_ = {};
  self_->quit(caf::exit_reason::user_shutdown);
}

template <class Answer, class Handle, class... Ts>
caf::result<Answer>
uplink_state::forward(const Handle& to, std::chrono::milliseconds deadline, Ts&&... content) {
  if (!linked_) {
    return caf::make_error(ec::shutting_down, "no link to the registry at " + setup_.where);
  }
  if (open_.size() >= setup_.open_max) {
    return caf::make_error(ec::shutting_down, "too many requests to the registry at once ("
                                                + std::to_string(setup_.open_max) + ")");
  }
  if (const auto no = check_message_size(self_->system(), far_.message_max, content...)) {
    return to_error(*no);
  }
  auto promise = self_->make_response_promise<Answer>();
  const auto number = ++last_number_;
  open_.emplace(number, [promise](const caf::error& x) mutable { promise.deliver(x); });
  self_->request(to, deadline, std::forward<Ts>(content)...)
    .then(
      [this, number, promise](Answer& x) mutable {
        if (open_.erase(number) != 0) {
          promise.deliver(std::move(x));
        }
      },
      [this, number, promise](const caf::error& x) mutable {
        if (open_.erase(number) != 0) {
          promise.deliver(x);
        }
      });
  return promise;
}

void uplink_state::offer(const owner& who, std::uint32_t slots, std::vector<std::string> kinds,
                         std::vector<std::string> queues) {
  if (linked_) {
    self_->send(far_.registry, atom::offer_v, who, slots, std::move(kinds), std::move(queues));
  }
}

std::string uplink_state::snapshot() const {
  return nlohmann::json{
    {"actor", name},         {"registry", setup_.where}, {"linked", linked_}, {"links", links_},
    {"failures", failures_}, {"open", open_.size()},     {"node", far_.node}, {"why", why_}}
    .dump();
}

uplink_actor::behavior_type uplink(uplink_state::pointer self, uplink_setup setup) {
  install_fault_handlers(self, component::uplink);
  auto& x = self->state;
  x.start(self, std::move(setup));
  return {
    [&x](atom::enlist, worker_card& card, const caf::actor& sweeper) {
      return x.forward<enlisted>(x.far().registry, forward_deadline, atom::enlist_v,
                                 std::move(card), sweeper);
    },
    [&x](atom::offer, const owner& who, std::uint32_t slots, std::vector<std::string>& kinds,
         std::vector<std::string>& queues) {
      x.offer(who, slots, std::move(kinds), std::move(queues));
    },
    [&x](atom::withdraw, const owner& who) {
      return x.forward<done>(x.far().registry, forward_deadline, atom::withdraw_v, who);
    },
    [&x](atom::renew, const lease& held) {
      return x.forward<lease>(x.far().registry, forward_deadline, atom::renew_v, held);
    },
    [&x](atom::release, const lease& held, std::string& reason) {
      return x.forward<done>(x.far().registry, forward_deadline, atom::release_v, held,
                             std::move(reason));
    },
    [&x](atom::release, const lease& held) {
      return x.forward<done>(x.far().registry, forward_deadline, atom::release_v, held);
    },
    [&x](atom::park, park_request& request) {
      return x.forward<park_receipt>(x.far().registry, forward_deadline, atom::park_v,
                                     std::move(request));
    },
    [&x](atom::journal, journal_request& request) {
      return x.forward<journal_receipt>(x.far().registry, forward_deadline, atom::journal_v,
                                        std::move(request));
    },
    [&x](atom::append, append_request& request) {
      return x.forward<event>(x.far().registry, forward_deadline, atom::append_v,
                              std::move(request));
    },
    [&x](atom::complete, const lease& held, outcome& result) {
      return x.forward<completion>(x.far().registry, forward_deadline, atom::complete_v, held,
                                   std::move(result));
    },
    [&x](atom::journal, process_id& id, std::uint64_t after, std::uint32_t limit) {
      return x.forward<journal_page>(x.far().reader, forward_deadline, atom::journal_v,
                                     std::move(id), after, limit);
    },
    [&x](atom::wait, process_id& id, duration_ms length) {
      return x.forward<outcome_view>(x.far().watcher,
                                     std::chrono::milliseconds{length} + relay_margin, atom::wait_v,
                                     std::move(id), length);
    },
    [&x](atom::signal, process_id& id, std::string& what, std::uint64_t ordinal,
         duration_ms length) {
      return x.forward<event>(x.far().watcher, std::chrono::milliseconds{length} + relay_margin,
                              atom::signal_v, std::move(id), std::move(what), ordinal, length);
    },
    [&x](atom::connect, const caf::actor& sweeper) { x.sweeper(sweeper); },
    [&x](atom::connect) { x.connect(); },
    [&x](atom::tick) { x.compare_clocks(); },
    [&x](atom::snapshot) { return x.snapshot(); },
  };
}

} // namespace belay::actors
