// Code that no longer matches its journal: told, by name, and nothing goes on.
#include "tests/support/workflow_driver.hpp"

using namespace belay;
using namespace belay::tests;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// Runs `before` until it waits for a signal, then `after` on its journal.
outcome change(const workflow_function& before, const workflow_function& after) {
  workflow_driver driver{before};
  REQUIRE_FALSE(driver.run());
  const auto handed_out = driver.handed_out.size();
  driver.code = after;
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(driver.handed_out.size() == handed_out);
  return *ended;
}

task<json> original(workflow& wf, json /*args*/) {
  co_await wf.step("first", [] { return 1; });
  co_await wf.call("echo", {{"x", 1}});
  co_await wf.step("second", [] { return 2; });
  co_return co_await wf.wait_signal("end");
}

void check_mismatch(const outcome& x) {
  CHECK(x.kind == outcome_kind::failure);
  CHECK(x.failed == failure_class::invalid_request);
  CHECK(x.code == "journal_mismatch");
  CHECK_FALSE(x.retryable);
}

} // namespace

TEST_CASE("mismatch: a step with another name", "[workflow][mismatch]") {
  auto ran = false;
  const auto x = change(original, [&ran](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("primary", [&ran] { ran = true; });
    co_return 1;
  });
  check_mismatch(x);
  CHECK_FALSE(ran);
  CHECK_THAT(x.message, Contains(R"(step "primary" #1 in the main line)"));
  CHECK_THAT(x.message, Contains(R"(step "first" #1 in the main line in that place (entry 1))"));
}

TEST_CASE("mismatch: a step that was removed", "[workflow][mismatch]") {
  const auto x = change(original, [](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("first", [] { return 1; });
    co_await wf.step("second", [] { return 2; });
    co_return co_await wf.wait_signal("end");
  });
  check_mismatch(x);
  CHECK_THAT(x.message, Contains(R"(asks for step "second" #1)"));
  CHECK_THAT(x.message, Contains(R"(has call "echo" #1)"));
}

TEST_CASE("mismatch: a step that was added", "[workflow][mismatch]") {
  auto ran = false;
  const auto x = change(original, [&ran](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("first", [] { return 1; });
    co_await wf.step("first", [&ran] { ran = true; });
    co_return 1;
  });
  check_mismatch(x);
  CHECK_FALSE(ran);
  CHECK_THAT(x.message, Contains(R"(asks for step "first" #2)"));
}

TEST_CASE("mismatch: a step that was added in a new branch is not run", "[workflow][mismatch]") {
  auto ran = false;
  const auto x = change(original, [&ran](workflow& wf, json /*args*/) -> task<json> {
    const auto added = [](workflow& w, bool& flag) -> task<json> {
      co_await w.step("added", [&flag] { flag = true; });
      co_return 1;
    };
    co_await wf.step("first", [] { return 1; });
    co_await when_all(added(wf, ran), added(wf, ran));
    co_return 1;
  });
  check_mismatch(x);
  CHECK_FALSE(ran);
  CHECK_THAT(x.message, Contains(R"(call "echo" #1 in the main line (entry 2))"));
  CHECK_THAT(x.message, Contains(R"(it waits for step "added" #1 in branch "1.)"));
}

TEST_CASE("mismatch: a call with other arguments", "[workflow][mismatch]") {
  const auto x = change(original, [](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("first", [] { return 1; });
    co_await wf.call("echo", {{"x", 2}});
    co_return 1;
  });
  check_mismatch(x);
  const json was{{"tool", "echo"}, {"args", {{"x", 1}}}};
  const json is{{"tool", "echo"}, {"args", {{"x", 2}}}};
  CHECK_THAT(x.message, Contains(hash_hex(was.dump()).substr(0, 32)));
  CHECK_THAT(x.message, Contains(hash_hex(is.dump()).substr(0, 32)));
}

TEST_CASE("mismatch: another kind under the same name", "[workflow][mismatch]") {
  const auto x = change(original, [](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("first", [] { return 1; });
    co_await wf.start("echo", {{"x", 1}});
    co_return 1;
  });
  check_mismatch(x);
  CHECK_THAT(x.message, Contains(R"(asks for start "echo" #1)"));
}

TEST_CASE("mismatch: code that ends before its journal does", "[workflow][mismatch]") {
  const auto x = change(original, [](workflow& wf, json /*args*/) -> task<json> {
    co_return co_await wf.step("first", [] { return 1; });
  });
  check_mismatch(x);
  CHECK_THAT(x.message, Contains(R"(call "echo" #1 in the main line (entry 2))"));
  CHECK_THAT(x.message, Contains("before it ended (success)"));
}

TEST_CASE("mismatch: code that catches everything does not go on", "[workflow][mismatch]") {
  auto events = 0;
  const auto x = change(original, [&events](workflow& wf, json /*args*/) -> task<json> {
    try {
      wf.emit("added", nullptr);
      ++events;
    } catch (...) {
      static_cast<void>(0);
    }
    co_await wf.step("first", [&events] { ++events; });
    co_return 1;
  });
  check_mismatch(x);
  CHECK(events == 0);
  CHECK_THAT(x.message, Contains(R"(emit "added" #1)"));
}

TEST_CASE("patched: old runs keep the old way, new ones take the new", "[workflow][patch]") {
  const auto before = [](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("first", [] { return 1; });
    co_await wf.step("second", [] { return 2; });
    co_await wf.wait_signal("end");
    co_return "old";
  };
  const auto after = [](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("first", [] { return 1; });
    if (wf.patched("faster")) {
      co_await wf.step("both", [] { return 3; });
    } else {
      co_await wf.step("second", [] { return 2; });
    }
    co_await wf.wait_signal("end");
    co_return wf.patched("faster") ? "new" : "old";
  };
  workflow_driver old_run{before};
  CHECK_FALSE(old_run.run());
  old_run.code = after;
  CHECK_FALSE(old_run.run());
  old_run.signals = {{"end", nullptr}};
  CHECK(old_run.run()->value == R"("old")");
  CHECK(old_run.count(effect_kind::patch) == 0);

  const auto make = [&after] {
    workflow_driver driver{after};
    driver.signals = {{"end", nullptr}};
    return driver;
  };
  auto new_run = make();
  CHECK(new_run.run()->value == R"("new")");
  CHECK(new_run.count(effect_kind::patch) == 1);
  check_every_crash(make);
}

TEST_CASE("patched: a run that has not come this far takes the new way", "[workflow][patch]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.wait_signal("go");
    co_return "old";
  }};
  CHECK_FALSE(driver.run());
  driver.code = [](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.wait_signal("go");
    if (wf.patched("more")) {
      co_await wf.step("more", [] { return 1; });
      co_return "new";
    }
    co_return "old";
  };
  driver.signals = {{"go", nullptr}};
  CHECK(driver.run()->value == R"("new")");
}
