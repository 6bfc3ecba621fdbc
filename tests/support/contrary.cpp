// A program with workflows and tools that do what they should not: for tests from the shell.
#include "app/embedding.hpp"

#include <fstream>

using belay::json;
using belay::task;
using belay::workflow;

namespace {

task<json> waits(workflow& wf, json /*args*/) {
  wf.set_status({{"stage", "waiting"}});
  const auto said = co_await wf.wait_signal("go");
  wf.attach("first", "twice");
  wf.attach("second", "twice");
  wf.attach(said.dump(), "said");
  co_return said;
}

task<json> large_result(workflow& /*wf*/, json args) {
  co_return std::string(args.at("bytes").get<std::size_t>(), 'x');
}

task<json> large_step(workflow& wf, json args) {
  const auto bytes = args.at("bytes").get<std::size_t>();
  const auto make = [&bytes] { return std::string(bytes, 'x'); };
  co_return co_await wf.step("make", make);
}

task<json> calls(workflow& wf, json args) {
  const auto tool = args.at("tool").get<std::string>();
  const belay::arguments with = args.at("with");
  co_return co_await wf.call(tool, with);
}

/// Waits for the process that it is a part of.
task<json> looks_up(workflow& wf, json args) {
  auto above = wf.attach_to(args.at("above").get<std::string>());
  co_return co_await above;
}

task<json> knot(workflow& wf, json /*args*/) {
  auto below = co_await wf.start_workflow("looks_up", {{"above", wf.id()}});
  co_return co_await below;
}

task<json> many(workflow& wf, json args) {
  std::vector<belay::child> made;
  for (auto i = args.at("children").get<int>(); i > 0; --i) {
    made.push_back(co_await wf.start("echo", belay::arguments{}));
  }
  co_return made.size();
}

/// Leaves more behind at once than one message to another node may have.
task<json> hoards(workflow& wf, json args) {
  const auto bytes = args.at("bytes").get<std::size_t>();
  json refs;
  for (char c = 'a'; c < 'e'; ++c) {
    refs.push_back(wf.attach(std::string(bytes, c), std::string{c}));
  }
  co_await wf.sleep(std::chrono::milliseconds{1});
  co_return refs;
}

/// A step, a call and a child, in turn.
task<json> family(workflow& wf, json args) {
  const auto look = [] { return 1; };
  co_await wf.step("look", look);
  const belay::arguments with = args;
  const auto called = co_await wf.call("exec", with);
  auto below = co_await wf.start("exec", with);
  const auto id = below.id();
  const auto ended = co_await below;
  co_return {{"called", called}, {"child", ended}, {"id", id}};
}

/// Hears nothing until somebody opens the pipe for writing.
json deaf(belay::tool_context& context, const json& args) {
  context.progress({{"stage", "deaf"}});
  const std::ifstream pipe{args.at("pipe").get<std::string>()};
  return "late";
}

} // namespace

int main(int argc, char** argv) {
  const auto strict = json::parse(R"({"type": "object", "required": ["room"],
    "properties": {"room": {"type": "object", "properties": {"beds": {"type": "integer"}}}}})");
  belay::embedding node;
  node.tool("deaf", true, deaf)
    .tool("strict_tool", strict, [](const json& args) { return args; })
    .workflow("waits", waits)
    .workflow("strict", waits, {.schema = strict})
    .workflow("large_result", large_result)
    .workflow("large_step", large_step)
    .workflow("calls", calls)
    .workflow("looks_up", looks_up)
    .workflow("knot", knot)
    .workflow("many", many)
    .workflow("hoards", hoards)
    .workflow("family", family)
    .workflow("several", waits, {.version = 1})
    .workflow("several", waits, {.version = 2});
  return node.run(argc, argv);
}
