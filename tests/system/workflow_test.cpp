// Workflows as a person meets them in the shell, most of all where something is wrong.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

using namespace belay;
using nlohmann::json;
using tests::has;
using tests::stop_and_check;

namespace {

struct contrary_fixture {
  tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data",
                           {"workflow.park_after=20ms", "workflow.result_max=1000",
                            "workflow.children_max=50", "worker.cancel_grace=100ms"},
                           BELAY_CONTRARY};

  tests::program_result
  start(const std::string& id, const std::string& what, const json& args = json::object()) {
    return node.ask({"start", "--id", id, what, "--args", args.dump()});
  }

  /// The failure that a process ends with, as `wait` prints it.
  json failure_of(const std::string& id) {
    const auto waited = node.ask({"wait", "--timeout", "60s", "-o", "json", id});
    INFO(waited.out << waited.err);
    REQUIRE(waited.code == 1);
    return json::parse(waited.out).at("outcome");
  }

  json get(const std::string& id) {
    return json::parse(node.ask({"get", "-o", "json", id}).out);
  }

  void until_parked(const std::string& id) {
    while (get(id).at("state") != "waiting") {
    }
  }
};

} // namespace

TEST_CASE_METHOD(contrary_fixture, "workflows: what does not fit is refused before it is written",
                 "[system][workflow]") {
  const auto bad = start("s", "strict", {{"room", {{"beds", "two"}}}});
  CHECK(bad.code == 2);
  CHECK(has(bad.err, "args/room/beds: \"two\" is not acceptable"));
  const auto missing = start("s", "strict");
  CHECK(missing.code == 2);
  CHECK(has(missing.err, "room"));
  CHECK(start("t", "strict_tool", {{"room", 5}}).code == 2);
  const auto several = start("s", "several");
  CHECK(several.code == 2);
  CHECK(has(several.err, "several@1, several@2"));
  const auto blank = start("", "waits");
  CHECK(blank.code == 2);
  CHECK(has(blank.err, "--id"));
  const auto version = start("s", "strict@zero");
  CHECK(version.code == 2);
  CHECK(has(version.err, "expected a tool or WORKFLOW@VERSION"));

  // In a file the line is named, and nothing of its message is there.
  const auto file = (scratch.path() / "many").string();
  std::ofstream{file}
    << R"({"id": "f1", "input": {"type": "workflow", "workflow": "waits", "version": 1, "args": {}}})"
    << '\n'
    << R"({"id": "f2", "input": {"type": "workflow", "workflow": "strict", "version": 1, "args": 7}})"
    << '\n';
  const auto bulk = node.ask({"start", "--file", file});
  CHECK(bulk.code == 2);
  CHECK(has(bulk.err, "line 2: args: 7 is not acceptable"));
  CHECK(json::parse(node.ask({"list", "-o", "json"}).out).at("processes").empty());

  // What nobody here knows is kept for those who do, with a word about it.
  const auto unknown = start("u", "wait");
  CHECK(unknown.code == 0);
  CHECK(has(unknown.err, "no worker of this node offers 'wait'"));
  CHECK(get("u").at("state") == "ready");
}

