// Workflows on a whole node: journaled, parked, woken, cancelled, and gone on with after crashes.
#include "tests/support/testing_node.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace belay;
using namespace std::chrono_literals;
using tests::require_sound;

namespace {

/// What the steps and tools of a test have done to the world.
struct world {
  std::map<std::string, int> counts;
  int touch(const std::string& what) {
    return ++counts[what];
  }
};

task<json> album(workflow& wf, json args) {
  auto files = co_await wf.call("list_files", {{"dir", args["dir"]}});
  std::vector<child> made;
  for (auto& file : files) {
    made.push_back(co_await wf.start("convert", {{"file", file}}));
  }
  for (auto& one : made) {
    co_await one;
  }
  auto ok = co_await wf.wait_signal("approved", 24h);
  auto stamp = co_await wf.step("stamp", [] { return std::string{"stamped"}; });
  co_await wf.sleep(30 * 24h);
  co_return {{"files", files.size()}, {"approved", ok.has_value()}, {"stamp", stamp}};
}

void add_album(testing::node& node, world& seen) {
  node
    .tool("list_files",
          [&seen](const json& args) -> json {
            seen.touch("list " + args.at("dir").get<std::string>());
            return {"a.png", "b.png", "c.png"};
          })
    .tool("convert",
          [&seen](const json& args) -> json {
            seen.touch("convert " + args.at("file").get<std::string>());
            return args.at("file");
          })
    .workflow("album", album);
}

} // namespace

TEST_CASE("workflow: tools, children, a signal and a long sleep", "[workflow][node]") {
  world seen;
  testing::node node;
  add_album(node, seen);
  node.start_workflow("a1", "album", {{"dir", "x"}});
  node.run();
  CHECK(seen.counts["convert b.png"] == 1);
  node.advance(2s);
  CHECK(node.get("a1").state == process_state::waiting);
  CHECK(node.get("a1").waiting.until.kind == wait_kind::signal);
  REQUIRE(node.signal("a1", "approved", true));
  node.run();
  CHECK(node.get("a1").waiting.until.kind == wait_kind::timer);
  CHECK_FALSE(node.outcome_of("a1"));
  node.advance(30 * 24h);
  const auto ended = node.outcome_of("a1");
  REQUIRE(ended);
  CHECK(json::parse(ended->value) == json{{"files", 3}, {"approved", true}, {"stamp", "stamped"}});
  CHECK(seen.counts["list x"] == 1);
  require_sound(node);
}

TEST_CASE("workflow: a signal that does not come is nothing after its time-out",
          "[workflow][node]") {
  world seen;
  testing::node node;
  add_album(node, seen);
  node.start_workflow("a1", "album", {{"dir", "x"}});
  node.advance(24h + 1s);
  node.advance(30 * 24h);
  const auto ended = node.outcome_of("a1");
  REQUIRE(ended);
  CHECK(json::parse(ended->value).at("approved") == false);
  require_sound(node);
}

TEST_CASE("workflow: dies before and after each commit, and comes to the same result",
          "[workflow][node][crash][s5-65][s5-66][s5-387]") {
  std::uint64_t commits = 0;
  {
    world seen;
    testing::node node;
    add_album(node, seen);
    node.start_workflow("a1", "album", {{"dir", "x"}});
    node.advance(2s);
    REQUIRE(node.signal("a1", "approved", true));
    node.advance(31 * 24h);
    REQUIRE(node.outcome_of("a1"));
    commits = node.commits();
  }
  REQUIRE(commits > 8);
  for (const auto where : {testing::crash_point::before, testing::crash_point::after}) {
    for (std::uint64_t n = 1; n <= commits; ++n) {
      INFO("commit " << n << (where == testing::crash_point::before ? " before" : " after"));
      world seen;
      testing::node node;
      add_album(node, seen);
      node.crash_at(n, where);
      node.start_workflow("a1", "album", {{"dir", "x"}});
      node.start_workflow("a1", "album", {{"dir", "x"}}); // As a client that had no answer does.
      node.advance(2s);
      static_cast<void>(node.signal("a1", "approved", true, "k"));
      static_cast<void>(node.signal("a1", "approved", true, "k"));
      node.advance(31 * 24h);
      node.advance(31 * 24h);
      const auto ended = node.outcome_of("a1");
      REQUIRE(ended);
      CHECK(json::parse(ended->value)
            == json{{"files", 3}, {"approved", true}, {"stamp", "stamped"}});
      CHECK(node.all().size() == 4);
      // Run again only where its end was not on disk.
      CHECK(seen.counts["list x"] <= 2);
      for (const auto* file : {"convert a.png", "convert b.png", "convert c.png"}) {
        CHECK(seen.counts[file] <= 2);
      }
      require_sound(node);
    }
  }
}

namespace {

task<json> tree(workflow& wf, json args) {
  const auto depth = args.at("depth").get<int>();
  if (depth == 0) {
    co_return 1;
  }
  auto left = co_await wf.start_workflow("tree", {{"depth", depth - 1}, {"side", "left"}});
  auto right = co_await wf.start_workflow("tree", {{"depth", depth - 1}, {"side", "right"}});
  auto both = co_await when_all(left, right);
  co_return std::get<0>(both).get<int>() + std::get<1>(both).get<int>();
}

} // namespace

