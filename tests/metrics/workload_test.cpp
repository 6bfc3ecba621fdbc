// After a known workload the metrics are the known numbers, exactly.
#include "tests/metrics/scrape.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <fstream>
#include <memory>

using namespace belay;
using nlohmann::json;
using tests::scrape;

namespace {

/// A registry and one worker, each with metrics.
struct workload_fixture {
  tests::scratch_directory scratch;
  std::uint16_t port = tests::free_port();
  tests::node_process registry{scratch.path() / "data",
                               {"metrics.listen=0", "node.port=" + std::to_string(port)},
                               BELAY_PROGRAM,
                               {"--role", "registry"}};
  std::string told = tests::metrics_of(registry);
  std::uint16_t worker_port = tests::free_port();
  std::string worker_told = "127.0.0.1:" + std::to_string(worker_port);

  std::unique_ptr<tests::worker_process> add(const std::string& name, const std::string& listen) {
    return std::make_unique<tests::worker_process>(
      port, name,
      std::vector<std::string>{"--slots", "4", "--set", "tools.exec.allow=[\"*\"]", "--set",
                               "metrics.listen=" + listen});
  }

  void start(std::vector<std::string> words) {
    words.insert(words.begin(), "start");
    const auto got = registry.ask(words);
    INFO(got.err);
    REQUIRE(got.code == 0);
  }

  json get(const std::string& id) const {
    return json::parse(registry.ask({"get", "-o", "json", id}).out);
  }

  void until_owned_by(const std::string& id, const std::string& worker) const {
    for (;;) {
      const auto x = get(id);
      if (x.contains("lease") && x["lease"].is_object() && x["lease"]["owner"] == worker) {
        return;
      }
    }
  }
};

} // namespace

