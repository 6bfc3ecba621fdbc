// A registry node and workers on the test scheduler, with links that the test cuts and mends.
#pragma once

#include "actors/node/node.hpp"
#include "tests/support/deterministic_system.hpp"
#include "tests/support/fake_tool.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/scratch_directory.hpp"

#include <caf/exit_reason.hpp>
#include <limits>
#include <list>

namespace belay::tests {

struct cluster_fixture : deterministic_system {
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
    close();
  }

  void open() {
    storage::options options;
    options.directory = directory.path();
    options.free_min_bytes = 0;
    options.interruptions_max = 0;
    store = std::make_shared<storage::store>(options);
    actors::node_setup setup;
    setup.name = "registry";
    setup.works = false;
    setup.store = store;
    setup.clock = std::make_shared<const actors::registry_clock>(time(), store->last_time());
    setup.random = [this] { return ++bits; };
    setup.tools = std::make_shared<running::toolbox>();
    setup.registry.ttl_ms = std::chrono::milliseconds{ttl}.count();
    setup.registry.link_grace_ms = link_grace_ms;
    setup.detach_registry = false;
    setup.on_fault = [this](const std::string& why) { fault = why; };
    node = sys.spawn(actors::node, std::move(setup));
    run();
    auto greeted = ask<welcome>(node, atom::hello_v, protocol_version, std::string{"test"});
    REQUIRE(greeted);
    to = *greeted;
  }

  void close() {
    to = {};
    if (node) {
      caf::anon_send(node, atom::stop_v, false);
      node = nullptr;
    }
    run();
    store.reset();
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

  void enroll(const std::string& id, std::int32_t priority = 0) {
    auto item = make_registration(id);
    item.priority = priority;
    const auto answered = ask<registered_list>(to.registry, atom::enroll_v,
                                               std::vector<registration>{std::move(item)});
    REQUIRE(answered);
    run();
  }

  process_view view(const std::string& id) {
    auto found = store->get(id);
    REQUIRE(found);
    return *found;
  }

  std::string word(const std::string& id) {
    return state_word(view(id), std::numeric_limits<timestamp_ms>::max());
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

  scratch_directory directory;
  duration_ms link_grace_ms = 0;
  std::uint64_t bits = 0;
  std::string fault;
  std::shared_ptr<storage::store> store;
  std::list<worker> workers;
  node_actor node;
  welcome to;
};

} // namespace belay::tests
