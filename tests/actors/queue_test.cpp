// Queues on a whole node: who waits for rows is woken when a bound lets one go.
#include "actors/registry/registry.hpp"
#include "tests/support/fake_tool.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/registry_fixture.hpp"

using namespace belay;
using namespace std::chrono_literals;
using belay::tests::make_registration;

namespace {

struct queue_fixture : tests::registry_fixture {
  queue_fixture() {
    box = std::make_shared<running::toolbox>();
    box->add(tool.as_tool("fake"));
    actors::node_setup setup;
    setup.tools = box;
    setup.registry.ttl_ms = 30'000;
    setup.worker.slots = 8;
    setup.worker.renew_interval_ms = 10'000;
    registry_fixture::open(std::move(setup), 3);
  }

  ~queue_fixture() {
    close();
  }

  void configure(queue_request x) {
    x.queue = "default";
    REQUIRE(ask<queue_settings>(to.registry, atom::queue_v, std::move(x)));
    run();
  }

  void finish(std::size_t at) {
    tool.runs.at(at)->finish(make_success("1"));
    run();
  }

  tests::fake_tool tool;
  std::shared_ptr<running::toolbox> box;
};

} // namespace

TEST_CASE_METHOD(queue_fixture, "queues: a resumed one is worked off at once", "[actors][queues]") {
  queue_request x;
  x.paused = 1;
  configure(x);
  enroll(make_registration("a"));
  CHECK(tool.runs.empty());
  x.paused = 0;
  configure(x);
  CHECK(tool.runs.size() == 1);
  finish(0);
}

TEST_CASE_METHOD(queue_fixture, "queues: whoever ends makes room for the next of its queue or key",
                 "[actors][queues]") {
  queue_request x;
  SECTION("in all") {
    x.concurrency_max = 1;
  }
  SECTION("with its key") {
    x.per_key_max = 1;
  }
  configure(x);
  for (const auto* id : {"a", "b", "c"}) {
    auto one = make_registration(id);
    one.concurrency_key = "k";
    enroll(one);
  }
  REQUIRE(tool.runs.size() == 1);
  finish(0);
  REQUIRE(tool.runs.size() == 2);
  CHECK(tool.runs[1]->info.id == "b");
  finish(1);
  REQUIRE(tool.runs.size() == 3);
  finish(2);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(queue_fixture, "queues: the timekeeper wakes the registry when a rate allows more",
                 "[actors][queues]") {
  queue_request x;
  x.rate = 1;
  x.rate_period_ms = 10'000;
  configure(x);
  for (const auto* id : {"a", "b", "c"}) {
    enroll(make_registration(id));
  }
  CHECK(tool.runs.size() == 1);
  advance(9'990ms);
  CHECK(tool.runs.size() == 1);
  advance(20ms);
  CHECK(tool.runs.size() == 2);
  advance(10'010ms);
  REQUIRE(tool.runs.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    finish(i);
  }
}
