// The health of real nodes, in each state that they can be in, and what else the port is asked.
#include "actors/node/client.hpp"
#include "tests/metrics/scrape.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <chrono>
#include <fstream>
#include <memory>

using namespace belay;
using nlohmann::json;
using tests::fetch;
using tests::has;
using tests::until_ready_says;

namespace {

struct node_fixture {
  tests::scratch_directory scratch;

  std::unique_ptr<tests::node_process>
  open(std::vector<std::string> settings, std::vector<std::string> flags = {}) {
    settings.emplace_back("metrics.listen=0");
    settings.emplace_back("tools.exec.allow=[\"*\"]");
    return std::make_unique<tests::node_process>(scratch.path() / "data", settings, BELAY_PROGRAM,
                                                 flags);
  }
};

/// Starts a program that opens two connections, says nothing, and waits for their ends.
int connect_silently(const std::string& address) {
  const auto to = "<>/dev/tcp/127.0.0.1/" + address.substr(address.find(':') + 1);
  return tests::start_program(
    {"/bin/bash", "-c", "exec 3" + to + " 4" + to + "; read x <&3; read x <&4; exit 0"});
}

/// One that has its outcome as soon as it is registered.
std::string bulk_line(int number) {
  return R"({"id": "fill-)" + std::to_string(number)
         + R"(", "input": {"type": "external", "metadata": {}}, "labels": {"x": ")"
         + std::string(250, 'x') + "\"}}\n";
}

} // namespace

