// Workflows of ten journaled steps a second through a whole node, beside the same commits as bare
// batches of the store; and what parked workflows cost: memory, time of the processor, writes, the
// time to wake one, and the start of a node that has them. The argument is how many are parked
// (default 100,000).
#include "actors/clock.hpp"
#include "actors/node/client.hpp"
#include "actors/node/runtime.hpp"
#include "actors/workflow/definition.hpp"
#include "messages/event.hpp"
#include "tests/bench/bench.hpp"

#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <sys/resource.h>
#include <thread>

using namespace belay;
using namespace belay::bench;

namespace {

constexpr std::size_t in_flight = 64;
constexpr int steps = 10;

task<json> ten_steps(workflow& wf, json) {
  int sum = 0;
  for (int i = 0; i < steps; ++i) {
    sum += co_await wf.step("nothing", [] { return 1; });
  }
  co_return sum;
}

task<json> waits(workflow& wf, json) {
  co_return co_await wf.wait_signal("go");
}

registration workflow_called(const char* name, std::uint64_t number) {
  char id[64];
  std::snprintf(id, sizeof id, "%s-%09llu", name, static_cast<unsigned long long>(number));
  auto x = parse_registration({{"id", id}, {"input", {{"type", "workflow"}, {"workflow", name}}}},
                              recovery_rule::rerunnable);
  return *x;
}

actors::runtime_options options_for(const std::filesystem::path& path, duration_ms park_after) {
  auto tools = std::make_shared<running::toolbox>();
  tools->add(workflow_definition{"ten_steps", 1, true, ten_steps});
  tools->add(workflow_definition{"waits", 1, true, waits});
  actors::runtime_options x;
  x.store.directory = path;
  x.tools = tools;
  x.slots = in_flight;
  x.publish = false;
  x.park_after_ms = park_after;
  x.safety_sweep_ms = 24LL * 3'600 * 1'000;
  return x;
}

/// Workflows a second through a node.
double node_rate(const std::filesystem::path& path, std::uint64_t count) {
  actors::runtime node{options_for(path, 1'000)};
  const auto client = node.make_client();
  const auto start = clock::now();
  for (std::uint64_t number = 0; number < count;) {
    std::vector<registration> items;
    for (; items.size() < client->batch_max() && number < count; ++number) {
      items.push_back(workflow_called("ten_steps", number));
    }
    if (!client->enroll(std::move(items))) {
      throw std::runtime_error{"enroll"};
    }
  }
  for (std::uint64_t number = 0; number < count; ++number) {
    if (!client->wait(workflow_called("ten_steps", number).id, 0)) {
      throw std::runtime_error{"wait"};
    }
  }
  return static_cast<double>(count) / seconds_since(start);
}

/// The same commits as bare batches: register, claim, ten entries, complete.
double bare_rate(const std::filesystem::path& path, std::uint64_t count) {
  storage::options options;
  options.directory = path;
  storage::store store{options};
  const auto wall = actors::system_time().wall;
  std::mt19937_64 engine{1};
  const auto apply = [&](const std::vector<operation>& batch) {
    return store.apply(batch, {wall(), [&engine] { return engine(); }}).answers;
  };
  const auto start = clock::now();
  for (std::uint64_t number = 0; number < count;) {
    std::vector<operation> batch;
    for (std::size_t i = 0; i < in_flight; ++i) {
      batch.emplace_back(register_request{{workflow_called("ten_steps", number++)}});
    }
    static_cast<void>(apply(batch));
    batch.assign(in_flight, claim_request{{"bench", 1}, {"ten_steps@1"}, {}, 1, 60'000});
    std::vector<lease> held;
    for (auto& answered : apply(batch)) {
      held.push_back(std::get<claimed_list>(answered).items.at(0).held);
    }
    for (std::uint32_t step = 1; step <= steps; ++step) {
      batch.clear();
      for (const auto& x : held) {
        const journal_entry entry{step, effect_kind::step,
                                  {},   "nothing",
                                  step, {},
                                  step, R"({"type":"success","value":1})"};
        batch.emplace_back(journal_request{x, {entry}, {}, {}, {}, {}});
      }
      static_cast<void>(apply(batch));
    }
    batch.clear();
    for (const auto& x : held) {
      batch.emplace_back(complete_request{x, make_success("10")});
    }
    static_cast<void>(apply(batch));
  }
  return static_cast<double>(count) / seconds_since(start);
}

/// Resident memory that is no file: what the program itself holds, in MiB.
double anonymous_mib() {
  std::ifstream in{"/proc/self/status"};
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind("RssAnon:", 0) == 0) {
      return std::strtod(line.c_str() + 8, nullptr) / 1'024.0;
    }
  }
  return 0;
}

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& x) {
    return static_cast<double>(x.tv_sec) + static_cast<double>(x.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void wait_until_parked(actors::client& client, std::uint64_t count) {
  for (;;) {
    const auto counts = client.counts();
    const auto found = counts ? counts->by_state.find("waiting") : counts->by_state.end();
    if (counts && found != counts->by_state.end() && found->second >= count) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

void idle_figures(const std::filesystem::path& path) {
  constexpr std::chrono::seconds idle{5};
  const auto written = [&path] {
    return std::filesystem::last_write_time(path / "belay.mdb").time_since_epoch().count();
  };
  // What a start writes (its owner's new incarnation) is over once nothing is written for a while.
  auto before = written();
  for (int quiet = 0; quiet < 10; ++quiet) {
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    if (written() != before) {
      before = written();
      quiet = 0;
    }
  }
  const auto used = processor_seconds();
  std::this_thread::sleep_for(idle);
  std::printf("idle for %d s: %.3f %% of one processor, data file written: %s\n",
              static_cast<int>(idle.count()),
              100.0 * (processor_seconds() - used) / static_cast<double>(idle.count()),
              written() == before ? "no" : "yes");
}

void wake_figures(actors::client& client, std::uint64_t count) {
  constexpr int wakes = 50;
  std::vector<double> times;
  for (int i = 0; i < wakes; ++i) {
    const auto id = workflow_called("waits", count / wakes * static_cast<std::uint64_t>(i)).id;
    append_request signal;
    signal.id = id;
    signal.type = std::string{event_types::signal_prefix} + "go";
    signal.payload = "1";
    const auto start = clock::now();
    if (!client.append(signal) || !client.wait(id, 60'000)) {
      throw std::runtime_error{"wake"};
    }
    times.push_back(seconds_since(start) * 1e3);
  }
  std::sort(times.begin(), times.end());
  std::printf(
    "waking one, from the signal to its outcome seen: median %.2f ms, slowest of %d %.2f\n",
    median(times), wakes, times.back());
}

void parked_figures(const std::filesystem::path& path, std::uint64_t count) {
  const auto start = clock::now();
  auto before = 0.0;
  {
    actors::runtime node{options_for(path, 0)};
    const auto client = node.make_client();
    before = anonymous_mib();
    for (std::uint64_t number = 0; number < count;) {
      std::vector<registration> items;
      for (; items.size() < client->batch_max() && number < count; ++number) {
        items.push_back(workflow_called("waits", number));
      }
      if (!client->enroll(std::move(items))) {
        throw std::runtime_error{"enroll"};
      }
    }
    wait_until_parked(*client, count);
    std::printf("%llu workflows parked in %.1f s; resident memory that is no file: %+.1f MiB\n",
                static_cast<unsigned long long>(count), seconds_since(start),
                anonymous_mib() - before);
  }
  const auto opened = clock::now();
  actors::runtime node{options_for(path, 1'000)};
  const auto client = node.make_client();
  static_cast<void>(client->get(workflow_called("waits", 0).id));
  std::printf("node started again and answering: %.0f ms\n", seconds_since(opened) * 1e3);
  idle_figures(path);
  wake_figures(*client, count);
}

} // namespace

int main(int argc, char** argv) {
  const auto count = static_cast<std::uint64_t>(bench::number_argument(argc, argv, 1, 100'000));
  {
    constexpr std::uint64_t workflows = 64 * 100;
    const bench_directory first;
    const bench_directory second;
    std::printf("raw 4 KiB fdatasync: %.0f us\n", raw_sync_seconds(first.path()) * 1e6);
    const auto bare = bare_rate(first.path(), workflows);
    const auto node = node_rate(second.path(), workflows);
    std::printf("workflows of %d steps, %zu in flight: %.0f a second through a node, %.0f as bare "
                "batches, ratio %.2f\n",
                steps, in_flight, node, bare, node / bare);
  }
  const bench_directory third;
  parked_figures(third.path(), count);
  return 0;
}
