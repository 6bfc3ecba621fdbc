// A registry and workers as real processes on loopback: joined, killed, frozen, drained.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <list>
#include <nlohmann/json.hpp>
#include <set>

using namespace belay;
using nlohmann::json;
using tests::has;
using tests::stop_and_check;

namespace {

struct cluster_fixture {
  tests::scratch_directory scratch;
  std::uint16_t port = tests::free_port();
  tests::node_process registry{scratch.path() / "data",
                               {"cluster.heartbeat_interval=200ms", "cluster.timeout=3s",
                                "lease.ttl=15s", "lease.renew_interval=3s",
                                "node.port=" + std::to_string(port)},
                               BELAY_PROGRAM,
                               {"--role", "registry"}};
  std::list<tests::worker_process> workers;

  tests::worker_process& add(const std::string& name, int slots) {
    return workers.emplace_back(port, name,
                                std::vector<std::string>{"--slots", std::to_string(slots), "--set",
                                                         "tools.exec.allow=[\"*\"]", "--set",
                                                         "worker.cancel_grace=300ms", "--set",
                                                         "cluster.heartbeat_interval=200ms",
                                                         "--set", "cluster.timeout=3s"});
  }

  /// What `nodes` says of a node; null when it is not listed.
  json shown(const std::string& name) {
    std::istringstream lines{registry.ask({"nodes", "-o", "json"}).out};
    for (std::string line; std::getline(lines, line);) {
      auto x = json::parse(line);
      if (x.at("name") == name) {
        return x;
      }
    }
    return nullptr;
  }

  void until_joined(const std::string& name) {
    while (shown(name).is_null()) {
    }
  }

  /// Runs until there is the file `end`.
  void start_long(const std::string& id) {
    const auto end = (scratch.path() / "end").string();
    const auto got = registry.ask({"start", "--id", id, "--env", "MARK=" + mark(), "exec", "--",
                                   "sh", "-c", "until [ -e '" + end + "' ]; do sleep 0.02; done"});
    INFO(got.err);
    REQUIRE(got.code == 0);
  }

  void let_end() {
    std::ofstream{scratch.path() / "end"}.close();
  }

  std::string mark() const {
    return scratch.path().filename().string();
  }

  json get(const std::string& id) {
    return json::parse(registry.ask({"get", "-o", "json", id}).out);
  }

  std::string owner_of(const std::string& id) {
    const auto x = get(id);
    return x.contains("lease") && x["lease"].is_object() ? x["lease"]["owner"].get<std::string>()
                                                         : "";
  }

  void until_owned_by(const std::string& id, const std::string& worker) {
    while (owner_of(id) != worker) {
    }
  }
};

} // namespace

TEST_CASE_METHOD(cluster_fixture, "cluster: a killed worker's process runs on another",
                 "[system][cluster]") {
  auto& first = add("w1", 2);
  until_joined("w1");
  start_long("a");
  until_owned_by("a", "w1");
  add("w2", 2);
  until_joined("w2");
  first.end(SIGKILL);
  until_owned_by("a", "w2");
  CHECK(get("a").at("interruptions") == 1);
  CHECK(shown("w1").is_null());
  first.start();
  until_joined("w1");
  CHECK(shown("w1").at("incarnation") == 2);
  let_end();
  CHECK(registry.ask({"wait", "a"}).code == 0);
  stop_and_check(registry);
}

