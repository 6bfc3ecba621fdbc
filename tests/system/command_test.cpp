// The commands as a newcomer types them.
#include "messages/time.hpp"
#include "tests/support/program.hpp"
#include "tests/support/scratch_directory.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

using namespace belay;
using tests::run_belay;

namespace {

struct node_fixture {
  tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data",
                           {"tools.exec.allow=[\"*\"]", "worker.cancel_grace=300ms"}};
};

} // namespace

TEST_CASE_METHOD(node_fixture, "start and wait: the exit code tells the outcome", "[system][cli]") {
  CHECK(node.ask({"start", "--id", "good", "exec", "--", "true"}).out == "good\n");
  CHECK(node.ask({"wait", "good"}).code == 0);
  CHECK(node.ask({"start", "--id", "bad", "exec", "--", "sh", "-c", "exit 3"}).code == 0);
  CHECK(node.ask({"wait", "bad"}).code == 1);
  CHECK(node.ask({"start", "--id", "long", "exec", "--", "sleep", "600"}).code == 0);
  CHECK(node.ask({"wait", "--timeout", "50ms", "long"}).code == 5);
  CHECK(node.ask({"cancel", "long", "--reason", "enough"}).code == 0);
  CHECK(node.ask({"wait", "long"}).code == 3);
  CHECK(node.ask({"wait", "nobody"}).code == 2);
}

TEST_CASE("node: port 0 of --listen is any that is free", "[system][cli]") {
  tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data", {}, BELAY_PROGRAM, {"--listen", "127.0.0.1:0"}};
  CHECK(node.ask({"nodes"}).code == 0);
  CHECK(node.end(SIGTERM) == 0);
}

TEST_CASE_METHOD(node_fixture, "node: a signal that means nothing to it changes nothing",
                 "[system][cli]") {
  REQUIRE(node.ask({"nodes"}).code == 0);
  kill(node.os_pid(), SIGUSR1);
  CHECK(node.ask({"nodes"}).code == 0);
  CHECK(node.end(SIGTERM) == 0);
}

TEST_CASE_METHOD(node_fixture, "start: the same again is the same process", "[system][cli]") {
  const std::vector<std::string> same{"start", "-o", "json", "--id", "one", "exec", "--", "true"};
  const auto first = nlohmann::json::parse(node.ask(same).out);
  const auto second = nlohmann::json::parse(node.ask(same).out);
  CHECK(first.at("created") == true);
  CHECK(second.at("created") == false);
  CHECK(first.at("row") == second.at("row"));
  const auto other = node.ask({"start", "--id", "one", "exec", "--", "false"});
  CHECK(other.code == 2);
  CHECK(other.err.find("stored hash") != std::string::npos);
}

TEST_CASE_METHOD(node_fixture, "kill: ends a program that ignores SIGTERM", "[system][cli]") {
  REQUIRE(node
            .ask({"start", "--id", "deaf", "exec", "--stream", "--", "sh", "-c",
                  "trap '' TERM; echo up; while :; do sleep 1; done"})
            .code
          == 0);
  for (std::string seen; seen.find("exec.stdout") == std::string::npos;) {
    seen = node.ask({"events", "deaf"}).out;
  }
  CHECK(node.ask({"kill", "deaf"}).code == 0);
  CHECK(node.ask({"wait", "deaf"}).code == 3);
  const auto shown = nlohmann::json::parse(node.ask({"get", "-o", "json", "deaf"}).out);
  CHECK(shown.at("outcome").at("value").at("signal") == "SIGKILL");
  CHECK(shown.at("kill_requested") == true);
}