TEST_CASE_METHOD(node_fixture, "health: a node is alive and ready, and knows three paths",
                 "[metrics][system]") {
  const auto node = open({});
  const auto told = tests::metrics_of(*node);
  CHECK(until_ready_says(told, 200) == "ready\n");
  const auto alive = fetch(told, "/healthz");
  CHECK(alive.status == 200);
  CHECK(alive.body == "alive\n");
  CHECK(fetch(told, "/metrics").status == 200);
  CHECK(has(fetch(told, "/metrics", {"-I"}).body, "text/plain; version=0.0.4"));
  CHECK(fetch(told, "/").status == 404);
  CHECK(fetch(told, "/metrics/more").status == 404);
  CHECK(fetch(told, "/metrics", {"-X", "POST", "-d", std::string(100'000, 'x')}).status == 405);
  CHECK(fetch(told, "/healthz", {"-X", "DELETE"}).status == 405);
  // Larger than metrics.request_max: refused, and the node goes on.
  CHECK(fetch(told, "/metrics", {"-H", "X-Long: " + std::string(60'000, 'x')}).status != 200);
  CHECK(fetch(told, "/healthz").status == 200);
  tests::stop_and_check(*node);
}

TEST_CASE_METHOD(node_fixture, "health: a node that drains is alive and not ready",
                 "[metrics][system]") {
  const auto node = open({"node.drain_timeout=1h"});
  const auto told = tests::metrics_of(*node);
  const auto end = (scratch.path() / "end").string();
  REQUIRE(node
            ->ask({"start", "--id", "a", "exec", "--", "sh", "-c",
                   "until [ -e '" + end + "' ]; do sleep 0.02; done"})
            .code
          == 0);
  while (json::parse(node->ask({"get", "-o", "json", "a"}).out).at("state") != "running") {
  }
  CHECK(until_ready_says(told, 200) == "ready\n");
  kill(node->os_pid(), SIGTERM);
  CHECK(has(until_ready_says(told, 503), "draining"));
  CHECK(fetch(told, "/healthz").status == 200);
  CHECK(tests::scrape{told}.at("belay_worker_draining") == 1);
  std::ofstream{end}.close();
  CHECK(node->end(0) == 0);
}

TEST_CASE_METHOD(node_fixture, "health: a drained worker is ready again once it may claim",
                 "[metrics][system]") {
  const auto node = open({});
  const auto told = tests::metrics_of(*node);
  CHECK(until_ready_says(told, 200) == "ready\n");
  REQUIRE(node->ask({"drain", "local"}).code == 0);
  CHECK(has(until_ready_says(told, 503), "draining"));
  REQUIRE(node->ask({"undrain", "local"}).code == 0);
  CHECK(until_ready_says(told, 200) == "ready\n");
  tests::stop_and_check(*node);
}

TEST_CASE_METHOD(node_fixture, "health: a full store is read-only until there is room again",
                 "[metrics][system]") {
  const auto node = open({"store.size_max=16MiB"}, {"--role", "registry"});
  const auto told = tests::metrics_of(*node);
  CHECK(until_ready_says(told, 200) == "ready\n");
  tests::program_result got;
  for (int i = 0; got.code == 0; i += 100) {
    std::string bulk;
    for (int k = 0; k < 100; ++k) {
      bulk += bulk_line(i + k);
    }
    got = node->ask({"start", "--quiet", "--file", "-"}, bulk);
  }
  CHECK(has(got.err, "nearly full"));
  CHECK(has(until_ready_says(told, 503), "read-only"));
  CHECK(fetch(told, "/healthz").status == 200);
  const tests::scrape x{told};
  CHECK(x.at("belay_store_nearly_full") == 1);
  CHECK(x.at("belay_requests_refused_total{code=\"store_full\"}") == 1);
  // In small steps: so small a store has no room for a large one.
  std::ifstream file{node->directory() / "node.json"};
  auto client = client::connect("127.0.0.1", json::parse(file).at("port").get<std::uint16_t>());
  REQUIRE(client);
  prune_request step;
  step.before = std::chrono::duration_cast<std::chrono::milliseconds>(
                  std::chrono::system_clock::now().time_since_epoch())
                  .count();
  step.max = 20;
  for (auto more = true; more;) {
    const auto report = (*client)->prune(step);
    INFO((report ? std::string{} : report.why().text));
    REQUIRE(report);
    more = report->more;
    step.after_time = report->after_time;
    step.after_row = report->after_row;
  }
  CHECK(until_ready_says(told, 200) == "ready\n");
  CHECK(tests::scrape{told}.at("belay_store_nearly_full") == 0);
  tests::stop_and_check(*node);
}

TEST_CASE_METHOD(node_fixture,
                 "health: a worker without its registry is not ready until it is back",
                 "[metrics][system]") {
  const auto port = tests::free_port();
  const auto node = open({"node.port=" + std::to_string(port)}, {"--role", "registry"});
  const auto told = "127.0.0.1:" + std::to_string(tests::free_port());
  tests::worker_process worker{port, "w1", {"--set", "metrics.listen=" + told}};
  CHECK(until_ready_says(told, 200) == "ready\n");
  CHECK(node->end(SIGKILL) == 128 + SIGKILL);
  CHECK(has(until_ready_says(told, 503), "cannot be reached"));
  CHECK(fetch(told, "/healthz").status == 200);
  CHECK(tests::scrape{told}.at("belay_worker_enlisted") == 0);
  node->start();
  CHECK(until_ready_says(told, 200) == "ready\n");
  CHECK(worker.end(SIGTERM) == 0);
  tests::stop_and_check(*node);
}

TEST_CASE_METHOD(node_fixture, "health: the port is off unless it is asked for, and loopback only",
                 "[metrics][system]") {
  const tests::scratch_directory other;
  const auto refused = [&](const std::string& listen) {
    const auto got = tests::run_belay(
      {"node", "--data", other.path().string(), "--set", "metrics.listen=" + listen});
    CHECK(got.code == 2);
    return got.err;
  };
  CHECK(has(refused("0.0.0.0:0"), "metrics.insecure"));
  CHECK(has(refused("localhost:1"), "expected IP:PORT"));
  CHECK(has(refused("127.0.0.1:70000"), "expected IP:PORT"));
  CHECK(has(refused("127.0.0.1:"), "expected IP:PORT"));
  const auto node = open({});
  const auto told = tests::metrics_of(*node);
  CHECK(told.rfind("127.0.0.1:", 0) == 0);
  CHECK(has(refused(told), "cannot listen on 127.0.0.1"));
  tests::node_process off{scratch.path() / "off", {}};
  REQUIRE(off.ask({"get", "nobody"}).code == 2);
  std::ifstream in{off.directory() / "node.json"};
  CHECK_FALSE(json::parse(in).contains("metrics"));
}

TEST_CASE_METHOD(node_fixture, "health: it can be told to others, and says so at each start",
                 "[metrics][system]") {
  tests::node_process node{
    scratch.path() / "data",
    {"metrics.listen=0.0.0.0:0", "metrics.insecure=true", "log.level=warn", "log.format=json"}};
  CHECK(fetch(tests::metrics_of(node), "/healthz").status == 200);
}

TEST_CASE_METHOD(node_fixture, "health: connections beyond the bound have to wait",
                 "[metrics][system]") {
  const auto node = open({"metrics.connections_max=2", "metrics.threads=1", "metrics.timeout=5m"});
  const auto told = tests::metrics_of(*node);
  REQUIRE(fetch(told, "/healthz").status == 200);
  const auto silent = connect_silently(told);
  while (fetch(told, "/healthz", {"-m", "1"}).status == 200) {
  }
  CHECK(tests::end_program(silent, SIGKILL) == 128 + SIGKILL);
  while (fetch(told, "/healthz", {"-m", "1"}).status != 200) {
  }
  tests::stop_and_check(*node);
}

TEST_CASE_METHOD(node_fixture, "health: connections that say nothing are closed",
                 "[metrics][system]") {
  const auto node = open({"metrics.timeout=1s"});
  const auto told = tests::metrics_of(*node);
  REQUIRE(fetch(told, "/healthz").status == 200);
  // It ends when both of its connections have ended.
  CHECK(tests::end_program(connect_silently(told), 0) == 0);
  CHECK(fetch(told, "/healthz").status == 200);
  tests::stop_and_check(*node);
}
