// The program of the chaos test's nodes: a workflow with a step, children, a signal and a call.
#include "app/embedding.hpp"

using namespace std::chrono_literals;
using belay::json;
using belay::task;
using belay::workflow;

namespace {

/// args: {"log": a file, "wait": milliseconds}. Each line of the log is one execution.
task<json> trip(workflow& wf, json args) {
  const std::string log = args.at("log");
  const std::string line = "echo \"" + wf.id() + "/leg\" >> '" + log + "'";
  auto first = co_await wf.step("first", [] { return 1; });
  std::vector<belay::child> legs;
  for (int i = 0; i < 2; ++i) {
    legs.push_back(co_await wf.start("exec", {{"argv", {"sh", "-c", line}}}));
  }
  for (auto& one : legs) {
    co_await one;
  }
  const auto said = co_await wf.wait_signal("go", 500ms);
  auto second = co_await wf.call("echo", {{"n", first}});
  co_return {{"legs", legs.size()}, {"told", said.has_value()}, {"echo", second}};
}

} // namespace

int main(int argc, char** argv) {
  belay::embedding node;
  node.workflow("trip", trip);
  return node.run(argc, argv);
}
