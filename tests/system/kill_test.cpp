// Kills a working node again and again: nothing that was acknowledged is lost, nothing ends twice,
// nothing is left running.
#include "storage/store.hpp"
#include "tests/support/program.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;

namespace {

constexpr int processes = 300;
constexpr int kills = 20;

/// Mixed lengths: most end at once, some take a while, a few a second; each with a grandchild.
std::string job(int number, const std::string& marker) {
  constexpr std::array lengths{"0", "0", "0.02", "0.1", "0.3", "1"};
  const auto* length = lengths.at(static_cast<std::size_t>(number) % lengths.size());
  const nlohmann::json line{{"id", "job-" + std::to_string(number)},
                            {"input",
                             {{"type", "tool_call"},
                              {"tool", "exec"},
                              {"args",
                               {{"argv", {"sh", "-c", std::string{"sleep "} + length + " & wait"}},
                                {"env", {{"BELAY_KILL_TEST", marker}}}}}}}};
  return line.dump() + "\n";
}

std::set<std::string> lines(const std::string& text) {
  std::set<std::string> result;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) {
    result.insert(line);
  }
  return result;
}

} // namespace

TEST_CASE("node: killed twenty times, every acknowledged process has one outcome",
          "[system][kill][s5-381][s5-385]") {
  const tests::scratch_directory scratch;
  const auto marker = scratch.path().filename().string();
  const auto data = scratch.path() / "data";
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  tests::node_process node{
    data, {"tools.exec.allow=[\"sh\"]", "worker.slots=24", "worker.interruptions_max=0"}};
  std::string bulk;
  for (int i = 0; i < processes; ++i) {
    bulk += job(i, marker);
  }
  const auto registered = node.ask({"start", "--file", "-"}, bulk);
  INFO(registered.err);
  REQUIRE(registered.code == 0);
  auto acknowledged = lines(registered.out);
  REQUIRE(acknowledged.size() == processes);
  for (int i = 0; i < kills; ++i) {
    // The instant of the kill is the subject: anywhere in start-up, recovery or work.
    tests::let_pass(std::chrono::milliseconds{std::uniform_int_distribution<>{1, 250}(random)});
    CHECK(node.end(SIGKILL) == 128 + SIGKILL);
    node.start();
    const auto more = node.ask({"start", "--file", "-"}, job(processes + i, marker));
    if (more.code == 0) {
      acknowledged.merge(lines(more.out));
    }
  }
  std::vector<std::string> wait{"wait", "--timeout", "120s"};
  wait.insert(wait.end(), acknowledged.begin(), acknowledged.end());
  const auto waited = node.ask(wait);
  INFO(waited.err);
  CHECK(waited.code == 0);
  CHECK(lines(waited.out).size() == acknowledged.size());
  CHECK(node.end(SIGTERM) == 0);

  storage::options options;
  options.directory = data;
  const storage::store store{options};
  const auto findings = store.check();
  CAPTURE(findings);
  CHECK(findings.empty());
  for (const auto& id : acknowledged) {
    const auto view = store.get(id);
    REQUIRE(view);
    CHECK(view->state == process_state::finished);
    CHECK(view->ended == outcome_kind::success);
  }
  CHECK(tests::processes_with("BELAY_KILL_TEST=" + marker).empty());
}

TEST_CASE("node: a killed node leaves no grandchild behind", "[system][kill]") {
  const tests::scratch_directory scratch;
  const auto marker = scratch.path().filename().string();
  tests::node_process node{scratch.path() / "data", {"tools.exec.allow=[\"sh\"]"}};
  const auto started
    = node.ask({"start", "--id", "deep", "exec", "--env", "BELAY_KILL_TEST=" + marker, "--stream",
                "--", "sh", "-c", "sleep 60 & sleep 60 & echo up; wait"});
  REQUIRE(started.code == 0);
  // Its output says that all of them run.
  for (std::string seen; seen.find("exec.stdout") == std::string::npos;) {
    seen = node.ask({"events", "deep"}).out;
  }
  REQUIRE(tests::processes_with("BELAY_KILL_TEST=" + marker).size() == 3);
  node.end(SIGKILL);
  // The kernel and the group guard need an instant; the test's own time limit is the bound.
  while (!tests::processes_with("BELAY_KILL_TEST=" + marker).empty()) {
    tests::let_pass(5ms);
  }
  SUCCEED("all gone");
}
