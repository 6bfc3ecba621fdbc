// A program that talks to a node by messages alone, and what docs/REMOTE.md says of it.
#include "tests/support/program.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace belay;

namespace {

std::string text_of(const std::string& path) {
  std::ifstream in{path};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

} // namespace

TEST_CASE("remote: registers, follows and awaits by messages", "[examples][remote][system]") {
  const tests::scratch_directory scratch;
  const auto port = tests::free_port();
  const tests::node_process node{scratch.path() / "data",
                                 {"tools.exec.allow=[\"*\"]", "node.port=" + std::to_string(port)}};
  REQUIRE(node.ask({"nodes"}).code == 0); // It is up.
  const auto run = [&port](const std::string& job) {
    return tests::run_program({BELAY_REMOTE, std::to_string(port), job});
  };
  const std::string job = R"({"id": "far-1", "input": {"type": "tool_call", "tool": "exec",
                              "args": {"argv": ["echo", "hello"]}}})";
  const auto first = run(job);
  INFO(first.out << first.err);
  CHECK(first.code == 0);
  CHECK(first.out.find("1 process.registered {}\n2 process.started ") == 0);
  CHECK(first.out.find("3 process.completed") != std::string::npos);
  CHECK(first.out.find(R"("stdout":"hello\n")") != std::string::npos);
  CHECK(run(job).out == first.out); // The same again is the same process.
  const auto other = run(R"({"id": "far-1", "input": {"type": "tool_call", "tool": "exec",
                             "args": {"argv": ["echo", "other"]}}})");
  CHECK(other.code == 1);
  CHECK(other.err.find("registration_conflict") != std::string::npos);
}

TEST_CASE("remote: the document shows the program as it is", "[examples][remote]") {
  std::istringstream lines{text_of(BELAY_SOURCE_DIR "/examples/remote/main.cpp")};
  std::string shown;
  for (std::string line; std::getline(lines, line);) {
    shown += line.empty() ? "\n" : "    " + line + "\n";
  }
  CHECK(text_of(BELAY_SOURCE_DIR "/docs/REMOTE.md").find(shown) != std::string::npos);
}
