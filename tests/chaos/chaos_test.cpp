// A cluster of real processes that are killed, frozen and cut off at random while they work. Where
// the machine lets us each has a host of its own, with TLS between them; otherwise all is on
// loopback and no link is cut.
//
//     BELAY_CHAOS_SECONDS=300     how long faults are made (default 60)
//     BELAY_CHAOS_PROCESSES=5000  how many processes are registered, a sixth of them workflows
//                                 (default 900)
//     BELAY_SEED=n                the order of the faults (default: random, and shown)
#include "tests/support/network.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

using namespace belay;
using nlohmann::json;

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const auto* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

using clock_type = std::chrono::steady_clock;

struct chaos {
  explicit chaos(std::uint64_t seed) : random{seed} {
    if (net) {
      must({"tls", "init", ca()});
      must({"tls", "issue", ca(), "registry", "--role", "admin", "--host", net->address(0)});
    }
    std::vector<std::string> flags{"--role", "registry", "--listen", where};
    add_certificate(flags, "registry");
    registry = std::make_unique<tests::node_process>(
      scratch.path() / "data",
      std::vector<std::string>{"cluster.heartbeat_interval=100ms", "cluster.timeout=800ms",
                               "lease.ttl=3s", "lease.renew_interval=500ms",
                               "worker.interruptions_max=0"},
      program(0), flags);
    for (int i = 1; i <= 4; ++i) {
      const auto name = "w" + std::to_string(i);
      flags = {"--slots", std::to_string(2 * i),
               "--set",   "tools.exec.allow=[\"*\"]",
               "--set",   "worker.cancel_grace=200ms",
               "--set",   "workflow.park_after=100ms",
               "--set",   "cluster.heartbeat_interval=100ms",
               "--set",   "cluster.timeout=800ms"};
      if (net) {
        must({"tls", "issue", ca(), name, "--role", "worker"});
      }
      add_certificate(flags, name);
      workers.emplace_back(where, name, flags, program(i));
    }
  }

  static void must(const std::vector<std::string>& words) {
    const auto got = tests::run_belay(words);
    INFO(got.err);
    REQUIRE(got.code == 0);
  }

  [[nodiscard]] std::string ca() const {
    return (scratch.path() / "ca").string();
  }

  [[nodiscard]] std::string program(int host) const {
    return net ? net->on(host, BELAY_CHAOS_NODE) : BELAY_CHAOS_NODE;
  }

  void add_certificate(std::vector<std::string>& flags, const std::string& name) const {
    if (net) {
      flags.insert(flags.end(), {"--tls", ca() + "/" + name});
    }
  }

  int pick(int low, int high) {
    return std::uniform_int_distribution<>{low, high}(random);
  }

  tests::worker_process& any_worker() {
    return *std::next(workers.begin(), pick(0, static_cast<int>(workers.size()) - 1));
  }

  /// Registers a file of processes; repeated until it is acknowledged, which registers none twice.
  void enroll(std::uint64_t first, std::uint64_t count) {
    const auto path = (scratch.path() / "batch").string();
    {
      std::ofstream out{path};
      for (auto i = first; i < first + count; ++i) {
        const auto id = "p" + std::to_string(i);
        json input{
          {"type", "tool_call"},
          {"tool", "exec"},
          {"args",
           {{"argv",
             {"sh", "-c",
              "echo " + id + " >> '" + log() + "'; sleep 0.0" + std::to_string(pick(1, 9))}}}}};
        if (i % 6 == 0) {
          input = {
            {"type", "workflow"}, {"workflow", "trip"}, {"version", 1}, {"args", {{"log", log()}}}};
        }
        out << json{{"id", id}, {"input", input}}.dump() << '\n';
      }
    }
    while (registry->ask({"start", "-q", "--file", path}).code != 0) {
      ++repeated;
    }
  }

  std::string log() const {
    return (scratch.path() / "log").string();
  }