TEST_CASE_METHOD(workload_fixture, "metrics: after a known workload they are the known numbers",
                 "[metrics][system]") {
  auto first = add("w1", std::to_string(worker_port));
  // One that is cancelled before it is claimed, one while it runs, one that loses its worker.
  start({"--id", "late", "--in", "1h", "--queue", "later", "echo"});
  CHECK(scrape{told}.at("belay_queue_delayed{queue=\"later\"}") == 1);
  CHECK(scrape{told}.at("belay_queue_ready{queue=\"later\"}") == 0);
  REQUIRE(registry.ask({"cancel", "late"}).code == 0);
  start({"--id", "long", "exec", "--", "sleep", "600"});
  until_owned_by("long", "w1");
  REQUIRE(registry.ask({"cancel", "long"}).code == 0);
  CHECK(registry.ask({"wait", "long"}).code == 3);
  const auto end = (scratch.path() / "end").string();
  start({"--id", "killed", "exec", "--", "sh", "-c",
         "until [ -e '" + end + "' ]; do sleep 0.02; done"});
  until_owned_by("killed", "w1");
  CHECK(scrape{told}.at("belay_nodes_connected") == 1);
  CHECK(scrape{told}.at("belay_leases_held") == 1);
  CHECK(scrape{told}.at("belay_queue_running{queue=\"default\"}") == 1);
  first->end(SIGKILL);
  first = add("w2", std::to_string(worker_port));
  until_owned_by("killed", "w2");
  // Five succeed, two fail, one fails twice and then for good.
  std::vector<std::string> all{"wait", "killed"};
  for (int i = 0; i < 5; ++i) {
    all.push_back("good" + std::to_string(i));
    start({"--id", all.back(), "echo"});
  }
  for (int i = 0; i < 2; ++i) {
    all.push_back("bad" + std::to_string(i));
    start({"--id", all.back(), "fail"});
  }
  all.emplace_back("again");
  start({"--id", "again", "--retries", "2", "--backoff", "10ms", "--args", R"({"retryable": true})",
         "fail"});
  CHECK(registry.ask({"get", "nobody"}).code != 0);
  CHECK(registry.ask({"cancel", "nobody"}).code != 0);
  std::ofstream{end}.close();
  CHECK(registry.ask(all).code != 0);

  const scrape x{told};
  INFO(x.text());
  CHECK(x.at("belay_processes_registered_total{kind=\"echo\"}") == 6);
  CHECK(x.at("belay_processes_registered_total{kind=\"exec\"}") == 2);
  CHECK(x.at("belay_processes_registered_total{kind=\"fail\"}") == 3);
  CHECK(x.at("belay_processes_started_total{kind=\"echo\"}") == 5);
  CHECK(x.at("belay_processes_started_total{kind=\"exec\"}") == 2);
  // "killed" twice, "again" three times.
  CHECK(x.at("belay_claims_total{kind=\"exec\"}") == 2 + 1);
  CHECK(x.at("belay_claims_total{kind=\"fail\"}") == 3 + 2);
  CHECK(x.at("belay_processes_finished_total{kind=\"echo\",outcome=\"success\"}") == 5);
  CHECK(x.at("belay_processes_finished_total{kind=\"echo\",outcome=\"cancelled\"}") == 1);
  CHECK(x.at("belay_processes_finished_total{kind=\"exec\",outcome=\"success\"}") == 1);
  CHECK(x.at("belay_processes_finished_total{kind=\"fail\",outcome=\"failure\"}") == 3);
  CHECK(x.at("belay_processes_finished_total{kind=\"exec\",outcome=\"cancelled\"}") == 1);
  CHECK(x.sum("belay_processes_finished_total") == 11);
  CHECK(x.at("belay_processes_retried_total{kind=\"fail\"}") == 2);
  CHECK(x.at("belay_interruptions_total{kind=\"exec\"}") == 1);
  CHECK(x.sum("belay_interruptions_total") == 1);
  CHECK(x.sum("belay_processes_quarantined_total") == 0);
  CHECK(x.at("belay_queue_wait_seconds_count{kind=\"exec\"}") == 2);
  CHECK(x.at("belay_requests_refused_total{code=\"unknown_process\"}") == 1);
  CHECK(x.sum("belay_requests_refused_total") == 1);
  CHECK(x.sum("belay_fenced_writes_refused_total") == 0);
  CHECK(x.at("belay_processes{state=\"success\"}") == 6);
  CHECK(x.at("belay_processes{state=\"failure\"}") == 3);
  CHECK(x.at("belay_processes{state=\"cancelled\"}") == 2);
  CHECK(x.at("belay_processes{state=\"running\"}") == 0);
  CHECK(x.at("belay_leases_held") == 0);
  CHECK(x.at("belay_nodes_connected") == 1);
  CHECK(x.at("belay_cluster_slots") == 4);
  CHECK(x.at("belay_commit_seconds_count") > 0);
  CHECK(x.at("belay_commit_pending_seconds") == 0);
  CHECK(x.at("belay_store_nearly_full") == 0);
  CHECK(x.at("belay_store_used_bytes") <= x.at("belay_store_file_bytes"));
  CHECK(x.at("belay_connections") >= 1);
  CHECK(x.types().count("belay_worker_slots") == 0);

  // What the worker that is left has seen; of its last end it hears after those who waited.
  for (;;) {
    const scrape y{worker_told};
    if (y.at("belay_worker_leases_held") == 0) {
      INFO(y.text());
      CHECK(y.at("belay_worker_runs_started_total{kind=\"echo\"}") == 5);
      CHECK(y.at("belay_worker_runs_started_total{kind=\"exec\"}") == 1);
      CHECK(y.at("belay_worker_runs_started_total{kind=\"fail\"}") == 2 + 3);
      CHECK(y.at("belay_worker_runs_ended_total{end=\"success\",kind=\"echo\"}") == 5);
      CHECK(y.at("belay_worker_runs_ended_total{end=\"success\",kind=\"exec\"}") == 1);
      CHECK(y.at("belay_worker_runs_ended_total{end=\"failure\",kind=\"fail\"}") == 3);
      CHECK(y.at("belay_worker_runs_ended_total{end=\"retried\",kind=\"fail\"}") == 2);
      CHECK(y.sum("belay_worker_runs_ended_total") == 11);
      CHECK(y.sum("belay_worker_run_seconds_count") == 11);
      CHECK(y.sum("belay_worker_claim_to_start_seconds_count") == 11);
      CHECK(y.at("belay_worker_slots") == 4);
      CHECK(y.at("belay_worker_slots_used") == 0);
      CHECK(y.at("belay_worker_enlisted") == 1);
      CHECK(y.at("belay_worker_leases_lost_total") == 0);
      CHECK(y.types().count("belay_store_used_bytes") == 0);
      break;
    }
  }
  // No label has an id.
  all.insert(all.end(), {"late", "long", "nobody"});
  for (const auto& id : all) {
    CHECK_FALSE(tests::has(x.text(), "\"" + id + "\""));
  }
  CHECK(first->end(SIGTERM) == 0);
  tests::stop_and_check(registry);
}

TEST_CASE("metrics: kinds beyond metrics.names_max share a label in a real node",
          "[metrics][system]") {
  const tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data", {"metrics.listen=0", "metrics.names_max=1"}};
  const auto told = tests::metrics_of(node);
  std::string lines;
  for (const auto* kind : {"mystery", "riddle", "puzzle"}) {
    lines += R"({"id": ")" + std::string{kind} + R"(", "input": {"type": "tool_call", "tool": ")"
             + kind + R"(", "args": {}}})" + "\n";
  }
  REQUIRE(node.ask({"start", "--quiet", "--file", "-"}, lines).code == 0);
  const scrape x{told};
  INFO(x.text());
  CHECK(x.sum("belay_processes_registered_total") == 3);
  // The one name went to the worker's first kind.
  CHECK(x.at("belay_processes_registered_total{kind=\"other\"}") == 3);
  std::set<std::string> kinds;
  for (const auto& [series, value] : x.values()) {
    const auto at = series.find("kind=\"");
    if (at != std::string::npos) {
      kinds.insert(series.substr(at + 6, series.find('"', at + 6) - at - 6));
    }
  }
  CHECK(kinds.size() == 2);
}