TEST_CASE_METHOD(contrary_fixture, "workflows: too large, too many, in a circle, unknown",
                 "[system][workflow]") {
  REQUIRE(start("large", "large_result", {{"bytes", 2'000}}).code == 0);
  auto no = failure_of("large");
  CHECK(no.at("class") == "resource_limit");
  CHECK(has(no.at("message"), "1000"));
  CHECK(has(no.at("message"), "workflow.result_max"));
  REQUIRE(start("step", "large_step", {{"bytes", 2'000}}).code == 0);
  CHECK(has(failure_of("step").at("message"), "workflow.result_max"));
  REQUIRE(start("many", "many", {{"children", 51}}).code == 0);
  CHECK(has(failure_of("many").at("message"), "workflow.children_max"));
  REQUIRE(start("knot", "knot").code == 0);
  CHECK(has(failure_of("knot").at("message"), "knot"));
  REQUIRE(start("tool", "calls", {{"tool", "no_such_tool"}, {"with", json::object()}}).code == 0);
  CHECK(has(failure_of("tool").at("message"), "no_such_tool"));
  REQUIRE(start("args", "calls", {{"tool", "strict_tool"}, {"with", {{"room", 5}}}}).code == 0);
  no = failure_of("args");
  CHECK(no.at("code") == "bad_arguments");
  CHECK(has(no.at("message"), "args/room: 5"));
  // What the tool itself refuses, though it fits the schema.
  const json nul{{"argv", {std::string{"tr\0ue", 5}}}};
  REQUIRE(start("nul", "calls", {{"tool", "exec"}, {"with", nul}}).code == 0);
  CHECK(failure_of("nul").at("code") == "bad_arguments");
  stop_and_check(node);
}

TEST_CASE("workflows: on another node they may leave as much behind as on this one",
          "[system][workflow][cluster]") {
  const tests::scratch_directory scratch;
  const auto port = tests::free_port();
  tests::node_process registry{scratch.path() / "data",
                               {"node.port=" + std::to_string(port)},
                               BELAY_CONTRARY,
                               {"--role", "registry"}};
  tests::worker_process worker{port, "far", {"--slots", "1"}, BELAY_CONTRARY};
  while (!has(registry.ask({"nodes"}).out, "hoards@1")) { // Who starts it must know what it is.
  }
  REQUIRE(registry.ask({"start", "--id", "w", "hoards", "--args", R"({"bytes":2000000})"}).code
          == 0);
  CHECK(registry.ask({"wait", "--timeout", "120s", "w"}).code == 0);
  const auto shown = json::parse(registry.ask({"get", "-o", "json", "w"}).out);
  CHECK(shown.at("first_started").at("owner") == "far");
  CHECK(shown.at("attachments").size() == 4);
  CHECK(shown.at("journal_entries") == 5); // Four attached, one slept.
  CHECK(worker.end(SIGTERM) == 0);
}

TEST_CASE_METHOD(contrary_fixture, "signals, journals and attachments from the shell",
                 "[system][workflow]") {
  const auto nobody = node.ask({"signal", "nobody", "go"});
  CHECK(nobody.code == 2);
  CHECK(has(nobody.err, "nobody"));
  REQUIRE(start("w", "waits").code == 0);
  until_parked("w");
  CHECK(get("w").at("status") == json{{"stage", "waiting"}});
  CHECK(has(node.ask({"explain", "w"}).out, "It waits for signal 'go' (number 1), since "));
  const auto broken = node.ask({"signal", "w", "go", "--data", "{\"by\":"});
  CHECK(broken.code == 2);
  CHECK(has(broken.err, "--data: not JSON at byte 6 of 6"));
  CHECK(node.ask({"signal", "w", ""}).code == 2);

  // A signal of another name is kept and wakes nobody; the same key again is the same signal.
  REQUIRE(node.ask({"signal", "w", "other", "--key", "k1"}).code == 0);
  const auto first = node.ask({"signal", "w", "other", "--key", "k1"});
  REQUIRE(first.code == 0);
  CHECK(get("w").at("state") == "waiting");
  const auto differs = node.ask({"signal", "w", "other", "--data", "1", "--key", "k1"});
  CHECK(differs.code != 0);
  CHECK(has(differs.err, "k1"));

  // Killed while it waits, it is found waiting, and the signal still comes through.
  CHECK(node.end(SIGKILL) == 128 + SIGKILL);
  node.start();
  CHECK(get("w").at("state") == "waiting");
  REQUIRE(node.ask({"signal", "w", "go", "--data", R"({"n": [1, 2]})"}).code == 0);
  CHECK(node.ask({"wait", "--timeout", "60s", "w"}).code == 0);
  CHECK(get("w").at("outcome").at("value") == json{{"n", {1, 2}}});

  const auto late = node.ask({"signal", "w", "go"});
  CHECK(late.code != 0);
  CHECK(has(late.err, "'w'"));
  const auto lines = node.ask({"journal", "-o", "json", "w"});
  REQUIRE(lines.code == 0);
  const auto entry = json::parse(lines.out.substr(0, lines.out.find('\n')));
  CHECK(entry.at("kind") == "signal");
  CHECK(entry.at("name") == "go");
  CHECK(entry.at("result").at("payload") == json{{"n", {1, 2}}});
  CHECK(node.ask({"journal", "nobody"}).code == 2);

  const auto said = (scratch.path() / "said").string();
  CHECK(node.ask({"attachment", "w", "said", "--out", said}).code == 0);
  std::ifstream in{said};
  CHECK(json::parse(in) == json{{"n", {1, 2}}});
  const auto twice = node.ask({"attachment", "w", "twice"});
  CHECK(twice.code == 2);
  CHECK(has(twice.err, "give the reference"));
  const auto none = node.ask({"attachment", "w", "none"});
  CHECK(none.code == 2);
  CHECK(has(none.err, "has no attachment 'none'"));
  CHECK(node.ask({"attachment", "w", "said", "--out", "/no/such/folder/x"}).code != 0);
  stop_and_check(node);
}

TEST_CASE_METHOD(contrary_fixture, "doctor: code that does not stop is named until it does",
                 "[system][workflow]") {
  const auto pipe = scratch.path() / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  REQUIRE(start("d", "deaf", {{"pipe", pipe.string()}}).code == 0);
  while (!get("d").contains("status")) {
  }
  CHECK(node.ask({"cancel", "d"}).code == 0);
  CHECK(node.ask({"wait", "--timeout", "60s", "d"}).code == 3);
  const auto asked = node.ask({"doctor", "-o", "json"});
  CHECK(asked.code == 1);
  const auto stuck = json::parse(asked.out).at("stuck_code");
  REQUIRE(stuck.size() == 1);
  CHECK(stuck.at(0).at("id") == "d");
  CHECK(has(node.ask({"doctor"}).out, "STUCK   code of d"));
  std::ofstream{pipe}.close();
  while (node.ask({"doctor"}).code != 0) {
  }
  CHECK(node.ask({"wait", "d"}).code == 3); // What it returned came too late.
}
