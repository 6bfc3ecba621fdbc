// when_all and when_any: results, failures, losers, and the same order on replay.
#include "tests/support/workflow_driver.hpp"

using namespace belay;
using namespace belay::tests;
using namespace std::chrono_literals;

namespace {

task<json> double_of(workflow& wf, int number) {
  auto got = co_await wf.call("echo", {{"n", number}});
  co_return got["n"].get<int>() * 2;
}

task<void> quiet(workflow& wf, std::string name) {
  co_await wf.call(name, {});
}

outcome broken(const json& /*args*/) {
  return make_failure(failure_class::external, "broken", "it broke", true, R"({"exit":3})");
}

/// Destroyed with the frame it is in.
struct tell_tale {
  explicit tell_tale(int& counter) : ended{counter} {}
  tell_tale(const tell_tale&) = delete;
  tell_tale& operator=(const tell_tale&) = delete;
  ~tell_tale() {
    ++ended;
  }
  int& ended;
};

} // namespace

TEST_CASE("when_all: gives the results of all kinds of things in their places",
          "[workflow][join]") {
  const auto make = [] {
    return workflow_driver{[](workflow& wf, json /*args*/) -> task<json> {
      auto kid = co_await wf.start("echo", {{"kid", true}});
      auto [a, b, c, d]
        = co_await when_all(double_of(wf, 4), quiet(wf, "echo"), wf.call("echo", {{"x", 1}}), kid);
      static_assert(std::is_same_v<decltype(b), std::monostate>);
      co_return {{"a", a}, {"c", c}, {"d", d}};
    }};
  };
  auto driver = make();
  CHECK(driver.run()->value == R"({"a":8,"c":{"x":1},"d":{"kid":true}})");
  check_every_crash(make);
}

TEST_CASE("when_all: takes a vector of any length, and an empty one at once", "[workflow][join]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    std::vector<task<json>> none;
    auto nothing = co_await when_all(std::move(none));
    std::vector<task<json>> many;
    for (auto i = 0; i < 100; ++i) {
      many.push_back(double_of(wf, i));
    }
    auto doubled = co_await when_all(std::move(many));
    std::vector<effect<json>> calls;
    for (auto i = 0; i < 3; ++i) {
      calls.push_back(wf.call("echo", {{"i", i}}));
    }
    auto called = co_await when_all(calls);
    co_return {nothing.size(), doubled.size(), doubled[99], called[2]["i"]};
  }};
  CHECK(driver.run()->value == "[0,100,198,2]");
}

TEST_CASE("when_all: waits for all, then throws what failed first", "[workflow][join]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    try {
      co_await when_all(wf.wait_signal("late"), wf.call("second", {}), wf.call("first", {}));
    } catch (const failure& x) {
      co_return {{"code", x.code}, {"cancelled", wf.cancelled()}};
    }
    co_return "no failure";
  }};
  driver.tools["first"] = broken;
  driver.tools["second"]
    = [](const json&) { return make_failure(failure_class::external, "later", "", false); };
  const auto engine = driver.start();
  engine->advance();
  auto wants = engine->take_wants();
  REQUIRE(wants.size() == 3);
  engine->complete(wants[2].op, to_json_value(broken({})).dump());
  engine->complete(wants[1].op, to_json_value(driver.tools["second"]({})).dump());
  driver.commit(*engine);
  engine->advance();
  CHECK_FALSE(engine->result());
  engine->complete(wants[0].op, R"({"seq":1,"payload":null})");
  driver.commit(*engine);
  engine->advance();
  REQUIRE(engine->result());
  CHECK(engine->result()->value == R"({"cancelled":false,"code":"broken"})");
}

TEST_CASE("when_any: gives the first and destroys the frames of the others", "[workflow][join]") {
  static int ended = 0;
  static int after = 0;
  ended = 0;
  after = 0;
  const auto loser = [](workflow& wf) -> task<json> {
    tell_tale told{ended};
    co_await wf.call("slow", {});
    ++after;
    co_return "lost";
  };
  workflow_driver driver{[loser](workflow& wf, json /*args*/) -> task<json> {
    auto first = co_await when_any(loser(wf), wf.wait_signal("go"), wf.sleep(1h));
    const auto ended_by_then = ended;
    auto payload = std::get<1>(first.value);
    co_return {{"index", first.index}, {"payload", payload}, {"ended", ended_by_then}};
  }};
  const auto engine = driver.start();
  engine->advance();
  CHECK(engine->must_commit()); // The timer's deadline.
  driver.commit(*engine);
  const auto wants = engine->take_wants();
  REQUIRE(wants.size() == 3);
  const auto& signal = *std::find_if(
    wants.begin(), wants.end(), [](const auto& one) { return one.kind == effect_kind::signal; });
  engine->complete(signal.op, R"({"seq":1,"payload":"now"})");
  driver.commit(*engine);
  engine->advance();
  REQUIRE(engine->result());
  CHECK(engine->result()->value == R"({"ended":1,"index":1,"payload":"now"})");
  CHECK(after == 0);
  CHECK(engine->take_dropped().size() == 2);
  // What comes of a loser afterwards is not heard.
  engine->complete(wants[0].op, to_json_value(make_success("1")).dump());
  CHECK_FALSE(engine->is_dirty());

  ended = 0;
  const auto again = driver.start();
  again->advance();
  CHECK(again->result() == engine->result());
  CHECK(again->take_wants().empty());
  CHECK(ended == 1);
}

