// Time from starting a node anew after SIGKILL until a process that was running runs again; 20
// runs.
#include "actors/node/client.hpp"
#include "tests/bench/bench.hpp"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/wait.h>

using namespace belay;
using namespace belay::bench;

namespace {

int start_node(const std::filesystem::path& data) {
  std::filesystem::remove(data / "node.json");
  const auto child = fork();
  if (child == 0) {
    execl(BELAY_PROGRAM, BELAY_PROGRAM, "node", "--data", data.c_str(), "--set",
          "tools.exec.allow=[\"*\"]", "--set", "log.level=error", "--set",
          "worker.interruptions_max=0", nullptr);
    _exit(127);
  }
  return child;
}

std::unique_ptr<actors::client> connect(const std::filesystem::path& data) {
  for (;;) {
    std::ifstream in{data / "node.json"};
    const auto text = nlohmann::json::parse(in, nullptr, false);
    if (text.is_object()) {
      auto made = actors::client::connect("127.0.0.1", text.at("port").get<std::uint16_t>());
      if (made) {
        return std::move(*made);
      }
    }
    poll(nullptr, 0, 1);
  }
}

/// Waits until the process has been started `times` times; returns when the last start was written.
void wait_started(actors::client& client, const process_id& id, int times) {
  event_seq after = 0;
  for (int seen = 0; seen < times;) {
    const auto page = client.follow(id, after, 100, 10'000);
    if (!page) {
      throw std::runtime_error{page.why().text};
    }
    for (const auto& x : page->events) {
      seen += x.type == event_types::started ? 1 : 0;
      after = x.seq;
    }
  }
}

} // namespace

int main() {
  constexpr int runs = 20;
  const bench_directory scratch;
  const auto data = scratch.path() / "data";
  auto node = start_node(data);
  {
    const auto client = connect(data);
    const nlohmann::json text{
      {"id", "long"},
      {"input", {{"type", "tool_call"}, {"tool", "exec"}, {"args", {{"argv", {"sleep", "600"}}}}}}};
    static_cast<void>(client->enroll({*parse_registration(text, recovery_rule::rerunnable)}));
    wait_started(*client, "long", 1);
  }
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    kill(node, SIGKILL);
    waitpid(node, nullptr, 0);
    const auto start = clock::now();
    node = start_node(data);
    const auto client = connect(data);
    wait_started(*client, "long", i + 2);
    times.push_back(seconds_since(start));
  }
  kill(node, SIGKILL);
  waitpid(node, nullptr, 0);
  std::sort(times.begin(), times.end());
  std::printf(
    "SIGKILL and restart to running again, %d runs: median %.1f ms, least %.1f, most %.1f\n", runs,
    median(times) * 1e3, times.front() * 1e3, times.back() * 1e3);
  return 0;
}
