// SIGHUP: certificates and log levels are read again while the node runs.
#include "actors/gate/certificates.hpp"
#include "actors/node/client.hpp"
#include "tests/gate/sockets.hpp"
#include "tests/service/service_process.hpp"
#include "tests/support/shell.hpp"

#include <fstream>

using namespace belay;
using tests::has;
using tests::run_belay;
using tests::service_process;

namespace {

struct reload_fixture {
  reload_fixture() {
    REQUIRE(run_belay({"tls", "init", ca}).code == 0);
    issue("db", "admin");
    issue("anna", "admin");
    configure("warn");
  }

  void
  issue(const std::string& name, const std::string& role, const std::string& place = "") const {
    const auto to = ca + "/" + (place.empty() ? name : place);
    std::filesystem::remove_all(to);
    REQUIRE(run_belay({"tls", "issue", ca, name, "--role", role, "--out", to, "-q"}).code == 0);
  }

  void configure(const std::string& level, const std::string& more = "") const {
    std::ofstream{conf} << "[log]\nlevel = '" << level << "'\n" << more << "\n";
  }

  [[nodiscard]] std::unique_ptr<service_process> registry() const {
    auto x = std::make_unique<service_process>(
      std::vector<std::string>{"--data", data, "--role", "registry", "--listen", where, "--tls",
                               ca + "/db", "--conf", conf},
      0);
    x->notice_with("READY");
    return x;
  }

  /// The certificate that a node shows now.
  [[nodiscard]] std::string shown() const {
    const auto ours = gates::tls_files_in(ca + "/anna");
    return tests::bare_tls{port, &ours}.shown_fingerprint();
  }

  [[nodiscard]] std::string in_file() const {
    return gates::read_certificate(ca + "/db/cert.pem")->fingerprint;
  }

  static void reload(service_process& x) {
    x.send(SIGHUP);
    x.notice_with("RELOADING");
    x.notice_with("READY");
  }

  tests::scratch_directory scratch;
  std::string ca = (scratch.path() / "ca").string();
  std::string data = (scratch.path() / "data").string();
  std::string conf = (scratch.path() / "belay.toml").string();
  std::uint16_t port = tests::free_port();
  std::string where = "127.0.0.1:" + std::to_string(port);
};

} // namespace

TEST_CASE_METHOD(reload_fixture, "reload: new connections get the new certificate, old ones go on",
                 "[service][tls]") {
  const auto node = registry();
  const auto first = in_file();
  CHECK(shown() == first);
  actors::client_options options;
  options.tls = ca + "/anna";
  options.reconnect_for_ms = 0; // A connection that breaks stays broken.
  auto before = actors::client::connect("127.0.0.1", port, options);
  REQUIRE(before);
  issue("db", "admin");
  const auto second = in_file();
  REQUIRE(second != first);
  CHECK(shown() == first);
  configure("info");
  reload(*node);
  CHECK(shown() == second);
  CHECK(has(node->log_line("config.reloaded").at("tls"), "/ca/db"));
  CHECK((*before)->counts());
  CHECK(actors::client::connect("127.0.0.1", port, options));
  CHECK(node->end(SIGTERM) == 0);
}

TEST_CASE_METHOD(reload_fixture, "reload: what is not acceptable is refused, and the node goes on",
                 "[service][tls]") {
  const auto node = registry();
  const auto good = in_file();
  const auto refused = [&](const std::string& why) {
    node->send(SIGHUP);
    node->notice_with("RELOADING");
    const auto notice = node->notice_with("READY");
    const std::string said = node->log_line("config.refused").at("why");
    CAPTURE(said);
    CHECK(has(said, why));
    CHECK(has(notice.at("STATUS"), "the last reload was refused: "));
    CHECK(shown() == good);
  };
  SECTION("a certificate that is none") {
    std::ofstream{ca + "/db/cert.pem"} << "nonsense";
    refused("cert.pem");
  }
  SECTION("a key of another certificate") {
    std::filesystem::copy_file(ca + "/anna/key.pem", ca + "/db/key.pem",
                               std::filesystem::copy_options::overwrite_existing);
    refused("key.pem: is not the key of");
  }
  SECTION("a certificate that is not a node's") {
    issue("db", "read");
    refused("expected worker or admin");
  }
  SECTION("a configuration that is none") {
    configure("loud");
    refused("log.level");
  }
  SECTION("no configuration") {
    std::filesystem::remove(conf);
    refused("cannot read the configuration file");
  }
  CHECK(node->end(SIGTERM) == 0);
}

TEST_CASE_METHOD(reload_fixture, "reload: log levels count at once, other settings are named",
                 "[service]") {
  const auto node = registry();
  configure("warn",
            "levels = ['node=info', 'gate=debug']\n[worker]\nslots = 7\n[lease]\nttl = '1m'");
  reload(*node);
  CHECK(node->log_line("config.reloaded").at("changed") == "log.levels");
  CHECK(node->log_line("config.needs_restart").at("keys") == "lease.ttl, worker.slots");
  CHECK(run_belay({"nodes", "--node", where, "--tls", ca + "/anna"}).code == 0);
  CHECK(node->log_line("gate.opened").at("name") == "anna");
  // Back again: the next reload is no longer in the log, but for its warning.
  configure("warn", "[worker]\nslots = 7");
  reload(*node);
  CHECK(node->log_line("config.needs_restart").at("keys") == "worker.slots");
  CHECK(node->end(SIGTERM) == 0);
}

TEST_CASE_METHOD(reload_fixture, "reload: a worker shows its new certificate at its next link",
                 "[service][tls][cluster]") {
  auto node = registry();
  issue("w1", "worker");
  configure("info");
  service_process worker{{"--join", where, "--name", "w1", "--tls", ca + "/w1", "--conf", conf}, 0};
  worker.notice_with("READY");
  std::ofstream{ca + "/w1/cert.pem"} << "nonsense";
  reload(worker);
  CHECK(has(worker.log_line("config.refused").at("why"), "cert.pem"));
  issue("other", "worker", "w1");
  reload(worker);
  worker.log_line("config.reloaded");
  configure("debug");
  node->end(SIGKILL);
  node = registry();
  // Also its own commands come through the gate; the worker is the one that has this name.
  for (auto name = node->log_line("gate.opened").at("name"); name != "other";
       name = node->log_line("gate.opened").at("name")) {
    CHECK(name != "w1");
  }
  CHECK(worker.end(SIGTERM) == 0);
  CHECK(node->end(SIGTERM) == 0);
}