TEST_CASE("workflow: five generations finish on one slot", "[workflow][node][slots][s5-246][s5-292]"
                                                           "[s5-247]") {
  testing::node_options options;
  options.slots = 1;
  testing::node node{options};
  node.workflow("tree", tree);
  node.start_workflow("root", "tree", {{"depth", 5}});
  node.run();
  const auto ended = node.outcome_of("root");
  REQUIRE(ended);
  CHECK(ended->value == "32");
  require_sound(node);
}

TEST_CASE("workflow: parents that park are woken once all their children have ended",
          "[workflow][node][slots][s5-245]") {
  testing::node_options options;
  options.slots = 1;
  options.park_after = 0ms;
  testing::node node{options};
  node.workflow("tree", tree);
  node.start_workflow("root", "tree", {{"depth", 3}});
  node.run();
  const auto ended = node.outcome_of("root");
  REQUIRE(ended);
  CHECK(ended->value == "8");
  std::size_t resumes = 0;
  for (const auto& x : node.history("root")) {
    resumes += x.type == event_types::resumed ? 1 : 0;
  }
  CHECK(resumes == 1);
  require_sound(node);
}

TEST_CASE("workflow: one that parks at once goes on when its time has come", "[workflow][node]") {
  testing::node_options options;
  options.park_after = 0ms;
  options.turns_max = 20'000;
  testing::node node{options};
  node.workflow("patient", [](workflow& wf, json) -> task<json> {
    co_await wf.sleep(500ms);
    auto late = co_await wf.wait_signal("paid", 500ms);
    auto paid = co_await wf.wait_signal("paid", 500ms);
    co_return json::array({late.has_value(), paid.has_value()});
  });
  node.start_workflow("p", "patient");
  node.advance(1'100ms);
  REQUIRE(node.signal("p", "paid"));
  node.run();
  const auto ended = node.outcome_of("p");
  REQUIRE(ended);
  CHECK(ended->value == "[false,true]");
  require_sound(node);
}

namespace {

task<json> booking(workflow& wf, json) {
  co_await wf.step("book", [] {});
  bool undone = false;
  try {
    co_await wf.wait_signal("paid");
  } catch (const cancellation&) {
    undone = true;
  }
  if (undone) {
    co_await wf.call("undo", {{"what", "booking"}});
    wf.set_status({{"undone", true}});
    throw cancellation{"cancelled, and undone"};
  }
  co_return "paid";
}

} // namespace

TEST_CASE("workflow: a cancelled one that is parked puts right what it has done",
          "[workflow][node][cancel]") {
  world seen;
  testing::node node;
  node.workflow("booking", booking).tool("undo", [&seen](const json&) -> json {
    return seen.touch("undo");
  });
  node.start_workflow("b", "booking");
  node.advance(2s);
  REQUIRE(node.get("b").state == process_state::waiting);
  const auto receipt = node.cancel("b");
  REQUIRE(receipt);
  CHECK(receipt->stage == cancel_stage::requested);
  node.run();
  const auto ended = node.outcome_of("b");
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::cancelled);
  CHECK(seen.counts["undo"] == 1);
  CHECK(node.get("b").status_json == R"({"undone":true})");
  require_sound(node);
}

TEST_CASE("workflow: a kill ends a parked one at once, without its code", "[workflow][cancel]") {
  world seen;
  testing::node node;
  node.workflow("booking", booking).tool("undo", [&seen](const json&) -> json {
    return seen.touch("undo");
  });
  node.start_workflow("b", "booking");
  node.advance(2s);
  REQUIRE(node.cancel("b", true));
  const auto ended = node.outcome_of("b");
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::cancelled);
  CHECK(seen.counts["undo"] == 0);
}

namespace {

task<json> waits_for(workflow& wf, json args) {
  co_return co_await wf.attach_to(args.at("id").get<std::string>());
}

task<json> parent_of_waiter(workflow& wf, json) {
  auto made = co_await wf.start_workflow("waits_for", {{"id", wf.id()}});
  co_return co_await made;
}

} // namespace

TEST_CASE("workflow: a child that awaits its ancestor is told so", "[workflow][node]") {
  testing::node node;
  node.workflow("waits_for", waits_for).workflow("parent", parent_of_waiter);
  node.start_workflow("p", "parent");
  node.advance(10s);
  const auto ended = node.outcome_of("p");
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::failure);
  CHECK(ended->code == "await_refused");
  CHECK(ended->message.find("'p'") != std::string::npos);
  require_sound(node);
}

TEST_CASE("workflow: two that wait for each other are told so", "[workflow][node]") {
  testing::node node;
  node.workflow("waits_for", waits_for);
  node.start_workflow("x", "waits_for", {{"id", "y"}});
  node.start_workflow("y", "waits_for", {{"id", "x"}});
  node.advance(10s);
  const auto x = node.outcome_of("x");
  const auto y = node.outcome_of("y");
  REQUIRE(x);
  REQUIRE(y);
  CHECK(x->kind == outcome_kind::failure);
  CHECK(y->kind == outcome_kind::failure);
}