  /// One fault, and its end.
  void fault() {
    const auto dice = pick(0, net ? 13 : 9);
    if (dice < 4) {
      auto& x = any_worker();
      x.end(SIGKILL);
      tests::let_pass(std::chrono::milliseconds{pick(0, 200)}); // How long it is gone is the fault.
      x.start();
      ++faults["worker killed"];
    } else if (dice < 8) {
      auto& x = any_worker();
      x.send(SIGSTOP);
      tests::let_pass(std::chrono::milliseconds{pick(50, 2'500)});
      x.send(SIGCONT);
      ++faults["worker frozen"];
    } else if (dice < 9) {
      registry->end(SIGKILL);
      tests::let_pass(std::chrono::milliseconds{pick(0, 300)});
      registry->start();
      ++faults["registry killed"];
    } else if (dice >= 10) {
      const auto host = dice < 13 ? pick(1, static_cast<int>(workers.size())) : 0;
      net->cut(host);
      tests::let_pass(std::chrono::milliseconds{pick(50, 2'500)});
      net->heal(host);
      ++faults[host == 0 ? "registry cut off" : "worker cut off"];
    } else {
      kill(registry->os_pid(), SIGSTOP);
      tests::let_pass(std::chrono::milliseconds{pick(50, 1'500)});
      kill(registry->os_pid(), SIGCONT);
      ++faults["registry frozen"];
    }
  }

  /// All processes as `list` shows them, by id.
  std::map<std::string, json> all() {
    std::map<std::string, json> found;
    std::string after;
    for (;;) {
      std::vector<std::string> words{"list", "-o", "json", "--limit", "1000"};
      if (!after.empty()) {
        words.insert(words.end(), {"--after", after});
      }
      const auto got = registry->ask(words);
      if (got.code != 0) {
        continue; // The registry was away; the same page again.
      }
      const auto page = json::parse(got.out);
      for (const auto& x : page.at("processes")) {
        found[x.at("id")] = x;
      }
      if (page.at("next").is_null()) {
        return found;
      }
      after = page.at("next").get<std::string>();
    }
  }

  tests::scratch_directory scratch;
  std::mt19937_64 random;
  std::unique_ptr<tests::network> net
    = tests::network::possible() ? std::make_unique<tests::network>(5) : nullptr;
  std::string where
    = net ? net->address(0) + ":7400" : "127.0.0.1:" + std::to_string(tests::free_port());
  std::unique_ptr<tests::node_process> registry;
  std::list<tests::worker_process> workers;
  std::map<std::string, int> faults;
  int repeated = 0;
};

} // namespace

TEST_CASE("chaos: whatever is killed, frozen or cut off, each process has one outcome", "[chaos]") {
  const auto seed = number_from("BELAY_SEED", std::random_device{}());
  const auto length = std::chrono::seconds{number_from("BELAY_CHAOS_SECONDS", 60)};
  const auto count = number_from("BELAY_CHAOS_PROCESSES", 900);
  CAPTURE(seed);
  chaos x{seed};
  constexpr std::uint64_t batch = 50;
  const auto start = clock_type::now();
  const auto batches = (count + batch - 1) / batch;
  std::uint64_t registered = 0;
  for (std::uint64_t done = 0; clock_type::now() - start < length || registered < count;) {
    // Spread over the time of the faults.
    const auto share = std::chrono::duration<double>(clock_type::now() - start)
                       / std::chrono::duration<double>(length);
    if (registered < count && static_cast<double>(done) <= share * static_cast<double>(batches)) {
      const auto next = std::min(batch, count - registered);
      x.enroll(registered, next);
      registered += next;
      ++done;
    }
    x.fault();
    tests::let_pass(std::chrono::milliseconds{x.pick(0, 300)});
  }

  // Nothing is broken any more: everything comes to its end.
  std::map<std::string, json> all;
  const auto is_live = [](const auto& one) { return !one.second.at("finished_at").is_string(); };
  do {
    all = x.all();
  } while (std::any_of(all.begin(), all.end(), is_live));

  std::uint64_t interruptions = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    REQUIRE(all.count("p" + std::to_string(i)) == 1);
  }
  CHECK(all.size() == count + 2 * ((count + 5) / 6)); // Two children of each workflow.
  for (const auto& [id, process] : all) {
    INFO(process.dump());
    CHECK(process.at("state") == "success");
    interruptions += process.at("interruptions").get<std::uint64_t>();
  }
  std::ifstream lines{x.log()};
  const auto executions
    = std::count(std::istreambuf_iterator<char>{lines}, std::istreambuf_iterator<char>{}, '\n');
  const auto wanted = static_cast<std::int64_t>(all.size() - (count + 5) / 6);
  CHECK(executions >= wanted);
  std::string told;
  auto sum = 0;
  for (const auto& [what, times] : x.faults) {
    told += std::to_string(times) + " " + what + ", ";
    sum += times;
  }
  std::printf("seed %llu: %s%zu processes, %lld executions for %lld, %llu interruptions "
              "(%.2f a fault), %d messages repeated\n",
              static_cast<unsigned long long>(seed), told.c_str(), all.size(),
              static_cast<long long>(executions), static_cast<long long>(wanted),
              static_cast<unsigned long long>(interruptions),
              static_cast<double>(interruptions) / std::max(sum, 1), x.repeated);

  const auto doctor = x.registry->ask({"doctor"});
  INFO(doctor.out << doctor.err);
  CHECK(doctor.code == 0);
  tests::stop_and_check(*x.registry);
  // No two have committed for one row: each history has one end, under its last fence.
  const auto lines_path = (x.scratch.path() / "export").string();
  REQUIRE(
    tests::run_belay({"store", "export", lines_path, "--data", x.registry->directory().string()})
      .code
    == 0);
  std::ifstream exported{lines_path};
  std::map<std::string, int> ends;
  for (std::string line; std::getline(exported, line);) {
    const auto text = json::parse(line);
    if (!text.contains("event")) {
      continue;
    }
    const auto& event = text["event"];
    if (event.at("type") == "process.completed") {
      ++ends[event.at("row").dump()];
    }
  }
  CHECK(ends.size() == all.size());
  for (const auto& [id, times] : ends) {
    INFO(id);
    CHECK(times == 1);
  }
}
