// A registry's node on the test scheduler, and its store as tests look at it.
#pragma once

#include "actors/node/node.hpp"
#include "tests/support/deterministic_system.hpp"
#include "tests/support/scratch_directory.hpp"

#include <limits>

namespace belay::tests {

struct registry_fixture : deterministic_system {
  ~registry_fixture() {
    close();
  }

  /// Starts a node on the directory. `setup` has what is particular about it.
  void open(actors::node_setup setup, std::uint32_t interruptions_max) {
    storage::options options;
    options.directory = directory.path();
    options.free_min_bytes = 0;
    options.interruptions_max = interruptions_max;
    store = std::make_shared<storage::store>(options);
    setup.store = store;
    setup.clock = std::make_shared<const actors::registry_clock>(time(), store->last_time());
    setup.random = [this] { return ++bits; };
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

  void enroll(registration x) {
    const auto answered
      = ask<registered_list>(to.registry, atom::enroll_v, std::vector<registration>{std::move(x)});
    INFO((answered ? std::string{} : answered.why().text));
    REQUIRE(answered);
    run();
  }

  process_view view(const std::string& id) {
    auto found = store->get(id);
    REQUIRE(found);
    return *found;
  }

  /// The word for a process's state, as people are shown it.
  std::string word(const std::string& id) {
    return state_word(view(id), std::numeric_limits<timestamp_ms>::max());
  }

  scratch_directory directory;
  std::uint64_t bits = 0;
  std::string fault;
  std::shared_ptr<storage::store> store;
  node_actor node;
  welcome to;
};

} // namespace belay::tests
