// What it costs to look into a node with 100,000 rows and 10,000 running processes: how long each
// look takes, and how much less is done while somebody looks ten times a second.
//
// Usage: bench_look [ROUNDS [SECONDS]]; default 8 rounds of 5 s without and with a looker.
#include "actors/log.hpp"
#include "actors/node/client.hpp"
#include "actors/node/runtime.hpp"
#include "app/facts.hpp"
#include "app/top/source.hpp"
#include "tests/bench/bench.hpp"
#include "tests/support/registrations.hpp"

#include <atomic>
#include <cstdio>
#include <future>
#include <random>
#include <sys/resource.h>
#include <thread>

using namespace belay;
using namespace belay::bench;

namespace {

constexpr int rows = 100'000;
constexpr int running_rows = 10'000;
constexpr int batch_rows = 1'000;
/// For the lifecycles, beside those that hold theirs.
constexpr int free_slots = 64;
constexpr std::uint32_t tree_limit = 100; // What `belay tree` asks for.
constexpr double aim_seconds = 0.2;

template <class T>
T value(checked<T> x) {
  if (!x) {
    throw std::runtime_error{x.why().text};
  }
  return std::move(*x);
}

/// A run that waits for nothing: an actor, a lease, and no thread.
class held_run : public running::tool_run {
public:
  explicit held_run(running::run_callbacks callbacks) : callbacks_{std::move(callbacks)} {}
  void cancel() override {
    end();
  }
  void kill() override {
    end();
  }

private:
  void end() {
    if (auto finished = std::exchange(callbacks_.finished, nullptr)) {
      finished(make_cancelled("told to"));
    }
  }
  running::run_callbacks callbacks_;
};

/// Ends at once.
class no_run : public running::tool_run {
public:
  void cancel() override {}
  void kill() override {}
};

std::shared_ptr<running::toolbox> make_tools() {
  auto tools = std::make_shared<running::toolbox>();
  tools->add({"hold", nlohmann::json::object(),
              [](const running::run_info&, const nlohmann::json&, running::run_callbacks back) {
                return std::make_unique<held_run>(std::move(back));
              }});
  tools->add({"nothing", nlohmann::json::object(),
              [](const running::run_info&, const nlohmann::json&, running::run_callbacks back) {
                back.finished(make_success("null"));
                return std::make_unique<no_run>();
              }});
  return tools;
}

/// Every tenth row is one that runs; the others wait for a kind that nobody offers.
void fill(client& to) {
  for (int first = 0; first < rows; first += batch_rows) {
    std::vector<registration> items;
    for (int i = first; i < first + batch_rows; ++i) {
      const auto runs = i % (rows / running_rows) == 0;
      items.push_back(tests::make_registration((runs ? "run-" : "wait-") + std::to_string(i),
                                               runs ? "hold" : "nobody"));
      items.back().queue = runs ? "default" : "q" + std::to_string(i % 20);
    }
    value(to.enroll(std::move(items)));
  }
  while (value(to.counts()).by_state["running"] < running_rows) {
  }
}

template <class Work>
void measure(const char* what, int runs, Work work) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const auto start = bench::clock::now();
    work(i);
    times.push_back(seconds_since(start));
  }
  std::sort(times.begin(), times.end());
  std::printf("%-44s median %7.2f ms, most %7.2f ms%s\n", what, median(times) * 1e3,
              times.back() * 1e3, times.back() < aim_seconds ? "" : "  (aim: 200)");
  std::fflush(stdout);
}

/// Processor time of this program, client and node, in seconds.
double processor_seconds() {
  rusage x{};
  getrusage(RUSAGE_SELF, &x);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(x.ru_utime) + seconds(x.ru_stime);
}

/// What one look costs: unlike times it does not depend on who else uses the machine.
void weigh(client& to, const app::top::question& asks) {
  constexpr int looks = 100;
  constexpr double a_second = 10;
  const auto start = processor_seconds();
  for (int i = 0; i < looks; ++i) {
    value(app::top::look(to, asks));
    value(to.tree(tree_limit));
  }
  const auto each = (processor_seconds() - start) / looks;
  std::printf("processor time of top's look and a tree: %.2f ms, of client and node; ten a second "
              "take %.1f %% of %u cores\n",
              each * 1e3, each * a_second * 100 / std::thread::hardware_concurrency(),
              std::thread::hardware_concurrency());
}

struct effort {
  double a_second = 0;
  /// Processor time of each, client and node, in seconds.
  double processor = 0;
};

