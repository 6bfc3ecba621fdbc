// Links that are cut by dropped packets: hosts of their own, TLS between them.
#include "tests/support/network.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

using namespace belay;
using nlohmann::json;

namespace {

/// A registry on host 0, workers w1 and w2 on hosts 1 and 2.
struct partition_fixture {
  partition_fixture() {
    const auto settings
      = std::vector<std::string>{"cluster.heartbeat_interval=200ms", "cluster.timeout=1s",
                                 "lease.ttl=6s", "lease.renew_interval=2s"};
    REQUIRE(tests::run_belay({"tls", "init", ca}).code == 0);
    issue({"registry", "--role", "admin", "--host", net.address(0)});
    registry = std::make_unique<tests::node_process>(
      scratch.path() / "data", settings, net.on(0, BELAY_PROGRAM),
      std::vector<std::string>{"--role", "registry", "--listen", where, "--tls", ca + "/registry"});
    for (int i = 1; i <= 2; ++i) {
      const auto name = "w" + std::to_string(i);
      issue({name, "--role", "worker"});
      std::vector<std::string> flags{"--slots", "2",
                                     "--tls",   ca + "/" + name,
                                     "--set",   "tools.exec.allow=[\"*\"]",
                                     "--set",   "worker.cancel_grace=300ms"};
      for (const auto& one : settings) {
        flags.insert(flags.end(), {"--set", one});
      }
      worker.push_back(
        std::make_unique<tests::worker_process>(where, name, flags, net.on(i, BELAY_PROGRAM)));
      until([&] { return !shown(name).is_null(); });
      if (i == 1) {
        start_long();
      }
    }
  }

  void issue(std::vector<std::string> words) const {
    words.insert(words.begin(), {"tls", "issue", ca, "-q"});
    REQUIRE(tests::run_belay(words).code == 0);
  }

  /// Asks again and again; the test's own time-out is the bound.
  template <class F>
  static void until(F holds) {
    while (!holds()) {
    }
  }

  /// What `nodes` says of a worker that answers; null when there is none.
  json shown(const std::string& name) const {
    std::istringstream lines{registry->ask({"nodes", "-o", "json"}).out};
    for (std::string line; std::getline(lines, line);) {
      auto x = json::parse(line);
      if (x.at("name") == name && x.at("state") == "connected") {
        return x;
      }
    }
    return nullptr;
  }

  /// Runs until there is the file `end`; each run leaves a line in `runs`.
  void start_long() {
    const auto directory = scratch.path().string();
    const auto got
      = registry->ask({"start", "--id", "a", "--env", "MARK=" + mark(), "exec", "--", "sh", "-c",
                       "echo run >> '" + directory + "/runs'; until [ -e '" + directory
                         + "/end' ]; do sleep 0.02; done"});
    INFO(got.err);
    REQUIRE(got.code == 0);
    until([this] { return owner() == "w1" && !marked().empty(); });
  }

  void let_end() const {
    std::ofstream{scratch.path() / "end"}.close();
  }

  [[nodiscard]] std::string mark() const {
    return scratch.path().filename().string();
  }

  [[nodiscard]] std::vector<int> marked() const {
    return tests::processes_with("MARK=" + mark());
  }

  [[nodiscard]] json get() const {
    return json::parse(registry->ask({"get", "-o", "json", "a"}).out);
  }

  [[nodiscard]] std::string owner() const {
    const auto x = get();
    return x.contains("lease") && x["lease"].is_object() ? x["lease"]["owner"].get<std::string>()
                                                         : "";
  }

  [[nodiscard]] int runs() const {
    std::ifstream lines{scratch.path() / "runs"};
    int count = 0;
    for (std::string line; std::getline(lines, line);) {
      ++count;
    }
    return count;
  }

  tests::scratch_directory scratch;
  std::string ca = (scratch.path() / "ca").string();
  tests::network net{3};
  std::string where = net.address(0) + ":7400";
  std::unique_ptr<tests::node_process> registry;
  std::vector<std::unique_ptr<tests::worker_process>> worker;
};

/// Says why nothing is tested where the machine does not let us.
bool skipped() {
  if (tests::network::possible()) {
    return false;
  }
  WARN("not tested: no network namespaces here (root and `ip` are needed)");
  return true;
}

} // namespace

TEST_CASE("partition: a worker that is cut off loses its work to another, ends it, and comes back",
          "[system][cluster][partition]") {
  if (skipped()) {
    return;
  }
  partition_fixture x;
  const auto before = x.marked();
  x.net.cut(1);
  x.until([&] { return x.owner() == "w2"; });
  CHECK(x.shown("w1").is_null());
  // The worker behind the cut ends what it ran, on its own clock.
  x.until([&] {
    const auto now = x.marked();
    return std::none_of(before.begin(), before.end(), [&now](int old) {
      return std::find(now.begin(), now.end(), old) != now.end();
    });
  });
  x.net.heal(1);
  x.until([&] { return !x.shown("w1").is_null(); });
  CHECK(x.shown("w1").at("incarnation") == 1);
  x.let_end();
  CHECK(x.registry->ask({"wait", "a"}).code == 0);
  CHECK(x.get().at("interruptions") == 1);
  CHECK(x.runs() == 2);
  for (const auto& one : x.worker) {
    CHECK(one->end(SIGTERM) == 0);
  }
  tests::stop_and_check(*x.registry);
}

TEST_CASE("partition: work that ended while the registry was cut off is delivered in time",
          "[system][cluster][partition]") {
  if (skipped()) {
    return;
  }
  partition_fixture x;
  x.net.cut(0);
  x.let_end();
  x.until([&] { return x.marked().empty(); });
  x.net.heal(0);
  // The link had no time to be given up, or the lease was void: either way there is one outcome.
  CHECK(x.registry->ask({"wait", "a"}).code == 0);
  CHECK(x.get().at("state") == "success");
  CHECK(x.runs() <= 2);
  tests::stop_and_check(*x.registry);
}
