// belay queues and queue pause | resume | limit, as a person uses them.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace belay;
using nlohmann::json;
using tests::has;

namespace {

struct queue_fixture {
  tests::scratch_directory scratch;
  std::uint16_t port = tests::free_port();
  tests::node_process node{scratch.path() / "data",
                           {"node.port=" + std::to_string(port), "tools.exec.allow=[\"*\"]",
                            "worker.slots=8", "worker.cancel_grace=200ms"}};

  void start(const std::string& id, const std::vector<std::string>& flags,
             const std::vector<std::string>& program) {
    std::vector<std::string> words{"start", "--id", id, "--queue", "mail"};
    words.insert(words.end(), flags.begin(), flags.end());
    words.insert(words.end(), {"exec", "--"});
    words.insert(words.end(), program.begin(), program.end());
    const auto got = node.ask(words);
    INFO(got.err);
    REQUIRE(got.code == 0);
  }

  void until(const std::string& id, const std::string& state) {
    while (json::parse(node.ask({"get", "-o", "json", id}).out).at("state") != state) {
    }
  }

  std::string why(const std::string& id) {
    return json::parse(node.ask({"explain", "-o", "json", id}).out).at("why");
  }

  json queue() {
    std::istringstream lines{node.ask({"queues", "-o", "json"}).out};
    for (std::string line; std::getline(lines, line);) {
      if (auto x = json::parse(line); x.at("name") == "mail") {
        return x;
      }
    }
    return nullptr;
  }
};

} // namespace

TEST_CASE_METHOD(queue_fixture, "queues: paused, resumed and bounded from the shell, and explained",
                 "[system][cli][queues]") {
  const auto paused = node.ask({"queue", "pause", "mail"});
  CHECK(paused.code == 0);
  CHECK(has(paused.out, "mail  paused"));
  CHECK(has(paused.err, "nothing was ever registered in queue 'mail'"));
  start("a", {"--concurrency-key", "joe"}, {"sleep", "600"});
  CHECK(why("a") == "queue_paused");
  CHECK(queue().at("ready") == 1);
  CHECK(queue().at("limits").at("paused") == true);
  node.end(SIGKILL); // It is kept.
  node.start();
  CHECK(why("a") == "queue_paused");

  REQUIRE(node.ask({"queue", "limit", "mail", "--per-key", "1", "--concurrency", "2"}).code == 0);
  REQUIRE(node.ask({"queue", "resume", "mail"}).code == 0);
  until("a", "running");
  start("b", {"--concurrency-key", "joe"}, {"true"});
  CHECK(why("b") == "key_full");
  CHECK(has(node.ask({"explain", "b"}).out, "with the concurrency key 'joe' as may: 1."));
  CHECK(queue().at("blocked") == 1);
  start("c", {}, {"sleep", "600"});
  until("c", "running");
  start("d", {}, {"true"});
  CHECK(why("d") == "queue_full");
  CHECK(has(node.ask({"explain", "d"}).out, "lets 2 run at once, and 2 do."));
  CHECK(has(node.ask({"explain", "d"}).out, "c on local"));
  REQUIRE(node.ask({"kill", "c"}).code == 0);
  CHECK(node.ask({"wait", "d"}).code == 0);
  REQUIRE(node.ask({"kill", "a"}).code == 0);
  CHECK(node.ask({"wait", "b"}).code == 0);

  start("fails", {}, {"false"});
  CHECK(node.ask({"wait", "fails"}).code == 1);
  CHECK(queue().at("failed_last_hour") == 1);
  CHECK(has(node.ask({"queues"}).out, "mail"));
  tests::stop_and_check(node);
}

TEST_CASE_METHOD(queue_fixture, "queues: a rate holds the next one back until its time",
                 "[system][cli][queues]") {
  REQUIRE(node.ask({"queue", "limit", "mail", "--rate", "1/h"}).code == 0);
  start("a", {}, {"true"});
  CHECK(node.ask({"wait", "a"}).code == 0);
  start("b", {}, {"true"});
  CHECK(why("b") == "rate_limited");
  CHECK(has(node.ask({"queues"}).out, "1/1h"));
  REQUIRE(node.ask({"queue", "limit", "mail", "--rate", "none"}).code == 0);
  CHECK(node.ask({"wait", "b"}).code == 0);
  tests::stop_and_check(node);
}

TEST_CASE_METHOD(queue_fixture, "queues: mistakes are named, and end with 2",
                 "[system][cli][queues]") {
  const auto refused = [this](std::vector<std::string> words, const std::string& text) {
    const auto got = node.ask(words);
    INFO(got.err);
    CHECK(got.code == 2);
    CHECK(has(got.err, text));
  };
  refused({"queue", "limit", "mail"}, "at least one of --concurrency");
  refused({"queue", "limit", "mail", "--rate", "5"}, "--rate: '5' is not acceptable");
  refused({"queue", "limit", "mail", "--rate", "x/s"}, "--rate: 'x/s' is not acceptable");
  refused({"queue", "limit", "mail", "--rate", "5/0s"}, "rate_period_ms: 0");
  refused({"queue", "limit", "mail", "--concurrency", "0"}, "`belay queue pause` stops a queue");
  refused({"queue", "limit", "mail", "--rate", "0/s"}, "--rate: '0' is not acceptable");
  refused({"queue", "limit", "mail", "--concurrency", "-1"}, "--concurrency: '-1'");
  refused({"queue", "limit", "mail", "--per-key", "2000000"}, "per_key_max: 2000000");
  refused({"queue", "limit", "mail", "--burst", "many"}, "--burst: 'many'");
  refused({"queue", "pause", "no queue"}, "queue: \"no queue\"");
  refused({"queue", "stop", "mail"}, "unknown command 'queue stop'");
  refused({"start", "--traceparent", "x", "exec", "--", "true"}, "traceparent: \"x\"");
  CHECK(queue() == nullptr);
  tests::stop_and_check(node);
}
