// Children: what is registered for them, what is refused, and what their ends are.
#include "tests/support/workflow_driver.hpp"

using namespace belay;
using namespace belay::tests;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

TEST_CASE("children: are registered with what the code says and what they inherit",
          "[workflow][child]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    registration more;
    more.labels = {{"team", "blue"}};
    auto tool = co_await wf.start(
      "exec", {{"argv", {"true"}}},
      {.queue = "bulk", .timeout = 5s, .close = close_policy::abandon, .more = &more});
    auto flow = co_await wf.start_workflow("album", {{"dir", "x"}}, {.version = 3});
    auto named = co_await wf.start("exec", {}, {.id = "chosen"});
    co_return {tool.id(), flow.id(), named.id()};
  }};
  CHECK(driver.run()->value == R"(["p/exec.1","p/album.1","chosen"])");
  const auto& tool = driver.children.at("p/exec.1");
  CHECK(tool.input == R"({"args":{"argv":["true"]},"tool":"exec","type":"tool_call"})");
  CHECK(tool.kind == "exec");
  CHECK(tool.queue == "bulk");
  CHECK(tool.timeout_ms == 5'000);
  CHECK(tool.close == close_policy::abandon);
  CHECK(tool.labels.at("team") == "blue");
  CHECK(tool.parent == "p");
  CHECK(tool.originator == "session-7");
  CHECK(tool.caused_by == R"({"process_id":"p","type":"process"})");
  CHECK(tool.rule == recovery_rule::rerunnable);
  CHECK_FALSE(validate(tool));
  const auto& flow = driver.children.at("p/album.1");
  CHECK(flow.kind == "album@3");
  CHECK(flow.input == R"({"args":{"dir":"x"},"type":"workflow","version":3,"workflow":"album"})");
}

TEST_CASE("children: ids tell run, branch and ordinal, or are a hash when long",
          "[workflow][child]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    const auto one = [](workflow& w) -> task<json> {
      auto made = co_await w.start("t", {});
      co_return made.id();
    };
    auto [a, b] = co_await when_all(one(wf), one(wf));
    auto c = co_await one(wf);
    co_return {a, b, c};
  }};
  driver.run_number = 2;
  CHECK(driver.run()->value == R"(["p/r2:1.0:t.1","p/r2:1.1:t.1","p/r2:t.1"])");
  workflow_driver deep{driver.code};
  deep.id = std::string(250, 'p');
  static_cast<void>(deep.run());
  CHECK(deep.children.count("wf-" + hash_hex(deep.id + "/t.1")) == 1);
}

TEST_CASE("children: their ends are thrown as failures", "[workflow][child]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    json codes = json::array();
    for (const auto* name : {"failing", "cancelled", "abandoned"}) {
      auto kid = co_await wf.start(name, {});
      try {
        co_await kid;
      } catch (const failure& x) {
        codes.push_back({x.code, to_string(x.kind), x.retryable, x.value});
      }
    }
    co_return codes;
  }};
  driver.tools["failing"] = [](const json&) {
    return make_failure(failure_class::external, "mine", "text", true, "[1]");
  };
  driver.tools["cancelled"] = [](const json&) { return make_cancelled("c"); };
  driver.tools["abandoned"] = [](const json&) { return make_abandoned("a"); };
  CHECK(driver.run()->value
        == R"([["mine","external",true,[1]],["child_cancelled","execution",false,null],)"
           R"(["child_abandoned","execution",false,null]])");
}

TEST_CASE("children: any process can be awaited by its id", "[workflow][child]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    auto other = wf.attach_to("elsewhere");
    co_return co_await other;
  }};
  const auto engine = driver.start();
  engine->advance();
  const auto wants = engine->take_wants();
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].kind == effect_kind::child);
  CHECK(wants[0].name == "elsewhere");
}

TEST_CASE("children: a refusal is thrown at start, and again on replay", "[workflow][child]") {
  const auto code = [](workflow& wf, json /*args*/) -> task<json> {
    json said = json::array();
    for (const auto* name : {"unknown", "not a name"}) {
      try {
        co_await wf.start(name, {});
      } catch (const failure& x) {
        said.push_back(x.what());
      }
    }
    co_await wf.wait_signal("go");
    co_return said;
  };
  workflow_driver driver{code};
  driver.check_child = [](const registration& x) -> std::optional<refusal> {
    return x.kind == "unknown" ? std::optional{refusal{ec::bad_request, "no such tool: unknown"}}
                               : std::nullopt;
  };
  CHECK_FALSE(driver.run());
  driver.check_child = nullptr;
  driver.signals = {{"go", nullptr}};
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK_THAT(ended->value, Contains("no such tool: unknown") && Contains("not a name"));
  CHECK(driver.children.empty());
}

TEST_CASE("children: there is a bound on them", "[workflow][child][limits]") {
  workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
    for (auto i = 0; i < 20; ++i) {
      co_await wf.start("t", {});
    }
    co_return 1;
  }};
  driver.limits.children_max = 10;
  CHECK(driver.run()->code == "children_max");
  CHECK(driver.children.size() == 10);
}

TEST_CASE("children: a large batch makes the code wait for its commit", "[workflow][child]") {
  const auto make = [] {
    workflow_driver driver{[](workflow& wf, json /*args*/) -> task<json> {
      std::vector<child> made;
      for (auto i = 0; i < 25; ++i) {
        made.push_back(co_await wf.start("t", {{"i", i}}));
      }
      auto ends = co_await when_all(made);
      co_return ends.size();
    }};
    driver.limits.batch_children_max = 10;
    return driver;
  };
  auto driver = make();
  const auto engine = driver.start();
  engine->advance();
  CHECK(engine->must_commit());
  CHECK(engine->take_batch().children.size() == 10);
  CHECK(driver.run()->value == "25");
  check_every_crash(make);
}

TEST_CASE("children: the code needs all that one when_all awaits", "[workflow][child]") {
  workflow_driver driver{[](workflow& wf, json args) -> task<json> {
    std::vector<child> made;
    for (auto i = 0; i < 25; ++i) {
      made.push_back(co_await wf.start("t", {{"i", i}}));
    }
    if (args.contains("any")) {
      co_await when_any(made);
    } else if (args.contains("timer")) {
      co_await when_all(when_all(made), wf.sleep(1h));
    } else {
      co_await when_all(made);
    }
    co_return 1;
  }};
  const auto needed = [&driver](const json& args, std::size_t answered) {
    driver.args = args;
    const auto engine = driver.start();
    engine->advance();
    auto batch = engine->take_batch();
    engine->committed();
    engine->advance();
    batch = engine->take_batch();
    engine->committed();
    const auto wants = engine->take_wants();
    for (std::size_t i = 0; i < answered; ++i) {
      engine->complete(wants[i].op, to_json_value(make_success("1")).dump());
    }
    return engine->needed();
  };
  CHECK(needed(json::object(), 0) == 25);
  CHECK(needed(json::object(), 4) == 21);
  CHECK(needed({{"any", true}}, 0) == 1);
  CHECK(needed({{"timer", true}}, 0) == 1);
}
