// What a node tells the service manager that has started it.
#include "tests/service/service_process.hpp"
#include "tests/support/shell.hpp"

#include <lmdb.h>

using namespace belay;
using tests::has;
using tests::run_belay;
using tests::service_process;

namespace {

constexpr std::int64_t watchdog_us = 100'000;

struct node_fixture {
  [[nodiscard]] std::vector<std::string> flags() const {
    return {"--data", data, "--set", "tools.exec.allow=[\"*\"]"};
  }

  tests::scratch_directory scratch;
  std::string data = (scratch.path() / "data").string();
};

/// Holds the store's write transaction, so that the registry's next commit does not come to an end.
class store_blocker {
public:
  explicit store_blocker(const std::string& data) {
    REQUIRE(mdb_env_create(&env_) == MDB_SUCCESS);
    REQUIRE(mdb_env_open(env_, (data + "/belay.mdb").c_str(), MDB_NOSUBDIR | MDB_NOTLS, 0600)
            == MDB_SUCCESS);
    REQUIRE(mdb_txn_begin(env_, nullptr, 0, &transaction_) == MDB_SUCCESS);
  }

  ~store_blocker() {
    mdb_txn_abort(transaction_);
    mdb_env_close(env_);
  }

  store_blocker(const store_blocker&) = delete;
  store_blocker& operator=(const store_blocker&) = delete;

private:
  MDB_env* env_ = nullptr;
  MDB_txn* transaction_ = nullptr;
};

} // namespace

TEST_CASE_METHOD(node_fixture, "service: a node says when it is ready, reloads and stops",
                 "[service][notify]") {
  service_process node{flags(), 0};
  const auto ready = node.notice_with("READY");
  CHECK(ready.at("READY") == "1");
  CHECK(has(ready.at("STATUS"), "listens on 127.0.0.1:"));
  // It is: nothing is waited for.
  const auto made = run_belay(
    {"start", "--data", data, "--connect-timeout", "0ms", "--id", "a", "exec", "--", "env"});
  CHECK(made.err.empty());
  REQUIRE(made.code == 0);
  REQUIRE(run_belay({"wait", "--data", data, "a"}).code == 0);
  // What is for the node is not for the programs that it runs.
  const auto seen = run_belay({"get", "--data", data, "a", "-o", "json"}).out;
  CHECK(has(seen, "BELAY_PROCESS_ID=a"));
  CHECK_FALSE(has(seen, "NOTIFY_SOCKET"));

  node.send(SIGHUP);
  const auto reloading = node.notice_with("RELOADING");
  CHECK(reloading.at("RELOADING") == "1");
  CHECK(std::stoll(reloading.at("MONOTONIC_USEC")) > 0);
  CHECK(node.next_notice().at("READY") == "1");

  node.send(SIGTERM);
  const auto stopping = node.notice_with("STOPPING");
  CHECK(stopping.at("STOPPING") == "1");
  // Above node.drain_timeout, 30 s.
  CHECK(std::stoll(stopping.at("EXTEND_TIMEOUT_USEC")) > 30'000'000);
  CHECK(node.end(0) == 0);
}

TEST_CASE_METHOD(node_fixture, "service: a node whose registry is stuck gives no sign of life",
                 "[service][notify]") {
  service_process node{flags(), watchdog_us};
  node.notice_with("READY");
  for (int i = 0; i < 3; ++i) {
    node.notice_with("WATCHDOG");
  }
  int asker = 0;
  {
    const store_blocker blocker{data};
    asker = tests::start_program(
      {BELAY_PROGRAM, "start", "--data", data, "--id", "a", "exec", "--", "true"});
    // Signs of life come every 50 ms; a second without any is the end of them.
    constexpr int plenty = 600;
    int heard = 0;
    while (heard < plenty && node.next_notice(std::chrono::seconds{1})) {
      ++heard;
    }
    CHECK(heard < plenty);
    CHECK(has(node.log_line("watchdog.silent").dump(), "does not answer itself"));
  }
  CHECK(node.notice_with("WATCHDOG").at("WATCHDOG") == "1");
  CHECK(tests::end_program(asker, 0) == 0);
  CHECK(node.end(SIGTERM) == 0);
}

TEST_CASE_METHOD(node_fixture, "service: a worker is ready once its registry has taken it in",
                 "[service][notify]") {
  const auto port = tests::free_port();
  const auto where = "127.0.0.1:" + std::to_string(port);
  service_process worker{{"--join", where, "--name", "w1"}, watchdog_us};
  // It lives, and has nothing to do yet.
  for (int alive = 0; alive < 3;) {
    const auto notice = worker.next_notice();
    CHECK(notice.count("READY") == 0);
    alive += static_cast<int>(notice.count("WATCHDOG"));
  }
  auto listening = flags();
  listening.insert(listening.end(), {"--role", "registry", "--listen", where});
  auto registry = std::make_unique<service_process>(listening, 0);
  registry->notice_with("READY");
  CHECK(has(worker.notice_with("READY").at("STATUS"), "worker 'w1' of " + where));
  registry->end(SIGKILL);
  CHECK(has(worker.notice_with("STATUS").at("STATUS"), "no link to the registry"));
  // Without a link a reload still ends with the word that systemd waits for.
  worker.send(SIGHUP);
  worker.notice_with("RELOADING");
  CHECK(worker.notice_with("READY").at("READY") == "1");
  worker.send(SIGTERM);
  worker.notice_with("STOPPING");
  CHECK(worker.end(0) == 0);
}