TEST_CASE("when_any: of one type the value is of that type", "[workflow][join]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    std::vector<task<json>> many;
    many.push_back(double_of(wf, 1));
    many.push_back(double_of(wf, 2));
    auto one = co_await when_any(std::move(many));
    auto two = co_await when_any(double_of(wf, 3), double_of(wf, 4));
    static_assert(std::is_same_v<decltype(two.value), json>);
    co_return {one.index, one.value, two.index, two.value};
  }};
  CHECK(driver.run()->value == "[0,2,0,6]");
}

TEST_CASE("when_any: a signal that a loser had got goes to the next wait", "[workflow][join]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto first = co_await when_any(wf.call("echo", {}), wf.wait_signal("s"));
    auto next = co_await wf.wait_signal("s");
    co_return {first.index, next};
  }};
  const auto engine = driver.start();
  engine->advance();
  const auto wants = engine->take_wants();
  REQUIRE(wants.size() == 2);
  engine->complete(wants[0].op, to_json_value(make_success("{}")).dump());
  engine->complete(wants[1].op, R"({"seq":1,"payload":"kept"})");
  CHECK(engine->is_taken("s", 1));
  driver.commit(*engine);
  engine->advance();
  CHECK_FALSE(engine->is_taken("s", 1));
  const auto again = engine->take_wants();
  REQUIRE(again.size() == 1);
  CHECK(again[0].ordinal == 1);
  driver.signals = {{"s", "kept"}};
  CHECK(driver.run()->value == R"([0,"kept"])");
}

TEST_CASE("when_any: an effect that lost can be awaited again", "[workflow][join]") {
  const auto make = [] {
    workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
      auto stop = wf.wait_signal("stop");
      auto rounds = 0;
      for (;; ++rounds) {
        auto first = co_await when_any(stop, wf.call("echo", {{"round", rounds}}));
        if (first.index == 0 || rounds == 5) {
          break;
        }
      }
      auto said = co_await stop;
      co_return {rounds, said};
    }};
    return driver;
  };
  auto driver = make();
  CHECK_FALSE(driver.run()); // Waits for the signal, in the end.
  CHECK(driver.count(effect_kind::signal) == 1);
  CHECK(driver.count(effect_kind::call) == 6);
  CHECK(std::count(driver.handed_out.begin(), driver.handed_out.end(), "stop") == 1);
  driver.signals = {{"stop", "please"}};
  CHECK(driver.run()->value == R"([5,"please"])");
}

TEST_CASE("joins: nest, each branch with entries of its own", "[workflow][join]") {
  const auto make = [] {
    return workflow_driver{[](workflow& wf, json /*args*/) -> task<json> {
      const auto inner = [](workflow& w, int base) -> task<json> {
        auto [a, b] = co_await when_all(double_of(w, base), double_of(w, base + 1));
        co_return {a, b};
      };
      auto [x, y] = co_await when_all(inner(wf, 10), inner(wf, 20));
      auto z = co_await when_any(when_all(double_of(wf, 1), double_of(wf, 2)), wf.sleep(24h));
      co_return {x, y, z.index};
    }};
  };
  auto driver = make();
  CHECK(driver.run()->value == "[[20,22],[40,42],0]");
  std::set<std::string> scopes;
  for (const auto& one : driver.journal) {
    scopes.insert(one.scope);
  }
  CHECK(
    scopes
    == std::set<std::string>{"", "1.0/1.0", "1.0/1.1", "1.1/1.0", "1.1/1.1", "2.0/1.0", "2.0/1.1"});
  check_every_crash(make);
}

TEST_CASE("joins: results in any order are replayed in the order in which they came",
          "[workflow][join][replay]") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    std::vector<int> order;
    workflow_driver driver{[&order](workflow& wf, json /*args*/) -> task<json> {
      const auto one = [](workflow& w, std::vector<int>& seen, int number) -> task<json> {
        co_await double_of(w, number);
        seen.push_back(number);
        co_await double_of(w, number);
        seen.push_back(number + 100);
        co_return number;
      };
      std::vector<task<json>> all;
      for (auto i = 0; i < 6; ++i) {
        all.push_back(one(wf, order, i));
      }
      co_await when_all(std::move(all));
      co_return order;
    }};
    driver.random.emplace(seed);
    driver.at_start = [&order] { order.clear(); };
    const auto ended = driver.run();
    REQUIRE(ended);
    const auto commits = driver.commits;
    CHECK(driver.run() == ended);
    CHECK(driver.commits == commits);
  }
}
