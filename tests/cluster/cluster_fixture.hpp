// A registry node and workers on the test scheduler, with links that the test cuts and mends.
#pragma once

#include "tests/support/fake_tool.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/registry_fixture.hpp"

#include <caf/exit_reason.hpp>
#include <list>

namespace belay::tests {

struct cluster_fixture : registry_fixture {
  /// One worker node, without the node around it.
  struct worker {
    std::string name;
    fake_tool tool;
    std::shared_ptr<running::toolbox> box = std::make_shared<running::toolbox>();
    std::shared_ptr<actors::remote_clock> clock;
    uplink_actor uplink;
    sweeper_actor sweeper;
    bool reachable = true;
    std::string fault;

    [[nodiscard]] std::vector<std::string> running() const {
      std::vector<std::string> ids;
      for (const auto& x : tool.runs) {
        if (!x->destroyed && x->callbacks.finished) {
          ids.push_back(x->info.id);
        }
      }
      return ids;
    }

    fake_run& run_of(const std::string& id) {
      for (auto it = tool.runs.rbegin(); it != tool.runs.rend(); ++it) {
        if ((*it)->info.id == id) {
          return **it;
        }
      }
      throw std::runtime_error{"no run of " + id};
    }

    /// Ends all that runs.
    std::size_t finish_all() {
      std::size_t count = 0;
      for (std::size_t i = 0; i < tool.runs.size(); ++i) {
        if (tool.runs[i]->callbacks.finished) {
          tool.runs[i]->finish(make_success("1"));
          ++count;
        }
      }
      return count;
    }
  };

  static constexpr auto ttl = std::chrono::seconds{30};

  cluster_fixture() {
    open();
  }

  ~cluster_fixture() {
    for (auto& x : workers) {
      end(x);
    }
  }

  void open() {
    actors::node_setup setup;
    setup.name = "registry";
    setup.works = false;
    setup.tools = std::make_shared<running::toolbox>();
    setup.registry.ttl_ms = std::chrono::milliseconds{ttl}.count();
    setup.registry.link_grace_ms = link_grace_ms;
    registry_fixture::open(std::move(setup), 0);
  }

  worker& add(const std::string& name, std::uint32_t slots) {
    auto& x = workers.emplace_back();
    x.name = name;
    x.box->add(x.tool.as_tool("fake"));
    begin(x, slots);
    return x;
  }

  /// Starts a worker's program, for the first time or again.
  void begin(worker& x, std::uint32_t slots) {
    actors::uplink_setup up;
    up.name = x.name;
    up.where = "the test";
    up.clock = x.clock = std::make_shared<actors::remote_clock>([this] { return steady_ms(); });
    up.random = [this] { return ++bits; };
    up.on_fault = [&x](const std::string& why) { x.fault = why; };
    up.dial
      = [this, &x](actors::uplink_setup::pointer, const actors::uplink_setup::reached& reached,
                   const actors::uplink_setup::failed& failed) {
          if (x.reachable && node) {
            reached(node);
          } else {
            failed({ec::shutting_down, "the link is cut"});
          }
        };
    x.uplink = sys.spawn(actors::uplink, std::move(up));
    actors::worker_links links;
    links.registry = x.uplink;
    links.reader = x.uplink;
    links.watcher = x.uplink;
    links.tools = x.box;
    links.now = [clock = x.clock] { return clock->now(); };
    actors::worker_policy policy;
    policy.card.name = x.name;
    policy.card.run = ++bits;
    policy.slots = slots;
    policy.cancel_grace_ms = 10'000;
    policy.renew_interval_ms = 10'000;
    x.sweeper = sys.spawn(actors::sweeper, std::move(links), std::move(policy));
    caf::anon_send(x.uplink, atom::connect_v, caf::actor_cast<caf::actor>(x.sweeper));
    run();
  }

  /// Ends a worker's program, as a kill would: its connection tells the registry.
  void end(worker& x) {
    if (x.sweeper) {
      if (node) {
        registry_loses_link(x);
      }
      for (const auto& one : x.tool.runs) {
        one->callbacks = {};
      }
      caf::anon_send_exit(x.sweeper, caf::exit_reason::user_shutdown);
      caf::anon_send_exit(x.uplink, caf::exit_reason::user_shutdown);
      x.sweeper = nullptr;
      x.uplink = nullptr;
      run();
    }
  }

  /// The worker's side learns that the link is lost.
  void worker_loses_link(worker& x) {
    x.reachable = false;
    caf::anon_send(caf::actor_cast<caf::actor>(x.uplink),
                   caf::down_msg{to.registry.address(), caf::exit_reason::remote_link_unreachable});
    run();
  }

  /// The registry's side learns it.
  void registry_loses_link(worker& x) {
    for (const auto& who :
         {caf::actor_cast<caf::actor>(to.registry), caf::actor_cast<caf::actor>(to.membership)}) {
      caf::anon_send(who,
                     caf::down_msg{x.sweeper.address(), caf::exit_reason::remote_link_unreachable});
    }
    run();
  }

  void cut(worker& x) {
    worker_loses_link(x);
    registry_loses_link(x);
  }

  /// Long enough for every pause between two tries.
  void mend(worker& x) {
    x.reachable = true;
    advance(std::chrono::seconds{3});
  }

  using registry_fixture::enroll;

  void enroll(const std::string& id) {
    enroll(make_registration(id));
  }

  node_info shown(const std::string& name) {
    const auto list = ask<node_list>(to.membership, atom::nodes_v);
    REQUIRE(list);
    for (const auto& x : list->nodes) {
      if (x.name == name) {
        return x;
      }
    }
    return {};
  }

  duration_ms link_grace_ms = 0;
  std::list<worker> workers;
};

} // namespace belay::tests
