// What must not hang on one message, one timer or one moment.
#include "actors/registry/retention.hpp"
#include "actors/running/work_pool.hpp"
#include "actors/workflow/definition.hpp"
#include "tests/support/fake_tool.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/registry_fixture.hpp"

#include <caf/scoped_actor.hpp>
#include <catch2/catch.hpp>
#include <future>

using namespace belay;
using namespace std::chrono_literals;
using tests::make_registration;

namespace {

task<json> waits_and_calls(workflow& wf, json /*args*/) {
  co_await wf.wait_signal("go");
  const belay::arguments none;
  co_return co_await wf.call("fake", none);
}

struct lost_fixture : tests::registry_fixture {
  lost_fixture() {
    box = std::make_shared<running::toolbox>();
    box->add(tool.as_tool("fake"));
    box->add(workflow_definition{"waits", 1, true, waits_and_calls});
    actors::node_setup setup;
    setup.tools = box;
    setup.run_code = [](const process_id&, const std::function<void()>& code) {
      code();
      return running::work_pool::ticket_ptr{};
    };
    setup.registry.ttl_ms = 30'000;
    setup.worker.slots = 1;
    setup.worker.cancel_grace_ms = 10'000;
    setup.worker.renew_interval_ms = 10'000;
    setup.worker.workflow.park_after_ms = 3'600'000;
    registry_fixture::open(std::move(setup), 3);
  }

  ~lost_fixture() {
    close();
  }

  /// Does what another does, of whom no actor here hears.
  void behind_their_backs(operation what) {
    const std::vector<operation> batch{std::move(what)};
    static_cast<void>(store->apply(batch, {time().wall(), [this] { return ++bits; }}));
  }

  [[nodiscard]] std::size_t timers() {
    return sched.clock().schedule().size();
  }

  tests::fake_tool tool;
  std::shared_ptr<running::toolbox> box;
};

} // namespace

TEST_CASE_METHOD(lost_fixture, "cancel: one that was not heard is told with the next renewal",
                 "[actors][cancel]") {
  const auto kill = GENERATE(false, true);
  tool.obeys_cancel = false;
  enroll(make_registration("a"));
  behind_their_backs(cancel_request{"a", "why", kill});
  run();
  CHECK(tool.last().cancels + tool.last().kills == 0);
  advance(10s);
  CHECK(tool.last().cancels == (kill ? 0 : 1));
  CHECK(tool.last().kills == (kill ? 1 : 0));
  advance(10s);
  CHECK(word("a") == "cancelled");
}

TEST_CASE_METHOD(lost_fixture, "cancel: a process that waits for its slot never begins",
                 "[actors][cancel]") {
  const auto kill = GENERATE(false, true);
  auto w = tests::make_declaring("w", {"signal.go"});
  w.kind = "waits@1";
  w.input = R"({"args":{},"type":"workflow","version":1,"workflow":"waits"})";
  enroll(w);
  CHECK(word("w") == "running");
  REQUIRE(
    ask<event>(to.registry, atom::append_v, append_request{"w", "signal.go", "1", "", false, {}}));
  run();
  REQUIRE(tool.runs.size() == 1); // It holds the only slot, which was offered meanwhile.
  enroll(make_registration("a"));
  REQUIRE(word("a") == "running");
  REQUIRE(tool.runs.size() == 1);
  REQUIRE(ask<cancel_receipt>(to.registry, atom::cancel_v, cancel_request{"a", "why", kill}));
  run();
  CHECK(word("a") == "cancelled");
  tool.last().finish(make_success("1"));
  run();
  CHECK(word("w") == "success");
  CHECK(tool.runs.size() == 1);
}

TEST_CASE_METHOD(lost_fixture, "process: the last status is written before the outcome",
                 "[actors][status]") {
  enroll(make_registration("a"));
  auto says = tool.last().callbacks;
  says.status("1");
  says.status("2");
  says.status("3");
  says.attach({"sha256:" + hash_hex("bytes"), "name", "bytes"});
  says = {};
  tool.last().finish(make_success("1"));
  run();
  CHECK(word("a") == "success");
  CHECK(view("a").status_json == "3");
  CHECK(view("a").attachments.size() == 1);
}

TEST_CASE_METHOD(lost_fixture, "worker: alarms that come and go leave no timers behind",
                 "[actors][worker]") {
  enroll(make_registration("first"));
  const auto again = [this](int times) {
    for (int i = 0; i < times; ++i) {
      // The retry's pause, then the run's time.
      advance(1s);
      tool.last().finish(make_failure(failure_class::execution, "c", "m", true));
      run();
      advance(1s);
    }
  };
  tool.last().finish(make_success("1"));
  auto x = make_registration("b");
  x.timeout_ms = 5'000;
  x.retry = {100, 1'000, 1'000};
  enroll(x);
  again(20); // Requests leave theirs for ten seconds, the timekeeper's alarms for thirty.
  const auto before = timers();
  again(20);
  CHECK(tool.runs.size() > 40);
  CHECK(timers() <= before + 3);
}

TEST_CASE_METHOD(lost_fixture, "watcher: waits that come and go leave no timers behind",
                 "[actors][watch]") {
  enroll(make_registration("a"));
  std::vector<std::unique_ptr<caf::scoped_actor>> all;
  const auto wait = [&](duration_ms length) {
    all.push_back(std::make_unique<caf::scoped_actor>(sys));
    (*all.back())->send(to.watcher, atom::wait_v, process_id{"a"}, length);
    run();
  };
  wait(1'000'000);
  for (int i = 0; i < 3; ++i) {
    wait(1'000);
    advance(1s);
  }
  const auto before = timers();
  for (int i = 0; i < 20; ++i) {
    wait(1'000);
    advance(1s);
  }
  CHECK(timers() <= before + 2);
}

TEST_CASE_METHOD(lost_fixture, "watcher: a wait for a wake lasts as long as it was asked to",
                 "[actors][watch]") {
  caf::scoped_actor waits{sys};
  auto asked = waits->request(to.watcher, std::chrono::seconds{3'600}, atom::wakes_v,
                              std::string{"s"}, duration_ms{5'000});
  run();
  advance(4'900ms);
  CHECK_FALSE(waits->has_next_message());
  advance(200ms);
  REQUIRE(waits->has_next_message());
  asked.receive([](const done& x) { CHECK(x.count == 0); },
                [](const caf::error&) { FAIL("refused"); });
}

TEST_CASE("retention: old outcomes are looked for a tenth of their time apart, or half a minute",
          "[actors][prune]") {
  actors::retention_policy x;
  CHECK(x.pause() == 30'000);
  x.success_ms = 24LL * 3'600'000;
  CHECK(x.pause() == 30'000);
  x.failure_ms = 1'000;
  CHECK(x.pause() == 100);
}

TEST_CASE("work pool: what is handed in together runs together", "[actors][running]") {
  constexpr auto patience = 20s;
  running::work_pool pool{2};
  std::promise<void> first;
  std::promise<void> second;
  std::promise<bool> met;
  pool.submit("a", [&] {
    first.set_value();
    met.set_value(second.get_future().wait_for(patience) == std::future_status::ready);
  });
  auto both = first.get_future();
  pool.submit("b", [&] {
    both.wait_for(patience);
    second.set_value();
  });
  CHECK(met.get_future().get());
}
