// A registry and workers as real processes on loopback: how soon work goes on after a worker was
// killed or frozen or the registry restarted, and what the network costs.
//
// Usage: bench_cluster [RUNS]; default 20.
#include "actors/node/client.hpp"
#include "tests/bench/bench.hpp"
#include "tests/support/program.hpp"

#include <csignal>
#include <cstdio>
#include <list>
#include <nlohmann/json.hpp>

using namespace belay;
using steady = bench::clock;

namespace {

constexpr const char* allow = "tools.exec.allow=[\"*\"]";

registration make(const process_id& id, const std::string& tool, const nlohmann::json& args) {
  const nlohmann::json text{{"id", id},
                            {"input", {{"type", "tool_call"}, {"tool", tool}, {"args", args}}}};
  return *parse_registration(text, recovery_rule::rerunnable);
}

template <class T>
T value(checked<T> x) {
  if (!x) {
    throw std::runtime_error{x.why().text};
  }
  return std::move(*x);
}

struct cluster {
  explicit cluster(bool registry_works = false)
    : registry{directory.path() / "data",
               {"node.port=" + std::to_string(port), "worker.interruptions_max=0", allow,
                "lease.ttl=3s", "lease.renew_interval=1s", "cluster.heartbeat_interval=200ms",
                "cluster.timeout=1s", "worker.slots=64"},
               BELAY_PROGRAM,
               {"--role", registry_works ? "both" : "registry"}} {
    for (;;) {
      if (auto made = client::connect("127.0.0.1", port)) {
        to = std::move(*made);
        return;
      }
    }
  }

  tests::worker_process& add(const std::string& name, int slots) {
    auto& x = workers.emplace_back(
      port, name,
      std::vector<std::string>{"--slots", std::to_string(slots), "--set", allow, "--set",
                               "cluster.heartbeat_interval=200ms", "--set", "cluster.timeout=1s"});
    until_joined(name);
    return x;
  }

  void until_joined(const std::string& name) const {
    for (;;) {
      for (const auto& x : value(to->nodes()).nodes) {
        if (x.name == name && x.state == "connected") {
          return;
        }
      }
    }
  }

  tests::worker_process& holder_of(const process_id& id) {
    for (;;) {
      const auto name = value(to->get(id)).holder.name;
      for (auto& x : workers) {
        if (x.name() == name) {
          return x;
        }
      }
    }
  }

  bench::bench_directory directory;
  std::uint16_t port = tests::free_port();
  tests::node_process registry;
  std::list<tests::worker_process> workers;
  std::unique_ptr<client> to;
};

/// Waits until a process was started `times` times in all.
void until_started(client& to, const process_id& id, int times) {
  event_seq after = 0;
  for (int seen = 0; seen < times;) {
    for (const auto& x : value(to.follow(id, after, 1'000, 10'000)).events) {
      seen += x.type == event_types::started ? 1 : 0;
      after = x.seq;
    }
  }
}

void report(const char* what, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  std::printf("%-62s median %7.1f ms, most %7.1f ms, %zu runs\n", what,
              bench::median(seconds) * 1e3, seconds.back() * 1e3, seconds.size());
  std::fflush(stdout);
}

void killed_and_frozen(int runs) {
  cluster x;
  x.add("w1", 2);
  x.add("w2", 2);
  value(x.to->enroll({make("long", "exec", {{"argv", {"sleep", "6000"}}})}));
  auto starts = 1;
  until_started(*x.to, "long", starts);
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    auto& holder = x.holder_of("long");
    const auto start = steady::now();
    holder.end(SIGKILL);
    until_started(*x.to, "long", ++starts);
    times.push_back(bench::seconds_since(start));
    holder.start();
    x.until_joined(holder.name());
  }
  report("worker killed, until its process runs elsewhere", times);
  times.clear();
  for (int i = 0; i < std::min(runs, 10); ++i) {
    auto& holder = x.holder_of("long");
    const auto start = steady::now();
    holder.send(SIGSTOP);
    until_started(*x.to, "long", ++starts);
    times.push_back(bench::seconds_since(start));
    holder.send(SIGCONT);
    x.until_joined(holder.name());
  }
  report("worker frozen (time-out 1 s, lease 3 s), the same", times);
  times.clear();
  for (int i = 0; i < runs; ++i) {
    const auto id = "fresh-" + std::to_string(i);
    const auto start = steady::now();
    x.registry.end(SIGKILL);
    x.registry.start();
    value(x.to->enroll({make(id, "echo", nlohmann::json::object())}));
    until_started(*x.to, id, 1);
    times.push_back(bench::seconds_since(start));
  }
  report("registry killed and started again, until the first new claim", times);
}

/// Lifecycles a second with 64 slots, and the latency of one alone, in seconds.
std::pair<double, double> speed(bool remote) {
  cluster x{!remote};
  if (remote) {
    x.add("w1", 64);
  }
  constexpr int alone = 200;
  std::vector<double> latencies;
  for (int i = 0; i < alone; ++i) {
    const auto id = "one-" + std::to_string(i);
    const auto start = steady::now();
    value(x.to->enroll({make(id, "echo", nlohmann::json::object())}));
    value(x.to->wait(id, 10'000));
    latencies.push_back(bench::seconds_since(start));
  }
  constexpr int count = 5'000;
  std::vector<registration> batch;
  const auto start = steady::now();
  for (int i = 0; i < count; ++i) {
    batch.push_back(make("p-" + std::to_string(i), "echo", nlohmann::json::object()));
    if (batch.size() == 500) {
      value(x.to->enroll(std::move(batch)));
      batch.clear();
    }
  }
  for (int i = 0; i < count; ++i) {
    value(x.to->wait("p-" + std::to_string(i), 60'000));
  }
  return {count / bench::seconds_since(start), bench::median(latencies)};
}

} // namespace

int main(int argc, char** argv) {
  const auto runs = static_cast<int>(bench::number_argument(argc, argv, 1, 20));
  {
    const bench::bench_directory directory;
    std::printf("raw 4 KiB fdatasync: %.0f us\n", bench::raw_sync_seconds(directory.path()) * 1e6);
  }
  killed_and_frozen(runs);
  const auto [near_rate, near_latency] = speed(false);
  const auto [far_rate, far_latency] = speed(true);
  std::printf("lifecycles a second, 64 slots: %.0f in the registry's node, %.0f by a worker, ratio "
              "%.2f (aim 0.5)\n",
              near_rate, far_rate, far_rate / near_rate);
  std::printf("one alone, start to outcome: %.2f ms in the registry's node, %.2f ms by a worker, "
              "%.2f more (aim 1)\n",
              near_latency * 1e3, far_latency * 1e3, (far_latency - near_latency) * 1e3);
  return 0;
}
