// A request to cancel: thrown once, at a place that replay finds again, and code can clean up.
#include "tests/support/workflow_driver.hpp"

using namespace belay;
using namespace belay::tests;
using namespace std::chrono_literals;

namespace {

task<json> compensating(workflow& wf, json /*args*/) {
  co_await wf.call("book", {});
  auto stopped = false;
  try {
    co_await when_all(wf.sleep(24h), wf.wait_signal("never"));
  } catch (const cancellation&) {
    stopped = true;
  }
  if (stopped) {
    auto undone = co_await wf.call("unbook", {{"cancelled", wf.cancelled()}});
    co_await wf.sleep(1s);
    throw cancellation{"undone " + undone.dump()};
  }
  co_return "not cancelled";
}

workflow_driver make_compensating() {
  workflow_driver driver{compensating};
  driver.cancel_at_commit = 2;
  return driver;
}

} // namespace

TEST_CASE("cancel: interrupts what is awaited, and code cleans up", "[workflow][cancel]") {
  auto driver = make_compensating();
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::cancelled);
  CHECK(ended->message == R"(undone {"cancelled":true})");
  CHECK(driver.calls["unbook"] == 1);
  CHECK(driver.count(effect_kind::cancel) == 1);
}

TEST_CASE("cancel: happens at the same place after a crash at any commit",
          "[workflow][cancel][crash]") {
  check_every_crash(make_compensating);
}

TEST_CASE("cancel: the wait that was interrupted says why", "[workflow][cancel]") {
  workflow_driver driver{
    [](workflow& wf, json /*args*/) -> task<json> { co_return co_await wf.wait_signal("never"); }};
  driver.cancel_at_commit = 0;
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::cancelled);
  CHECK(ended->message == "stop it");
  CHECK(driver.run() == ended);
}

TEST_CASE("cancel: asked for before the code runs, the first wait is interrupted",
          "[workflow][cancel]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto step = co_await wf.step("not interrupted", [] { return 1; });
    try {
      co_await wf.sleep(24h);
    } catch (const cancellation&) {
      step = 2;
    }
    auto call = co_await wf.call("echo", {});
    co_return {step, wf.cancelled()};
  }};
  {
    const auto engine = driver.start();
    engine->request_cancel("early");
    engine->request_cancel("again");
    driver.commit(*engine);
  } // Gone before anything was interrupted.
  CHECK(driver.journal.size() == 1);
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(ended->value == "[2,true]");
  CHECK(driver.count(effect_kind::cancel) == 1);
  CHECK(driver.run() == ended);
}

TEST_CASE("cancel: a tool that was interrupted is dropped and not heard", "[workflow][cancel]") {
  workflow_driver driver{
    [](workflow& wf, json /*args*/) -> task<json> { co_return co_await wf.call("slow", {}); }};
  const auto engine = driver.start();
  engine->advance();
  const auto wants = engine->take_wants();
  REQUIRE(wants.size() == 1);
  engine->request_cancel("enough");
  CHECK(engine->take_dropped() == std::vector<std::uint64_t>{wants[0].op});
  engine->complete(wants[0].op, to_json_value(make_success("1")).dump());
  driver.commit(*engine);
  engine->advance();
  CHECK(engine->result()->kind == outcome_kind::cancelled);
}

TEST_CASE("cancel: a result that was there first is delivered first", "[workflow][cancel]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto first = co_await wf.call("slow", {});
    const auto knew = wf.cancelled();
    try {
      co_await wf.call("next", {});
    } catch (const cancellation&) {
      first = "then interrupted";
    }
    co_return {first, knew, wf.cancelled()};
  }};
  const auto engine = driver.start();
  engine->advance();
  engine->complete(engine->take_wants().at(0).op, to_json_value(make_success("1")).dump());
  engine->request_cancel("enough");
  driver.commit(*engine);
  engine->advance();
  CHECK(engine->take_wants().empty());
  driver.commit(*engine);
  engine->advance();
  REQUIRE(engine->result());
  CHECK(engine->result()->value == R"(["then interrupted",false,true])");
  CHECK(driver.run() == engine->result());
}
