// What is counted, and how labels are bounded.
#include "actors/metrics/gauges.hpp"
#include "actors/metrics/registry_instruments.hpp"
#include "actors/metrics/worker_instruments.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using namespace belay;

namespace {

/// The value of one series as it stands in the text; -1 when there is none.
double value_of(const std::string& text, const std::string& series) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(series + " ", 0) == 0) {
      return std::stod(line.substr(series.size() + 1));
    }
  }
  return -1;
}

struct registry_instruments_fixture {
  std::shared_ptr<metrics::exposition> all = std::make_shared<metrics::exposition>(2);
  std::vector<std::string> names{"none", "exec", "echo", "sleep", "album@1"};
  std::size_t asked = 0;
  metrics::registry_instruments x{all, [this](std::uint32_t number) {
                                    ++asked;
                                    return names.at(number);
                                  }};

  void commit(const std::vector<operation>& batch, storage::batch_result result) {
    result.answers.resize(batch.size());
    x.commit_begins();
    x.committed(batch, result);
  }

  double value(const std::string& series) const {
    return value_of(all->text({}), series);
  }
};

using what = storage::happening::what;

} // namespace

TEST_CASE("metrics: a label takes the first names, all others are one", "[metrics]") {
  metrics::label_set names{2};
  CHECK(names.of("a") == "a");
  CHECK(names.of("b") == "b");
  CHECK(names.of("c") == "other");
  CHECK(names.of("a") == "a");
  CHECK(names.of("c") == "other");
}

TEST_CASE_METHOD(registry_instruments_fixture,
                 "metrics: kinds beyond the bound are counted together, and each is asked for once",
                 "[metrics]") {
  storage::batch_result result;
  for (std::uint32_t kind = 1; kind <= 4; ++kind) {
    for (std::uint32_t i = 0; i < kind; ++i) {
      result.happenings.push_back({what::registered, {}, kind});
    }
  }
  commit({}, result);
  CHECK(value("belay_processes_registered_total{kind=\"exec\"}") == 1);
  CHECK(value("belay_processes_registered_total{kind=\"echo\"}") == 2);
  CHECK(value("belay_processes_registered_total{kind=\"other\"}") == 3 + 4);
  CHECK(value("belay_processes_registered_total{kind=\"sleep\"}") == -1);
  // What has not happened is there as well.
  CHECK(value("belay_interruptions_total{kind=\"other\"}") == 0);
  CHECK(asked == 4);
}