TEST_CASE_METHOD(node_fixture, "get, list and events: show what happened", "[system][cli]") {
  REQUIRE(node.ask({"start", "--id", "a", "--label", "team=x", "exec", "--", "echo", "hi"}).code
          == 0);
  REQUIRE(
    node.ask({"start", "--id", "b", "--in", "1h", "--queue", "slow", "exec", "--", "true"}).code
    == 0);
  REQUIRE(node.ask({"wait", "a"}).code == 0);
  const auto a = nlohmann::json::parse(node.ask({"get", "a", "-o", "json"}).out);
  CHECK(a.at("state") == "success");
  CHECK(a.at("outcome").at("value").at("stdout") == "hi\n");
  CHECK(a.at("registration").at("labels").at("team") == "x");
  CHECK(a.at("registration").at("rule") == "rerunnable");
  const auto ids = [this](std::vector<std::string> filter) {
    filter.insert(filter.begin(), {"list", "-o", "json"});
    std::vector<std::string> found;
    const auto page = nlohmann::json::parse(node.ask(filter).out);
    for (const auto& x : page.at("processes")) {
      found.push_back(x.at("id"));
    }
    return found;
  };
  using strings = std::vector<std::string>;
  CHECK(ids({}) == strings{"b", "a"});
  CHECK(ids({"--state", "delayed"}) == strings{"b"});
  CHECK(ids({"--state", "success"}) == strings{"a"});
  CHECK(ids({"--queue", "slow"}) == strings{"b"});
  CHECK(ids({"--kind", "echo"}).empty());
  CHECK(ids({"--limit", "1"}) == strings{"b"});
  const auto page = nlohmann::json::parse(node.ask({"list", "-o", "json", "--limit", "1"}).out);
  CHECK(ids({"--after", page.at("next")}) == strings{"a"});
  const auto history = node.ask({"events", "a", "--follow"}).out;
  CHECK(history.find("process.registered") < history.find("process.started"));
  CHECK(history.find("process.started") < history.find("process.completed"));
}

TEST_CASE_METHOD(node_fixture, "start: a bulk file with one bad line registers none of its message",
                 "[system][cli]") {
  const std::string good = R"({"id": "g1", "input": {"type": "tool_call", "tool": "echo"}})";
  const std::string bad
    = R"({"id": "g2", "input": {"type": "tool_call", "tool": "echo"}, "quue": 1})";
  const auto refused = node.ask({"start", "--file", "-"}, good + "\n" + bad + "\n" + good + "\n");
  CHECK(refused.code == 2);
  CHECK(refused.err.find("line 2") != std::string::npos);
  CHECK(refused.err.find("did you mean 'queue'") != std::string::npos);
  CHECK(node.ask({"get", "g1"}).code == 2);
}

TEST_CASE_METHOD(node_fixture, "retries: a failing program is run again", "[system][cli]") {
  REQUIRE(node
            .ask({"start", "--id", "again", "--retries", "2", "--backoff", "10ms", "fail", "--args",
                  R"({"times": 2, "retryable": true})"})
            .code
          == 0);
  CHECK(node.ask({"wait", "again"}).code == 0);
  const auto x = nlohmann::json::parse(node.ask({"get", "again", "-o", "json"}).out);
  CHECK(x.at("attempt") == 3);
  CHECK(x.at("failures") == 2);
}

TEST_CASE_METHOD(node_fixture, "timeout: an attempt that takes too long fails", "[system][cli]") {
  REQUIRE(
    node.ask({"start", "--id", "slow", "--timeout", "50ms", "exec", "--", "sleep", "600"}).code
    == 0);
  const auto waited = node.ask({"wait", "slow"});
  CHECK(waited.code == 1);
  CHECK(waited.out.find("timed_out") != std::string::npos);
}

TEST_CASE_METHOD(node_fixture, "node: SIGTERM drains and a stopped node is said to be gone",
                 "[system][cli]") {
  REQUIRE(node.ask({"start", "--id", "short", "exec", "--", "sleep", "0.3"}).code == 0);
  CHECK(node.end(SIGTERM) == 0);
  const auto gone = run_belay(
    {"get", "--data", (scratch.path() / "data").string(), "--connect-timeout", "1ms", "short"});
  CHECK(gone.code == 69);
  CHECK(gone.err.find("no node runs") != std::string::npos);
  node.start();
  CHECK(node.ask({"wait", "short"}).code == 0);
  const auto x = nlohmann::json::parse(node.ask({"get", "short", "-o", "json"}).out);
  CHECK(x.at("interruptions") == 0);
}

