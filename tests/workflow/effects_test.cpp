// Single effects: what they ask of the driver, what they journal, and their bounds.
#include "tests/support/workflow_driver.hpp"

using namespace belay;
using namespace belay::tests;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

TEST_CASE("effects: nothing happens until they are awaited", "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto never = wf.call("never", {});
    auto later = wf.call("later", {{"n", 1}});
    auto sooner = wf.call("later", {{"n", 2}});
    auto a = co_await sooner;
    auto b = co_await later;
    auto again = co_await later;
    co_return {a, b, again};
  }};
  CHECK(driver.run()->value == R"([{"n":2},{"n":1},{"n":1}])");
  CHECK(driver.calls["later"] == 2);
  CHECK(driver.calls["never"] == 0);
  CHECK(driver.journal[0].ordinal == 2);
  CHECK(driver.run()->value == R"([{"n":2},{"n":1},{"n":1}])");
}

TEST_CASE("effects: a call carries its policy, and what was noted comes back",
          "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    co_return co_await wf.call("tool", {{"x", 1}},
                               {.retry = {.attempts = 5}, .timeout = 7s, .name = "mine"});
  }};
  const auto engine = driver.start();
  engine->advance();
  CHECK_FALSE(engine->must_commit()); // A lone call.
  CHECK(engine->is_dirty());
  const auto wants = engine->take_wants();
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].name == "tool");
  CHECK(wants[0].args == json{{"x", 1}});
  CHECK(wants[0].retry.attempts == 5);
  CHECK(wants[0].timeout_ms == 7'000);
  CHECK(wants[0].state.is_null());
  engine->note(wants[0].op, R"({"attempt":2})");
  driver.commit(*engine);
  CHECK(driver.journal.at(0).name == "mine");
  CHECK(driver.journal.at(0).done == 0);
  const auto again = driver.start();
  again->advance();
  CHECK(again->take_wants().at(0).state == json{{"attempt", 2}});
}

TEST_CASE("effects: a timer's deadline is absolute and survives", "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.sleep(10s);
    co_await wf.sleep_until(std::chrono::sys_time<std::chrono::milliseconds>{2'000s});
    co_return 1;
  }};
  const auto engine = driver.start();
  engine->advance();
  CHECK(engine->must_commit());
  driver.commit(*engine);
  driver.clock += 3'000;
  const auto again = driver.start();
  again->advance();
  CHECK_FALSE(again->must_commit());
  const auto wants = again->take_wants();
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].kind == effect_kind::timer);
  CHECK(wants[0].deadline == 1'010'000);
  CHECK(driver.run()->value == "1");
  CHECK(driver.clock == 2'000'000);
}

TEST_CASE("effects: calls wait for the commit of values, and so do steps", "[workflow][effect]") {
  static int steps = 0;
  steps = 0;
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    wf.emit("before.call", {{"at", wf.now().time_since_epoch().count()}});
    co_await wf.call("echo", {});
    wf.emit("before.step", nullptr);
    co_await wf.step("step", [] { ++steps; });
    co_return 1;
  }};
  const auto engine = driver.start();
  engine->advance();
  CHECK(engine->must_commit());
  CHECK(engine->take_wants().empty());
  auto batch = engine->take_batch();
  CHECK(batch.entries.size() == 3);
  CHECK(batch.events.size() == 1);
  CHECK(batch.events[0].entry == 2);
  CHECK(engine->take_wants().empty()); // Taken, but not on disk yet.
  engine->committed();
  const auto wants = engine->take_wants();
  REQUIRE(wants.size() == 1);
  engine->complete(wants[0].op, to_json_value(make_success("1")).dump());
  batch = engine->take_batch();
  engine->committed();
  engine->advance();
  CHECK(engine->must_commit());
  CHECK(steps == 0);
  batch = engine->take_batch();
  CHECK(batch.entries.size() == 2); // The event, and the step that waits.
  engine->committed();
  engine->advance();
  CHECK(steps == 1);
}

TEST_CASE("effects: events, attachments and status go along once", "[workflow][effect]") {
  const auto make = [] {
    return workflow_driver{[](workflow& wf, json /*args*/) -> task<json> {
      wf.set_status({{"stage", 1}});
      wf.emit("progress", {{"percent", 10}});
      auto ref = wf.attach("some bytes", "notes.txt");
      co_await wf.call("echo", {});
      wf.set_status({{"stage", 2}});
      auto again = wf.attach("some bytes");
      co_return {ref, ref == again};
    }};
  };
  auto driver = make();
  CHECK(driver.run()->value == "[\"sha256:" + hash_hex("some bytes") + "\",true]");
  CHECK(driver.status == R"({"stage":2})");
  REQUIRE(driver.events.size() == 1);
  CHECK(driver.events[0].type == "progress");
  REQUIRE(driver.attachments.size() == 2);
  CHECK(driver.attachments[0].name == "notes.txt");
  check_every_crash(make);
}