TEST_CASE_METHOD(registry_instruments_fixture, "metrics: each thing that happens has its counter",
                 "[metrics]") {
  storage::batch_result result;
  result.written = true;
  result.happenings = {{what::claimed, {}, 1, 1'500},
                       {what::claimed, {}, 1, -1},
                       {what::finished, outcome_kind::success, 1},
                       {what::finished, outcome_kind::abandoned, 1},
                       {what::retried, {}, 1},
                       {what::interrupted, {}, 1},
                       {what::quarantined, {}, 1},
                       {what::timer, {}, 1}};
  commit({}, result);
  CHECK(value("belay_claims_total{kind=\"exec\"}") == 2);
  CHECK(value("belay_processes_started_total{kind=\"exec\"}") == 1);
  CHECK(value("belay_queue_wait_seconds_count{kind=\"exec\"}") == 1);
  CHECK(value("belay_queue_wait_seconds_sum{kind=\"exec\"}") == 1.5);
  CHECK(value("belay_processes_finished_total{kind=\"exec\",outcome=\"success\"}") == 1);
  CHECK(value("belay_processes_finished_total{kind=\"exec\",outcome=\"failure\"}") == 0);
  CHECK(value("belay_processes_finished_total{kind=\"exec\",outcome=\"abandoned\"}") == 1);
  CHECK(value("belay_processes_retried_total{kind=\"exec\"}") == 1);
  CHECK(value("belay_interruptions_total{kind=\"exec\"}") == 1);
  CHECK(value("belay_processes_quarantined_total{kind=\"exec\"}") == 1);
  CHECK(value("belay_timers_fired_total") == 1);
  CHECK(value("belay_commit_seconds_count") == 1);
}

TEST_CASE_METHOD(registry_instruments_fixture,
                 "metrics: writes under a stale lease are told from other refusals", "[metrics]") {
  append_request unfenced;
  append_request fenced;
  fenced.fenced = true;
  const std::vector<operation> batch{
    renew_request{}, renew_request{}, release_request{},  release_request{},
    fenced,          unfenced,        complete_request{}, register_request{}};
  const refusal stale{ec::lease_superseded, "stale"};
  storage::batch_result result;
  result.answers = {lease{}, stale,
                    done{0}, done{1},
                    stale,   refusal{ec::already_terminal, ""},
                    stale,   refusal{ec::bad_request, ""}};
  x.committed(batch, result);
  CHECK(value("belay_lease_renewals_total") == 1);
  CHECK(value("belay_fenced_writes_refused_total{operation=\"renew\"}") == 1);
  CHECK(value("belay_fenced_writes_refused_total{operation=\"release\"}") == 1);
  CHECK(value("belay_fenced_writes_refused_total{operation=\"append\"}") == 1);
  CHECK(value("belay_fenced_writes_refused_total{operation=\"complete\"}") == 1);
  CHECK(value("belay_fenced_writes_refused_total{operation=\"park\"}") == 0);
  CHECK(value("belay_requests_refused_total{code=\"lease_superseded\"}") == 3);
  CHECK(value("belay_requests_refused_total{code=\"bad_request\"}") == 1);
  // Nothing was written, so nothing was synced.
  CHECK(value("belay_commit_seconds_count") == 0);
}

TEST_CASE_METHOD(registry_instruments_fixture,
                 "metrics: an operation waits until its batch is committed or given up",
                 "[metrics]") {
  CHECK(x.commit_pending_seconds() == 0);
  x.batch_begins();
  CHECK(x.commit_pending_seconds() > 0);
  commit({}, {});
  CHECK(x.commit_pending_seconds() == 0);
  x.batch_begins();
  x.commit_failed(3, ec::store_full);
  CHECK(x.commit_pending_seconds() == 0);
  CHECK(value("belay_commits_failed_total") == 1);
  CHECK(value("belay_requests_refused_total{code=\"store_full\"}") == 3);
}

TEST_CASE("metrics: a worker's kinds beyond the bound and those it does not know share a label",
          "[metrics]") {
  using metrics::worker_instruments;
  const auto all = std::make_shared<metrics::exposition>(1);
  worker_instruments x{all, {"exec", "echo"}};
  worker_instruments::run_begins(x.of("exec"), 2);
  worker_instruments::run_ended(x.of("exec"), metrics::run_end::parked, std::chrono::seconds{3});
  worker_instruments::run_begins(x.of("echo"), 0);
  worker_instruments::run_begins(x.of("unknown"), 0);
  x.slots(8, 3, 2);
  x.renewed(std::chrono::milliseconds{-1});
  const auto text = all->text({});
  CHECK(value_of(text, "belay_worker_runs_started_total{kind=\"exec\"}") == 1);
  CHECK(value_of(text, "belay_worker_runs_started_total{kind=\"other\"}") == 2);
  CHECK(value_of(text, "belay_worker_runs_ended_total{end=\"parked\",kind=\"exec\"}") == 1);
  CHECK(value_of(text, "belay_worker_run_seconds_sum{kind=\"exec\"}") == 3);
  CHECK(value_of(text, "belay_worker_claim_to_start_seconds_sum{kind=\"exec\"}") == 0.002);
  CHECK(value_of(text, "belay_worker_slots_used") == 3);
  CHECK(value_of(text, "belay_worker_leases_held") == 5);
  CHECK(value_of(text, "belay_worker_renewal_lag_seconds_sum") == 0);
}

TEST_CASE("metrics: queues beyond the bound are summed, with the longest wait of them",
          "[metrics]") {
  metrics::exposition all{1};
  std::vector<metrics::reading> now;
  metrics::add_queues(
    now, all, {{"a", 1, 2, 3, 4, 5'000}, {"b", 10, 20, 30, 40, 7'000}, {"c", 1, 1, 1, 1, 6'000}});
  const auto text = all.text(now);
  CHECK(value_of(text, "belay_queue_ready{queue=\"a\"}") == 1);
  CHECK(value_of(text, "belay_queue_delayed{queue=\"a\"}") == 2);
  CHECK(value_of(text, "belay_queue_oldest_ready_seconds{queue=\"a\"}") == 5);
  CHECK(value_of(text, "belay_queue_ready{queue=\"other\"}") == 11);
  CHECK(value_of(text, "belay_queue_running{queue=\"other\"}") == 31);
  CHECK(value_of(text, "belay_queue_waiting{queue=\"other\"}") == 41);
  CHECK(value_of(text, "belay_queue_oldest_ready_seconds{queue=\"other\"}") == 7);
  CHECK(value_of(text, "belay_queue_ready{queue=\"b\"}") == -1);
  // One that is empty for a while gives its name away to nobody.
  now.clear();
  metrics::add_queues(now, all, {{"b", 1, 0, 0, 0, 0}});
  CHECK(value_of(all.text(now), "belay_queue_ready{queue=\"other\"}") == 1);
  CHECK(value_of(all.text(now), "belay_queue_ready{queue=\"a\"}") == 0);
}