namespace {

task<json> calls_flaky(workflow& wf, json) {
  call_options often;
  often.retry.attempts = 4;
  often.retry.backoff_ms = 60'000;
  co_return co_await wf.call("flaky", {}, often);
}

} // namespace

TEST_CASE("workflow: a call is tried again after pauses that outlive crashes",
          "[workflow][node][crash]") {
  world seen;
  testing::node node;
  node.workflow("calls_flaky", calls_flaky)
    .tool("flaky", running::tool_function{[&seen](running::tool_context&, const json&) {
            if (seen.touch("flaky") < 3) {
              return make_failure(failure_class::unavailable, "down", "not yet", true);
            }
            return make_success("\"at last\"");
          }});
  node.start_workflow("c", "calls_flaky");
  node.run();
  CHECK(seen.counts["flaky"] == 1);
  node.advance(5s);
  CHECK(node.get("c").state == process_state::waiting);
  node.crash();
  node.advance(50s);
  CHECK(seen.counts["flaky"] == 1);
  node.advance(10s);
  CHECK(seen.counts["flaky"] == 2);
  node.advance(5min);
  const auto ended = node.outcome_of("c");
  REQUIRE(ended);
  CHECK(ended->value == "\"at last\"");
  CHECK(seen.counts["flaky"] == 3);
  require_sound(node);
}

namespace {

task<json> many(workflow& wf, json args) {
  for (int i = 0; i < args.at("count").get<int>(); ++i) {
    co_await wf.start("convert", {{"file", std::to_string(i)}});
  }
  co_return "never";
}

} // namespace

TEST_CASE("workflow: more children than allowed is a clear failure", "[workflow][node]") {
  world seen;
  testing::node_options options;
  options.children_max = 2'000;
  testing::node node{options};
  add_album(node, seen);
  node.workflow("many", many);
  node.start_workflow("m", "many", {{"count", 100'000}});
  node.run();
  const auto ended = node.outcome_of("m");
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::failure);
  CHECK(ended->failed == failure_class::resource_limit);
  INFO(ended->message);
  CHECK(ended->message.find("2000") != std::string::npos);
  require_sound(node);
}

TEST_CASE("workflow: bad input is told at once", "[workflow][node]") {
  testing::node node;
  const auto schema = json::parse(R"({"type": "object", "required": ["room"],
                                      "properties": {"room": {"type": "integer"}}})");
  node.workflow("strict", booking, 1, schema);
  CHECK_THROWS_WITH(node.start_workflow("s", "strict", {{"room", "seven"}}),
                    Catch::Contains("args/room") && Catch::Contains("\"seven\""));
  CHECK(node.all().empty());
  // What was registered where nobody knew the schema ends when it is to run.
  testing::node later;
  later.start_workflow("s", "strict", {{"room", "seven"}});
  later.workflow("strict", booking, 1, schema);
  later.crash();
  later.run();
  const auto ended = later.outcome_of("s");
  REQUIRE(ended);
  CHECK(ended->code == "bad_arguments");
  INFO(ended->message);
  CHECK(ended->message.find("room") != std::string::npos);
}

TEST_CASE("workflow: another version than is offered waits", "[workflow][node]") {
  testing::node node;
  node.workflow("booking", booking, 2);
  node.start_workflow("b1", "booking", {}, 1);
  node.start_workflow("b2", "booking", {}, 2);
  node.run();
  CHECK(node.get("b1").state == process_state::ready);
  CHECK(node.get("b2").attempt == 1);
}

TEST_CASE("workflow: signals are taken in order, early ones too", "[workflow][node][s5-61]") {
  testing::node node;
  node.workflow("collect", [](workflow& wf, json) -> task<json> {
    json got = json::array();
    for (int i = 0; i < 3; ++i) {
      got.push_back(co_await wf.wait_signal("item"));
    }
    co_return got;
  });
  node.start_workflow("c", "collect");
  REQUIRE(node.signal("c", "item", 1));
  REQUIRE(node.signal("c", "item", 2));
  node.run();
  CHECK_FALSE(node.outcome_of("c"));
  node.crash();
  node.run();
  REQUIRE(node.signal("c", "item", 3));
  node.run();
  const auto ended = node.outcome_of("c");
  REQUIRE(ended);
  CHECK(ended->value == "[1,2,3]");
  const auto late = node.signal("c", "item", 4);
  REQUIRE_FALSE(late);
  CHECK(late.why().code == ec::already_terminal);
}

TEST_CASE("workflow: one whose lease was taken writes nothing more", "[workflow][node][lease]") {
  testing::node node;
  node.workflow("booking", booking).tool("undo", [](const json&) -> json { return 0; });
  node.start_workflow("b", "booking");
  node.run();
  const auto before = node.get("b");
  REQUIRE(before.state == process_state::running);
  node.lose_leases();
  node.run();
  CHECK(node.get("b").fence > before.fence);
  REQUIRE(node.signal("b", "paid"));
  node.advance(1min);
  REQUIRE(node.outcome_of("b"));
  require_sound(node);
}