TEST_CASE("effects: random numbers are the same on replay and differ between runs",
          "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto first = wf.random();
    auto second = wf.random();
    co_await wf.call("echo", {});
    co_return {first, second, wf.random()};
  }};
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(driver.run() == ended);
  workflow_driver next{driver.code};
  next.run_number = 1;
  CHECK(next.run() != ended);
}

TEST_CASE("effects: the log is silent on replay", "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    wf.log("one");
    co_await wf.call("echo", {});
    wf.log("two");
    co_await wf.wait_signal("go");
    wf.log("three");
    co_return wf.attempt();
  }};
  CHECK_FALSE(driver.run());
  CHECK(driver.logs == std::vector<std::string>{"one", "two"});
  driver.signals = {{"go", nullptr}};
  CHECK(driver.run()->value == "2");
  CHECK(driver.logs == std::vector<std::string>{"one", "two", "three"});
}

TEST_CASE("effects: signals are taken in order, each by one wait", "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto [a, b] = co_await when_all(wf.wait_signal("s"), wf.wait_signal("s"));
    auto late = co_await wf.wait_signal("t", 1s);
    auto c = co_await wf.wait_signal("s");
    co_return {a, b, c, late.has_value()};
  }};
  {
    const auto engine = driver.start();
    engine->advance();
    const auto wants = engine->take_wants();
    REQUIRE(wants.size() == 2);
    CHECK(wants[0].ordinal == 1);
    CHECK(wants[1].ordinal == 2);
  }
  driver.signals = {{"s", 1}, {"s", 2}, {"s", 3}};
  CHECK(driver.run()->value == "[1,2,3,false]");
}

TEST_CASE("effects: exceptions pass through tasks and end the workflow", "[workflow][effect]") {
  const auto inner = [](workflow& wf, json what) -> task<json> {
    if (what == "failure") {
      co_await wf.step("broken", [] {
        throw failure(failure_class::unavailable, "away", "gone away", true, {{"tries", 3}});
      });
    }
    if (what == "exception") {
      co_await wf.step("broken", [] { throw std::runtime_error{"oh"}; });
    }
    co_return co_await wf.call("echo", {});
  };
  workflow_driver driver{
    [inner](workflow& wf, json args) -> task<json> { co_return co_await inner(wf, args["what"]); }};
  driver.args = {{"what", "failure"}};
  auto ended = driver.run();
  CHECK(ended
        == make_failure(failure_class::unavailable, "away", "gone away", true, R"({"tries":3})"));
  CHECK(driver.run() == ended);
  workflow_driver other{driver.code};
  other.args = {{"what", "exception"}};
  CHECK(other.run() == make_failure(failure_class::execution, "exception", "oh", false));
  workflow_driver fails_to_begin{
    [](workflow&, json) -> task<json> { throw std::logic_error{"no"}; }};
  CHECK(fails_to_begin.run()->message == "no");
}

TEST_CASE("effects: a step gives any type that JSON converts", "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    const std::vector<std::string> words = co_await wf.step("words", [] {
      return std::vector<std::string>{"a", "b"};
    });
    const int number = co_await wf.step("number", [] { return 7; });
    const std::string text = co_await wf.step("text", [] { return "seven"; });
    co_await wf.step("nothing", [] {});
    const std::string long_enough(100, 'x');
    auto named = [long_enough] { return long_enough.size(); };
    const std::size_t size = co_await wf.step("named", named);
    co_return {words, number, text, size};
  }};
  CHECK(driver.run()->value == R"([["a","b"],7,"seven",100])");
}

TEST_CASE("effects: the code of a step cannot ask for effects", "[workflow][effect]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    co_await wf.step("bad", [&wf] { return wf.random(); });
    co_return 1;
  }};
  CHECK_THAT(driver.run()->message, Contains("the code of a step"));
}

