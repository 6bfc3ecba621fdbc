// belay tree, inspect and explain against running nodes.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

using namespace belay;
using nlohmann::json;
using tests::has;

namespace {

struct look_fixture {
  tests::scratch_directory scratch;
  std::uint16_t port = tests::free_port();
  tests::node_process node{scratch.path() / "data",
                           {"node.port=" + std::to_string(port), "tools.exec.allow=[\"*\"]",
                            "worker.slots=1", "worker.cancel_grace=200ms", "cluster.timeout=60s",
                            "cluster.heartbeat_interval=1s"}};

  void start(const std::string& id, const std::vector<std::string>& flags,
             const std::vector<std::string>& program) {
    std::vector<std::string> words{"start", "--id", id};
    words.insert(words.end(), flags.begin(), flags.end());
    words.insert(words.end(), {"exec", "--"});
    words.insert(words.end(), program.begin(), program.end());
    const auto got = node.ask(words);
    INFO(got.err);
    REQUIRE(got.code == 0);
  }

  void until_runs(const std::string& id) {
    while (!has(node.ask({"get", id}).out, "lease")) {
    }
  }

  std::map<std::string, json> tree() {
    std::map<std::string, json> all;
    const auto got = node.ask({"tree", "-o", "json"});
    CHECK(got.code == 0);
    std::istringstream lines{got.out};
    for (std::string line; std::getline(lines, line);) {
      auto x = json::parse(line);
      const auto name = x.at("name").get<std::string>();
      all[name] = std::move(x);
    }
    return all;
  }

  json explained(const std::string& id) {
    const auto got = node.ask({"explain", "-o", "json", id});
    INFO(got.err);
    REQUIRE(got.code == 0);
    return json::parse(got.out);
  }
};

} // namespace

TEST_CASE_METHOD(look_fixture, "look: the tree has every actor, and each its state",
                 "[system][cli][look]") {
  start("a", {}, {"sleep", "600"});
  until_runs("a");
  const auto all = tree();
  for (const auto* name : {"node", "registry", "timekeeper", "watcher", "reader-1", "reader-2",
                           "membership", "local/sweeper", "local/process/a", "local/keeper/a"}) {
    INFO(name);
    REQUIRE(all.count(name) == 1);
    CHECK(all.at(name).at("answered") == true);
  }
  CHECK(all.at("local/keeper/a").at("depth") == 3);
  CHECK(all.at("local/keeper/a").at("state").at("left_ms") > 0);
  CHECK(all.at("local/sweeper").at("state").at("busy") == 1);
  const auto drawn = node.ask({"tree"}).out;
  CHECK(has(drawn, "├─ registry  "));
  CHECK(has(drawn, "   └─ local/process/a  "));
  CHECK(has(drawn, "      └─ local/keeper/a  "));

  CHECK(has(node.ask({"inspect", "registry"}).out, "\"commits\": "));
  const auto of_process = node.ask({"inspect", "a"});
  CHECK(has(of_process.out, "local/process/a\n"));
  CHECK(has(of_process.out, "\"renewals\": "));
  const auto keeper = node.ask({"inspect", "local/keeper/a"});
  CHECK(has(keeper.out, "local/keeper/a\n"));
  CHECK_FALSE(has(keeper.out, "local/process/a\n"));
  CHECK(node.ask({"inspect", "local/keeper/b"}).code == 2);
  const auto none = node.ask({"inspect", "regisry"});
  CHECK(none.code == 2);
  CHECK(has(none.err, "'regisry' is no actor and no process; did you mean 'registry'?"));
  const std::vector<std::vector<std::string>> silenced{
    {"tree", "-q"},          {"inspect", "-q", "a"},  {"explain", "-q", "a"},
    {"timeline", "-q", "a"}, {"top", "-q", "--once"}, {"queues", "-q", "-o", "json"},
    {"nodes", "-q"}};
  for (const auto& quiet : silenced) {
    const auto got = node.ask(quiet);
    INFO(quiet.front());
    CHECK(got.code == 0);
    CHECK(got.out.empty());
    CHECK(got.err.empty());
  }
  const auto page = node.ask({"timeline", "--html", "-", "a"});
  CHECK(page.out.starts_with("<!doctype html>"));
  CHECK(page.out.ends_with("</html>\n"));
  REQUIRE(node.ask({"kill", "a"}).code == 0);
  REQUIRE(node.ask({"wait", "a"}).code == 3);
  CHECK(has(node.ask({"inspect", "a"}).out, "'a' has no actor: it is cancelled"));
  tests::stop_and_check(node);
}

TEST_CASE_METHOD(look_fixture,
                 "look: a worker that does not answer is shown so, and holds up nobody",
                 "[system][cluster][look]") {
  tests::worker_process worker{port, "w1", {"--slots", "2", "--set", "cluster.timeout=60s"}};
  while (tree().count("w1/uplink") == 0) {
  }
  worker.send(SIGSTOP);
  const auto all = tree();
  CHECK(all.at("w1/sweeper").at("answered") == false);
  CHECK(all.at("local/sweeper").at("answered") == true);
  CHECK(all.at("registry").at("answered") == true);
  CHECK(has(node.ask({"tree"}).out, "w1/sweeper  does not answer"));
  worker.send(SIGCONT);
  while (tree().at("w1/sweeper").at("answered") == false) {
  }
  CHECK(worker.end(SIGTERM) == 0);
}

TEST_CASE_METHOD(look_fixture, "look: every state that is not an end is explained",
                 "[system][cli][explain]") {
  start("later", {"--due", "2099-01-01T00:00:00Z"}, {"true"});
  CHECK(explained("later").at("why") == "delayed");
  start("a", {}, {"sleep", "600"});
  until_runs("a");
  CHECK(explained("a").at("why") == "running");
  start("b", {}, {"true"});
  const auto full = explained("b");
  CHECK(full.at("why") == "slots_full");
  CHECK(has(full.dump(), "a on local"));
  const auto text = node.ask({"explain", "b"}).out;
  CHECK(has(text, "All slots of the workers that offer 'exec' are taken.\n  workers  "));
  const auto path = (scratch.path() / "jobs").string();
  std::ofstream{path}
    << R"({"id": "unserved", "input": {"type": "workflow", "workflow": "album",)"
       R"( "version": 2, "args": {}}})"
    << '\n'
    << R"({"id": "outside", "rule": "externally_owned", "input": {"type": "external"}})" << '\n';
  const auto made = node.ask({"start", "--file", path});
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(explained("unserved").at("why") == "no_worker");
  CHECK(explained("outside").at("why") == "external");
  const auto unknown = node.ask({"explain", "nobody"});
  CHECK(unknown.code == 2);
  CHECK(has(unknown.err, "nobody"));

  // Killed with what it runs until that is quarantined.
  while (explained("a").at("why") != "quarantined") {
    if (explained("a").at("why") == "running") {
      node.end(SIGKILL);
      node.start();
    }
  }
  const auto held = explained("a");
  CHECK(held.at("why") == "quarantined");
  CHECK(has(held.dump(), "on local: "));
  tests::stop_and_check(node);
}