TEST_CASE_METHOD(node_fixture, "wait and follow: go on when the node is killed and started again",
                 "[system][cli][s5-240][s5-389]") {
  const auto end = (scratch.path() / "end").string(); // The program ends once there is such a file.
  REQUIRE(node
            .ask({"start", "--id", "long", "exec", "--", "sh", "-c",
                  "until [ -e '" + end + "' ]; do sleep 0.01; done"})
            .code
          == 0);
  auto waited = std::async(std::launch::async, [this] { return node.ask({"wait", "long"}); });
  auto followed = std::async(std::launch::async, [this] {
    return node.ask({"events", "--follow", "long"});
  });
  for (std::string seen; seen.find("process.started") == std::string::npos;) {
    seen = node.ask({"events", "long"}).out;
  }
  node.end(SIGKILL);
  node.start();
  std::ofstream{end}.close();
  CHECK(waited.get().code == 0);
  const auto history = followed.get();
  CHECK(history.code == 0);
  // Neither gap nor repeat: registered, started, interrupted, started, completed.
  CHECK(std::count(history.out.begin(), history.out.end(), '\n') == 5);
}

TEST_CASE_METHOD(node_fixture, "start: a tool that nobody offers is pointed out", "[system][cli]") {
  const auto got = node.ask({"start", "--id", "x", "slep"});
  CHECK(got.code == 0);
  CHECK(got.err.find("did you mean 'sleep'?") != std::string::npos);
}

TEST_CASE_METHOD(node_fixture, "ids: one that begins with a dash stands behind --",
                 "[system][cli]") {
  REQUIRE(node.ask({"start", "--id", "-dash", "exec", "--", "true"}).code == 0);
  CHECK(node.ask({"wait", "--", "-dash"}).code == 0);
  CHECK(node.ask({"get", "--", "-dash"}).out.find("-dash") != std::string::npos);
  CHECK(node.ask({"get", "--", "another"}).code == 2);
}

TEST_CASE_METHOD(node_fixture, "retries: a pause longer than the usual longest is meant",
                 "[system][cli]") {
  REQUIRE(
    node.ask({"start", "--id", "late", "--retries", "1", "--backoff", "1h", "exec", "--", "false"})
      .code
    == 0);
  const auto view = [this] {
    return nlohmann::json::parse(node.ask({"get", "-o", "json", "late"}).out);
  };
  while (view().at("failures") == 0) {
  }
  const auto x = view();
  const auto at
    = [&x](const char* key) { return parse_time(x.at(key).get<std::string>()).value(); };
  CHECK(at("due_at") - at("created_at") > 40 * 60'000); // An hour, give or take a fifth.
}

TEST_CASE("run: one program, its output and its outcome", "[system][cli]") {
  const auto good = run_belay({"run", "--", "sh", "-c", "echo out; echo err >&2"});
  CHECK(good.code == 0);
  CHECK(good.out == "out\n");
  CHECK(good.err == "err\n");
  CHECK(run_belay({"run", "--", "false"}).code == 1);
  CHECK(run_belay({"run", "--timeout", "50ms", "--", "sleep", "600"}).code == 1);
  const auto missing = run_belay({"run", "--", "no-such-program"});
  CHECK(missing.code == 1);
  CHECK(missing.err.find("there is no program 'no-such-program'") != std::string::npos);
  const auto shown = nlohmann::json::parse(run_belay({"run", "-o", "json", "--", "true"}).out);
  CHECK(shown.at("outcome").at("value").at("exit_code") == 0);
}

TEST_CASE("run: with a data directory the same id is run once", "[system][cli]") {
  const tests::scratch_directory scratch;
  const auto log = (scratch.path() / "log").string();
  const std::vector<std::string> once{"run",  "--data", (scratch.path() / "data").string(),
                                      "--id", "once",   "--",
                                      "sh",   "-c",     "echo x >> " + log + "; echo done"};
  CHECK(run_belay(once).out == "done\n");
  CHECK(run_belay(once).out == "done\n");
  CHECK(tests::run_program({"cat", log}).out == "x\n");
}

TEST_CASE("help: every command explains itself with an example", "[system][cli]") {
  for (const auto* command :
       {"node", "start", "wait", "get", "list", "events", "cancel", "kill", "run", "config"}) {
    const auto help = run_belay({command, "--help"});
    CAPTURE(command);
    CHECK(help.code == 0);
    CHECK(help.out.find("Example: belay ") != std::string::npos);
  }
}