TEST_CASE("limits: a result that is too large is a failure instead", "[workflow][limits]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    json codes = json::array();
    for (auto way = 0; way < 5; ++way) {
      try {
        if (way == 0) {
          co_await wf.call("large", {});
        } else if (way == 1) {
          co_await wf.step("large", [] { return std::string(200, 'x'); });
        } else if (way == 2) {
          wf.emit("large", std::string(200, 'x'));
        } else if (way == 3) {
          wf.set_status(std::string(200, 'x'));
        } else {
          wf.attach(std::string(200, 'x'), "large");
        }
      } catch (const failure& x) {
        codes.push_back(x.code);
      }
    }
    const auto same = codes
                      == json::array({"result_too_large", "result_too_large", "too_large",
                                      "too_large", "too_large"});
    co_return same ? json(std::string(200, 'y')) : codes;
  }};
  driver.limits.result_bytes_max = 180;
  driver.limits.event_bytes_max = 180;
  driver.limits.status_bytes_max = 180;
  driver.limits.attachment_bytes_max = 180;
  driver.tools["large"]
    = [](const json&) { return make_success(json(std::string(200, 'x')).dump()); };
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(ended->code == "result_too_large");
  CHECK_THAT(ended->message, Contains("the workflow has 202 bytes"));
}

TEST_CASE("limits: a name that is too long is a failure that shows it", "[workflow][limits]") {
  workflow_driver driver{[](workflow& wf, json args) -> task<json> {
    const std::string name(args.at("bytes").get<std::size_t>(), 'n');
    co_return co_await wf.step(name, [] { return 1; });
  }};
  driver.args = {{"bytes", 256}};
  CHECK(driver.run()->value == "1");
  workflow_driver long_name{driver.code};
  long_name.args = {{"bytes", 257}};
  const auto ended = long_name.run();
  CHECK(ended->code == "bad_name");
  CHECK(ended->message.find("257 bytes") != std::string::npos);
}

TEST_CASE("limits: a full journal is a failure", "[workflow][limits]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    for (auto i = 0; i < 20; ++i) {
      co_await wf.step("one", [] {});
    }
    co_return 1;
  }};
  driver.limits.journal_max = 10;
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(ended->code == "journal_full");
  CHECK(ended->failed == failure_class::resource_limit);
  CHECK(driver.journal.size() == 10);
  CHECK(driver.run() == ended);
}

TEST_CASE("engine: a loop over what is ready needs no stack", "[workflow][engine]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    const auto at_once = [](int x) -> task<json> { co_return x; };
    auto ready = wf.step("ready", [] { return 1; });
    auto sum = 0;
    for (auto i = 0; i < 100'000; ++i) {
      sum += co_await ready;
    }
    for (auto i = 0; i < 100'000; ++i) {
      auto one = co_await at_once(1);
      sum += one.get<int>();
    }
    for (auto i = 0; i < 10'000; ++i) {
      auto first = co_await when_any(ready, ready);
      sum += first.value;
    }
    co_return sum;
  }};
  CHECK(driver.run()->value == "210000");
}

TEST_CASE("engine: 100,000 recorded effects are replayed", "[workflow][engine]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto sum = 0;
    for (auto i = 0; i < 100'000; ++i) {
      sum += co_await wf.step("s", [] { return 1; });
    }
    co_return sum;
  }};
  const auto one = to_json_value(make_success("1")).dump();
  for (std::uint32_t i = 1; i <= 100'000; ++i) {
    driver.journal.push_back({i, effect_kind::step, "", "s", i, "", i, one});
  }
  CHECK(driver.run()->value == "100000");
}

TEST_CASE("engine: destroyed while things are pending it leaves nothing behind",
          "[workflow][engine]") {
  static int alive = 0;
  struct counted {
    counted() {
      ++alive;
    }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    explicit counted(workflow& x) : wf{&x} {
      ++alive;
    }
    ~counted() {
      --alive;
      if (wf != nullptr) {
        wf->emit("from.a.destructor", nullptr);
      }
    }
    workflow* wf = nullptr;
  };
  const auto part = [](workflow& wf, std::string signal) -> task<json> {
    counted here{wf};
    co_return co_await wf.wait_signal(signal);
  };
  workflow_driver driver{[part](workflow& wf, json /*args*/) -> task<json> {
    counted here;
    auto not_begun = part(wf, "z");
    co_await when_all(part(wf, "a"), when_any(part(wf, "b"), wf.sleep(1h)), wf.call("c", {}));
    co_return 1;
  }};
  const auto check = [&driver](int rounds) {
    auto engine = driver.start();
    for (auto i = 0; i < rounds; ++i) {
      engine->advance();
    }
    engine.reset();
    CHECK(alive == 0);
  };
  check(0);
  check(1);
  check(2);
}
