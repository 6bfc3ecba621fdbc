// A cluster over TLS as a person runs it.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace belay;
using tests::has;
using tests::run_belay;
using tests::stop_and_check;

namespace {

constexpr const char* allow = "tools.exec.allow=[\"*\"]";

struct tls_fixture {
  tls_fixture() {
    REQUIRE(run_belay({"tls", "init", ca}).code == 0);
    issue("registry", "admin");
    issue("w1", "worker");
    issue("anna", "operate");
    issue("bert", "read");
    registry.emplace(
      scratch.path() / "data", std::vector<std::string>{}, BELAY_PROGRAM,
      std::vector<std::string>{"--role", "registry", "--listen", where, "--tls", ca + "/registry"});
    REQUIRE(registry->ask({"nodes"}).code == 0); // It listens.
  }

  void issue(const std::string& name, const std::string& role) const {
    REQUIRE(run_belay({"tls", "issue", ca, name, "--role", role, "-q"}).code == 0);
  }

  tests::program_result as(const std::string& name, std::vector<std::string> arguments) const {
    // Before a `--`, behind which everything is the program's.
    arguments.insert(arguments.begin() + 1, {"--node", where, "--tls", ca + "/" + name});
    return run_belay(arguments);
  }

  std::unique_ptr<tests::worker_process> worker(const std::string& certificate) const {
    return std::make_unique<tests::worker_process>(
      port, "w1", std::vector<std::string>{"--tls", ca + "/" + certificate, "--set", allow});
  }

  tests::scratch_directory scratch;
  std::string ca = (scratch.path() / "ca").string();
  std::uint16_t port = tests::free_port();
  std::string where = "127.0.0.1:" + std::to_string(port);
  std::optional<tests::node_process> registry;
};

} // namespace

TEST_CASE_METHOD(tls_fixture, "tls cluster: a worker joins, work is done, each role does its own",
                 "[system][cluster][tls]") {
  const auto w1 = worker("w1");
  const auto refused = as("bert", {"start", "exec", "--", "true"});
  CHECK(refused.code == 2);
  CHECK(has(refused.err, "'bert' has the role read, and this needs operate"));
  const auto made = as("anna", {"start", "--id", "a", "exec", "--", "echo", "over TLS"});
  CHECK(made.err.empty());
  REQUIRE(made.code == 0);
  const auto waited = as("bert", {"wait", "a"});
  CHECK(waited.code == 0);
  CHECK(has(as("bert", {"get", "-o", "json", "a"}).out, "over TLS"));
  CHECK(has(as("anna", {"prune", "--older-than", "1d"}).err, "and this needs admin"));
  CHECK(as("anna", {"drain", "w1"}).code == 2);
  CHECK(as("registry", {"drain", "w1"}).code == 0);
  // The local node's own certificate is found in its data directory.
  CHECK(registry->ask({"undrain", "w1"}).code == 0);
  CHECK(has(registry->ask({"nodes"}).out, "w1"));
  CHECK(w1->end(SIGTERM) == 0);
  stop_and_check(*registry);
}

TEST_CASE_METHOD(tls_fixture, "tls cluster: who may not come in is told why",
                 "[system][cluster][tls]") {
  const auto plain = run_belay({"nodes", "--node", where, "--connect-timeout", "1ms"});
  CHECK(plain.code == 69);
  CHECK(has(plain.err, "it wants TLS (--tls DIR)"));
  const auto other = ca + "2";
  REQUIRE(run_belay({"tls", "init", other}).code == 0);
  REQUIRE(run_belay({"tls", "issue", other, "eve", "--role", "admin"}).code == 0);
  const auto foreign
    = run_belay({"nodes", "--node", where, "--tls", other + "/eve", "--connect-timeout", "1ms"});
  CHECK(foreign.code == 2); // Trying again would not help.
  CHECK(has(foreign.err, "certificate not accepted"));
  CHECK(std::count(foreign.err.begin(), foreign.err.end(), '\n') == 1);
  const auto none = run_belay({"nodes", "--node", where, "--tls", other});
  CHECK(none.code == 2);
  CHECK(has(none.err, "cert.pem"));
  // Not a name of its certificate, and not this machine without TLS.
  const auto far = run_belay({"nodes", "--node", "192.0.2.1:7400"});
  CHECK(far.code == 2);
  CHECK(has(far.err, "is another machine, expected --tls DIR"));
  // A person's certificate is no node's, and runs no worker.
  const auto nobody
    = run_belay({"node", "--data", (scratch.path() / "e").string(), "--tls", ca + "/bert"});
  CHECK(nobody.code == 2);
  CHECK(has(nobody.err, "'bert' has the role read, expected worker or admin"));
  const auto nothing
    = run_belay({"node", "--data", (scratch.path() / "e2").string(), "--tls", ca + "/nothing"});
  CHECK(nothing.code == 2);
  CHECK_FALSE(std::filesystem::exists(scratch.path() / "e2"));
  const auto rejected = worker("anna");
  CHECK(rejected->end(0) == 69);
}

TEST_CASE("tls cluster: plain connections stay on this machine unless one insists",
          "[system][cluster][tls]") {
  const tests::scratch_directory scratch;
  const auto data = (scratch.path() / "data").string();
  const auto refused = run_belay({"node", "--data", data, "--set", "node.address=0.0.0.0"});
  CHECK(refused.code == 2);
  CHECK(has(refused.err, "beyond this machine TLS is needed"));
  const auto joined = run_belay({"node", "--join", "192.0.2.1:7400"});
  CHECK(joined.code == 2);
  CHECK(has(joined.err, "'192.0.2.1:7400' is another machine"));
  tests::node_process insecure{scratch.path() / "open",
                               {"node.address=0.0.0.0", "cluster.insecure=true"}};
  CHECK(insecure.ask({"nodes"}).code == 0);
  stop_and_check(insecure);
}
