// Many at once: clients that come and vanish, and a large cluster.
//
//     BELAY_CROWD_SECONDS=60      how long clients come and go (default 20)
#include "tests/support/far_node.hpp"
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
using clock_type = std::chrono::steady_clock;

namespace {

/// What a node holds for those who are connected.
struct holdings {
  std::size_t actors = 0;
  std::size_t waiters = 0;
  std::size_t descriptors = 0;
};

holdings held_by(const tests::node_process& node, tests::far_node& far) {
  return {far.snapshot(far.supervisor).at("actors").get<std::size_t>(),
          far.snapshot(far.to.watcher).at("waiters").get<std::size_t>(),
          tests::open_descriptors_of(node.os_pid())};
}

std::string in_seconds(int length) {
  const auto at = std::time(nullptr) + length;
  std::tm parts{};
  gmtime_r(&at, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// Packets that a host of a network has received and sent.
std::uint64_t packets_of(const std::string& program_on_host) {
  // /proc/net/dev: name: bytes packets errs drop fifo frame compressed multicast, the same sent.
  std::istringstream lines{tests::run_program({program_on_host, "/proc/net/dev"}).out};
  std::uint64_t sum = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto at = line.find("eth0:");
    if (at == std::string::npos) {
      continue;
    }
    std::istringstream numbers{line.substr(at + 5)};
    std::uint64_t number = 0;
    for (int i = 0; i < 10 && numbers >> number; ++i) {
      sum += i == 1 || i == 9 ? number : 0;
    }
  }
  return sum;
}

} // namespace

TEST_CASE("crowd: a hundred clients that come and vanish leave nothing behind", "[chaos][crowd]") {
  const auto* given = std::getenv("BELAY_CROWD_SECONDS");
  const std::chrono::seconds length{given != nullptr ? std::atoi(given) : 20};
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const auto pick = [&random](int low, int high) {
    return std::uniform_int_distribution<>{low, high}(random);
  };
  const tests::scratch_directory scratch;
  const auto port = tests::free_port();
  const auto data = (scratch.path() / "data").string();
  tests::node_process node{data,
                           {"node.port=" + std::to_string(port), "tools.exec.allow=[\"true\"]"}};
  REQUIRE(
    node.ask({"start", "--id", "never", "--due", "2099-01-01T00:00:00Z", "exec", "--", "true"}).code
    == 0);
  // What a node keeps once it has run a program.
  REQUIRE(node.ask({"start", "--id", "first", "exec", "--", "true"}).code == 0);
  REQUIRE(node.ask({"wait", "first"}).code == 0);
  tests::far_node far{port};
  const auto before = held_by(node, far);

  struct visitor {
    int os_pid = 0;
    clock_type::time_point leaves;
  };
  constexpr std::size_t crowd = 100;
  std::list<visitor> present;
  int came = 0;
  const auto arrive = [&] {
    static const std::vector<std::vector<std::string>> errands{
      {"wait", "never", "--data", data},
      {"events", "never", "--follow", "--data", data},
      {"start", "--data", data, "exec", "--", "true"},
      {"list", "--data", data}};
    auto argv = errands[static_cast<std::size_t>(pick(0, static_cast<int>(errands.size()) - 1))];
    argv.insert(argv.begin(), BELAY_PROGRAM);
    present.push_back(
      {tests::start_program(argv), clock_type::now() + std::chrono::milliseconds{pick(0, 12'000)}});
    ++came;
  };
  // Nobody leaves before all are there: how fast programs start is the machine's affair.
  while (present.size() < crowd) {
    arrive();
  }
  for (auto& one : present) {
    one.leaves = clock_type::now() + std::chrono::milliseconds{pick(0, 12'000)};
  }
  const auto end = clock_type::now() + length;
  while (clock_type::now() < end) {
    for (auto it = present.begin(); it != present.end();) {
      if (it->leaves <= clock_type::now()) {
        tests::end_program(it->os_pid, SIGKILL);
        it = present.erase(it);
      } else {
        ++it;
      }
    }
    if (present.size() < crowd) {
      arrive();
    } else {
      tests::let_pass(std::chrono::milliseconds{5});
    }
  }
  for (const auto& one : present) {
    tests::end_program(one.os_pid, SIGKILL);
  }
  CHECK(came > static_cast<int>(crowd)); // Some have come after others left.
  holdings after;
  do { // What is registered still runs, and what was cut off is noticed; the test's bound is its
       // own.
    after = held_by(node, far);
  } while (after.actors > before.actors || after.waiters > before.waiters
           || after.descriptors > before.descriptors);
  std::printf("seed %u: %d clients; actors %zu, then %zu; descriptors %zu, then %zu\n", seed, came,
              before.actors, after.actors, before.descriptors, after.descriptors);
  CHECK(node.ask({"doctor"}).code == 0);
  tests::stop_and_check(node);
}

TEST_CASE("crowd: 64 workers of 8 slots share a thousand processes that fall due at once",
          "[chaos][crowd]") {
  constexpr int nodes = 64;
  constexpr int count = 1'000;
  const tests::scratch_directory scratch;
  const auto ca = (scratch.path() / "ca").string();
  const auto net = tests::network::possible() ? std::make_unique<tests::network>(2) : nullptr;
  const auto port = tests::free_port();
  const auto where = (net ? net->address(0) : "127.0.0.1") + ":" + std::to_string(port);
  std::vector<std::string> flags{"--role", "registry", "--listen", where};
  std::vector<std::string> worker_flags{"--slots", "8", "--set", "tools.exec.allow=[\"true\"]"};
  if (net) {
    REQUIRE(tests::run_belay({"tls", "init", ca}).code == 0);
    REQUIRE(tests::run_belay(
              {"tls", "issue", ca, "registry", "--role", "admin", "--host", net->address(0)})
              .code
            == 0);
    REQUIRE(tests::run_belay({"tls", "issue", ca, "w", "--role", "worker"}).code == 0);
    flags.insert(flags.end(), {"--tls", ca + "/registry"});
    worker_flags.insert(worker_flags.end(), {"--tls", ca + "/w"});
  }
  tests::node_process registry{
    scratch.path() / "data", {}, net ? net->on(0, BELAY_PROGRAM) : BELAY_PROGRAM, flags};
  std::list<tests::worker_process> workers;
  for (int i = 0; i < nodes; ++i) {
    workers.emplace_back(where, "w" + std::to_string(i), worker_flags,
                         net ? net->on(1, BELAY_PROGRAM) : BELAY_PROGRAM);
  }
  const auto shown = [&registry] {
    std::vector<json> all;
    std::istringstream lines{registry.ask({"nodes", "-o", "json"}).out};
    for (std::string line; std::getline(lines, line);) {
      all.push_back(json::parse(line));
    }
    return all;
  };
  while (shown().size() < nodes + 1) {
  }

  // The timer is what is tested; what the workers do before it is idle traffic.
  constexpr int seconds = 8;
  const auto path = (scratch.path() / "batch").string();
  {
    std::ofstream out{path};
    const auto due = in_seconds(seconds);
    for (int i = 0; i < count; ++i) {
      out << json{{"id", "p" + std::to_string(i)},
                  {"due", due},
                  {"input",
                   {{"type", "tool_call"}, {"tool", "exec"}, {"args", {{"argv", {"true"}}}}}}}
               .dump()
          << '\n';
    }
  }
  REQUIRE(registry.ask({"start", "-q", "--file", path}).code == 0);
  double idle = 0;
  if (net) {
    const auto cat = net->on(0, "/bin/cat");
    const auto begin = clock_type::now();
    const auto packets = packets_of(cat);
    tests::let_pass(std::chrono::seconds{3});
    const std::chrono::duration<double> length = clock_type::now() - begin;
    idle = static_cast<double>(packets_of(cat) - packets) / length.count() / nodes;
    CHECK(idle > 0);
    CHECK(idle < 20);
  }
  const auto list = [&registry](const std::string& state) {
    return json::parse(
             registry.ask({"list", "-o", "json", "--limit", "1000", "--state", state}).out)
      .at("processes");
  };
  while (list("success").size() < count) {
  }
  std::map<std::string, int> by_worker;
  for (const auto& one : list("success")) {
    ++by_worker[one.at("first_started").at("owner").get<std::string>()];
  }
  int least = count;
  int largest = 0;
  for (const auto& [name, times] : by_worker) {
    least = std::min(least, times);
    largest = std::max(largest, times);
  }
  std::printf("64 workers: %.1f packets a second and node while idle; each ran %d to %d of %d\n",
              idle, least, largest, count);
  CHECK(by_worker.size() == nodes);
  CHECK(least >= 8); // The first grants fill all slots alike.
  CHECK(largest <= 4 * count / nodes);
  for (auto& one : workers) {
    CHECK(one.end(SIGTERM) == 0);
  }
  tests::stop_and_check(registry);
}