TEST_CASE_METHOD(cluster_fixture,
                 "cluster: a frozen worker is noticed, and ends what it ran once it goes on",
                 "[system][cluster]") {
  auto& first = add("w1", 2);
  until_joined("w1");
  start_long("a");
  until_owned_by("a", "w1");
  while (tests::processes_with("MARK=" + mark()).empty()) {
  }
  const auto before = tests::processes_with("MARK=" + mark());
  add("w2", 2);
  until_joined("w2");
  first.send(SIGSTOP);
  until_owned_by("a", "w2"); // By the heartbeats, long before the lease would have ended.
  first.send(SIGCONT);
  const auto old_left = [&] {
    const auto now = tests::processes_with("MARK=" + mark());
    return std::any_of(now.begin(), now.end(), [&before](int pid) {
      return std::find(before.begin(), before.end(), pid) != before.end();
    });
  };
  while (old_left()) {
  }
  until_joined("w1");
  CHECK(shown("w1").at("incarnation") == 1);
  CHECK(owner_of("a") == "w2");
  let_end();
  CHECK(registry.ask({"wait", "a"}).code == 0);
  const auto history = registry.ask({"events", "a"}).out;
  CHECK(std::count(history.begin(), history.end(), '\n') == 5);
  stop_and_check(registry);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a killed registry finds its workers at work again",
                 "[system][cluster]") {
  add("w1", 2);
  until_joined("w1");
  start_long("a");
  start_long("b");
  until_owned_by("a", "w1");
  until_owned_by("b", "w1");
  CHECK(registry.end(SIGKILL) == 128 + SIGKILL);
  let_end(); // They end while nobody is there to be told.
  while (!tests::processes_with("MARK=" + mark()).empty()) {
  }
  registry.start();
  CHECK(registry.ask({"wait", "a"}).code == 0);
  CHECK(registry.ask({"wait", "b"}).code == 0);
  CHECK(get("a").at("interruptions") == 0);
  CHECK(shown("w1").at("incarnation") == 1);
  stop_and_check(registry);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: nodes, drain and undrain from the shell",
                 "[system][cluster]") {
  auto& first = add("w1", 1);
  until_joined("w1");
  const auto x = shown("w1");
  CHECK(x.at("role") == "worker");
  CHECK(x.at("state") == "connected");
  CHECK(x.at("slots") == 1);
  CHECK(x.at("round_trip_us").get<int>() > 0);
  CHECK(x.at("kinds").size() == 4);
  CHECK(shown("local").at("role") == "registry");
  const auto table = registry.ask({"nodes"}).out;
  CHECK(has(table, "ROLE"));
  CHECK(has(table, "0/1"));

  start_long("a");
  until_owned_by("a", "w1");
  const auto drained = registry.ask({"drain", "w1", "--timeout", "100ms"});
  INFO(drained.err);
  CHECK(drained.code == 0);
  CHECK(has(drained.out, "w1 is drained; 1 process was given back"));
  CHECK(shown("w1").at("state") == "drained");
  CHECK(get("a").at("state") == "ready");
  CHECK(has(registry.ask({"undrain", "w1"}).out, "w1 claims again"));
  until_owned_by("a", "w1");
  CHECK(has(registry.ask({"undrain", "w1"}).out, "w1 was not drained"));
  const auto nobody = registry.ask({"drain", "w2"});
  CHECK(nobody.code == 2);
  CHECK(has(nobody.err, "no worker 'w2' is connected; did you mean 'w1'?"));

  // A worker that is told to end gives its work time, and says goodbye.
  let_end();
  CHECK(first.end(SIGTERM) == 0);
  CHECK(registry.ask({"wait", "a"}).code == 0);
  CHECK(get("a").at("interruptions") == 0);
  CHECK(shown("w1").is_null());
  stop_and_check(registry);
}

TEST_CASE("cluster: flags that do not go together", "[system][cluster][bad input]") {
  const auto refused = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), "node");
    const auto got = tests::run_belay(std::move(flags));
    CHECK(got.code == 2);
    return got.err;
  };
  CHECK(has(refused({"--role", "worker"}), "--role worker needs --join HOST:PORT"));
  CHECK(has(refused({"--role", "boss"}), "--role: 'boss' is not acceptable"));
  CHECK(has(refused({"--join", "here"}), "--join: 'here' is not an address"));
  CHECK(has(refused({"--join", "127.0.0.1:1", "--data", "/tmp/x"}), "a worker keeps nothing"));
  CHECK(has(refused({"--join", "127.0.0.1:1", "--role", "both"}), "a registry joins nobody"));
  CHECK(has(refused({"--join", "127.0.0.1:1", "--offer", "exek"}), "did you mean 'exec'?"));
  CHECK(has(refused({"--join", "127.0.0.1:1", "--slots", "0"}), "--slots"));
  CHECK(has(refused({"--listen", "127.0.0.1:x"}), "--listen: '127.0.0.1:x' is not an address"));
}

TEST_CASE_METHOD(cluster_fixture,
                 "cluster: a worker that is drained and idle is still drained after "
                 "the registry was away",
                 "[system][cluster]") {
  auto& only = add("w1", 2);
  until_joined("w1");
  REQUIRE(registry.ask({"drain", "w1"}).code == 0);
  registry.end(SIGKILL);
  registry.start();
  until_joined("w1");
  CHECK(shown("w1").at("state") == "drained");
  CHECK(registry.ask({"undrain", "w1"}).code == 0);
  CHECK(shown("w1").at("state") == "connected");
  // One that is frozen is not waited for.
  only.send(SIGSTOP);
  const auto frozen = registry.ask({"drain", "w1", "--timeout", "1s"});
  CHECK(frozen.code == 5);
  CHECK(has(frozen.err, "the worker 'w1' does not answer"));
  only.send(SIGCONT);
  stop_and_check(registry);
}
