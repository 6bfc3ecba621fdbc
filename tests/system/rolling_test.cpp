// Three workers that are restarted one after the other while they have work.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <list>
#include <nlohmann/json.hpp>

using namespace belay;
using nlohmann::json;

namespace {

/// More than is done while one worker is restarted, however slow the machine: registered anew as it
/// runs low.
constexpr int backlog = 100;

struct rolling_fixture {
  rolling_fixture() {
    for (const auto* name : {"w1", "w2", "w3"}) {
      workers.emplace_back(
        port, name, std::vector<std::string>{"--slots", "2", "--set", "tools.exec.allow=[\"*\"]"});
      until_joined(name);
    }
  }

  [[nodiscard]] bool joined(const std::string& name) const {
    std::istringstream lines{registry.ask({"nodes", "-o", "json"}).out};
    for (std::string line; std::getline(lines, line);) {
      const auto x = json::parse(line);
      if (x.at("name") == name && x.at("state") == "connected") {
        return true;
      }
    }
    return false;
  }

  void until_joined(const std::string& name) const {
    while (!joined(name)) {
    }
  }

  /// Sees to it that there is work.
  void top_up() {
    if (counted("live").size() >= backlog) {
      return;
    }
    const auto path = (scratch.path() / "batch").string();
    std::ofstream out{path};
    for (int i = 0; i < 2 * backlog; ++i) {
      const auto number = std::to_string(count++);
      const json args{{"argv", {"sh", "-c", "echo " + number + " >> '" + log() + "'; sleep 0.1"}}};
      out << json{{"id", "p" + number},
                  {"input", {{"type", "tool_call"}, {"tool", "exec"}, {"args", args}}}}
               .dump()
          << '\n';
    }
    out.close();
    REQUIRE(registry.ask({"start", "-q", "--file", path}).code == 0);
  }

  [[nodiscard]] json counted(const std::string& state) const {
    return json::parse(
             registry.ask({"list", "-o", "json", "--limit", "1000", "--state", state}).out)
      .at("processes");
  }

  [[nodiscard]] std::string log() const {
    return (scratch.path() / "log").string();
  }

  tests::scratch_directory scratch;
  std::uint16_t port = tests::free_port();
  tests::node_process registry{scratch.path() / "data",
                               {"node.port=" + std::to_string(port)},
                               BELAY_PROGRAM,
                               {"--role", "registry"}};
  std::list<tests::worker_process> workers;
  int count = 0;
};

} // namespace

TEST_CASE_METHOD(rolling_fixture, "rolling restart: nothing is lost, and nothing runs twice",
                 "[system][cluster][rolling]") {
  for (auto& one : workers) {
    top_up();
    const auto drained = registry.ask({"drain", one.name(), "--timeout", "60s"});
    INFO(drained.err);
    REQUIRE(drained.code == 0);
    CHECK(one.end(SIGTERM) == 0);
    one.start();
    until_joined(one.name());
  }
  // The same with no more than a SIGTERM, which drains by itself.
  top_up();
  auto& first = workers.front();
  CHECK(first.end(SIGTERM) == 0);
  first.start();
  while (!counted("live").empty()) {
  }
  const auto ended = counted("success");
  CHECK(static_cast<int>(ended.size()) == count);
  for (const auto& one : ended) {
    INFO(one.dump());
    CHECK(one.at("interruptions") == 0);
    CHECK(one.at("attempt") == 1);
  }
  std::ifstream lines{log()};
  CHECK(std::count(std::istreambuf_iterator<char>{lines}, std::istreambuf_iterator<char>{}, '\n')
        == count);
  tests::stop_and_check(registry);
}