/// Lifecycles for so long: registered in messages of a hundred, waited for.
effort lifecycles(client& to, double seconds) {
  static int number = 0;
  constexpr int at_once = 100;
  const auto start = bench::clock::now();
  const auto processor = processor_seconds();
  int done = 0;
  while (seconds_since(start) < seconds) {
    std::vector<registration> items;
    for (int i = 0; i < at_once; ++i) {
      items.push_back(tests::make_registration("life-" + std::to_string(number++), "nothing"));
    }
    const auto made = value(to.enroll(std::move(items)));
    for (const auto& one : made.items) {
      value(to.wait(one.id, 60'000));
    }
    done += at_once;
  }
  return {done / seconds_since(start), (processor_seconds() - processor) / done};
}

/// Looks ten times a second, as a terminal with `belay top` and a script with `belay tree` would.
class looker {
public:
  explicit looker(std::uint16_t port)
    : client_{value(client::connect("127.0.0.1", port))}, thread_{[this] { run(); }} {}
  ~looker() {
    over_.set_value();
    thread_.join();
  }
  looker(const looker&) = delete;
  looker& operator=(const looker&) = delete;

  void look(bool on) {
    on_ = on;
  }
  [[nodiscard]] int looks() const {
    return looks_;
  }

private:
  void run() {
    constexpr std::chrono::milliseconds period{100};
    const auto asks = app::top::make_model(100).asks;
    const auto over = over_.get_future();
    auto next = bench::clock::now();
    while (over.wait_until(next) == std::future_status::timeout) {
      next += period;
      if (on_) {
        value(app::top::look(*client_, asks));
        value(client_->tree(tree_limit));
        ++looks_;
      }
    }
  }

  std::unique_ptr<client> client_;
  std::promise<void> over_;
  std::atomic<bool> on_{false};
  std::atomic<int> looks_{0};
  std::thread thread_;
};

void compare(client& to, std::uint16_t port, int rounds, double seconds) {
  looker other{port};
  std::vector<double> rates;
  std::vector<double> costs;
  lifecycles(to, 1);
  for (int i = 0; i < rounds; ++i) {
    effort both[2];
    // Each goes first in turn: what drifts, drifts for both.
    for (const bool looked : {i % 2 == 0, i % 2 != 0}) {
      other.look(looked);
      both[looked ? 1 : 0] = lifecycles(to, seconds);
    }
    rates.push_back(both[1].a_second / both[0].a_second);
    costs.push_back(both[1].processor / both[0].processor);
    std::printf("round %d: %.0f lifecycles/s alone, %.0f looked at, ratio %.3f; processor %.3f\n",
                i + 1, both[0].a_second, both[1].a_second, rates.back(), costs.back());
    std::fflush(stdout);
  }
  std::printf("%d looks; median ratio %.3f (aim: above 0.97), of processor time %.3f\n",
              other.looks(), median(rates), median(costs));
}

} // namespace

int main(int argc, char** argv) {
  const auto rounds = static_cast<int>(number_argument(argc, argv, 1, 8));
  const auto seconds = number_argument(argc, argv, 2, 5, 0.1);
  log::options quiet;
  quiet.level_min = log::level::error;
  log::init(quiet);
  const bench_directory scratch;
  std::printf("raw 4 KiB fdatasync: %.0f us\n", raw_sync_seconds(scratch.path()) * 1e6);
  actors::runtime_options options;
  options.store.directory = scratch.path();
  options.tools = make_tools();
  options.slots = running_rows + free_slots;
  // A debug build on a busy machine does not renew 10,000 leases in half a minute.
  options.ttl_ms = 600'000;
  options.renew_interval_ms = 60'000;
  actors::runtime node{std::move(options)};
  const auto near = value(client::connect("127.0.0.1", node.port()));
  auto& to = *near;
  fill(to);
  std::printf("%d rows, %d running; a client over loopback\n", rows, running_rows);
  const auto asks = app::top::make_model(1'000).asks;
  const auto id = [](const char* kind, int i) { return kind + std::to_string(i); };
  measure("top's look: counts, registry, nodes, 200 rows", 50,
          [&](int) { value(app::top::look(to, asks)); });
  measure("queues, 21 of them", 50, [&](int) { value(to.queues()); });
  measure("tree, 100 of each worker", 50, [&](int) { value(to.tree(tree_limit)); });
  const auto explain_one = [&](const process_id& which) {
    static_cast<void>(app::explain(value(app::gather(to, which))));
  };
  measure("explain, one that runs", 50, [&](int i) { explain_one(id("run-", i * 10)); });
  measure("explain, one that waits for a worker", 50,
          [&](int i) { explain_one(id("wait-", i * 10 + 1)); });
  measure("inspect, an actor", 50, [&](int) { value(to.tree(0)); });
  measure("inspect, a process", 50, [&](int i) {
    if (value(to.actors_of("local", id("run-", i * 10))).actors.size() != 2) {
      throw std::runtime_error{"no actors"};
    }
  });
  weigh(to, asks);
  compare(to, node.port(), rounds, seconds);
  measure("tree, all 10,000", 5, [&](int) { value(to.tree(running_rows)); });
  return 0;
}
