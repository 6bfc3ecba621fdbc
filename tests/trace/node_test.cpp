// Traces of real nodes: what a collector would be told of processes, retries, kills and workflows.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"
#include "tests/trace/collector.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

using namespace belay;
using nlohmann::json;
using tests::has;

namespace {

const std::string trace_id = "0af7651916cd43dd8448eb211c80319c";
const std::string caller = "b7ad6b7169203331";
const std::string around = "00-" + trace_id + "-" + caller + "-01";

struct seen_span {
  json text;

  [[nodiscard]] std::string id() const {
    return text.at("spanId");
  }
  [[nodiscard]] std::string trace() const {
    return text.at("traceId");
  }
  [[nodiscard]] std::string parent() const {
    return text.value("parentSpanId", "");
  }
  [[nodiscard]] std::int64_t start() const {
    return std::stoll(text.at("startTimeUnixNano").get<std::string>());
  }
  [[nodiscard]] std::int64_t end() const {
    return std::stoll(text.at("endTimeUnixNano").get<std::string>());
  }
  [[nodiscard]] std::string attribute(const std::string& key) const {
    for (const auto& x : text.at("attributes")) {
      if (x.at("key") == key) {
        return x.at("value").front().get<std::string>();
      }
    }
    return "";
  }
  [[nodiscard]] std::string traceparent() const {
    return "00-" + trace() + "-" + id() + "-01";
  }
};

/// Every span of a file, by name. Requires that each line is JSON.
struct seen_spans {
  std::multimap<std::string, seen_span> by_name;

  void read(const std::filesystem::path& file) {
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);) {
      const auto message = json::parse(line);
      for (const auto& from : message.at("resourceSpans")) {
        for (const auto& scope : from.at("scopeSpans")) {
          for (const auto& x : scope.at("spans")) {
            by_name.emplace(x.at("name"), seen_span{x});
          }
        }
      }
    }
  }

  /// The spans of one process.
  [[nodiscard]] std::vector<seen_span> of(const std::string& name, const std::string& id) const {
    std::vector<seen_span> result;
    const auto [first, last] = by_name.equal_range(name);
    for (auto it = first; it != last; ++it) {
      if (it->second.attribute("belay.process.id") == id) {
        result.push_back(it->second);
      }
    }
    return result;
  }

  [[nodiscard]] seen_span only(const std::string& name, const std::string& id) const {
    const auto all = of(name, id);
    CAPTURE(name, id);
    REQUIRE(all.size() == 1);
    return all.front();
  }
};

struct node_fixture {
  tests::scratch_directory scratch;
  std::filesystem::path file = scratch.path() / "spans.jsonl";

  [[nodiscard]] std::vector<std::string> settings(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"tools.exec.allow=[\"*\"]", "trace.file=" + file.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// Ends the node in good order, which writes what is left.
  seen_spans spans_after(tests::node_process& node) const {
    tests::stop_and_check(node);
    seen_spans all;
    all.read(file);
    return all;
  }
};

void start(const tests::node_process& node, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "start");
  const auto got = node.ask(std::move(arguments));
  INFO(got.err);
  REQUIRE(got.code == 0);
}

json outcome_of(const tests::node_process& node, const std::string& id) {
  const auto got = node.ask({"wait", "--timeout", "60s", "-o", "json", id});
  INFO(got.out << got.err);
  return json::parse(got.out).at("outcome");
}

std::string printed(const json& outcome) {
  const auto text = outcome.at("value").at("stdout").get<std::string>();
  return text.substr(0, text.find('\n'));
}

} // namespace

TEST_CASE_METHOD(node_fixture, "traces: a process is one trace from the caller to the program",
                 "[trace][system]") {
  tests::node_process node{scratch.path() / "data", settings()};
  start(node, {"--id", "p", "--traceparent", around, "exec", "--", "printenv", "TRACEPARENT"});
  start(node, {"--id", "own", "--traceparent", around, "--env", "TRACEPARENT=mine", "exec", "--",
               "printenv", "TRACEPARENT"});
  start(node, {"--id", "none", "exec", "--", "printenv", "TRACEPARENT"});
  const auto shown = printed(outcome_of(node, "p"));
  CHECK(printed(outcome_of(node, "own")) == "mine");
  const auto made = printed(outcome_of(node, "none"));
  const auto spans = spans_after(node);

  const auto registered = spans.only("register", "p");
  const auto wait = spans.only("wait", "p");
  const auto claim = spans.only("claim", "p");
  const auto run = spans.only("run", "p");
  for (const auto& x : {registered, wait, claim, run}) {
    CHECK(x.trace() == trace_id);
    CHECK(x.start() <= x.end());
  }
  CHECK(registered.parent() == caller);
  CHECK(wait.parent() == registered.id());
  CHECK(claim.parent() == registered.id());
  CHECK(run.parent() == registered.id());
  CHECK(shown == run.traceparent());
  CHECK(registered.start() <= claim.start());
  CHECK(wait.end() <= claim.start());
  CHECK(claim.end() <= run.start());
  CHECK(run.attribute("belay.kind") == "exec");
  CHECK(run.attribute("belay.queue") == "default");
  CHECK(run.attribute("belay.attempt") == "1");
  CHECK(run.attribute("belay.owner") == "local");
  CHECK(run.attribute("belay.outcome") == "success");
  CHECK_FALSE(run.text.contains("status"));

  // One without a context has a trace of its own.
  const auto root = spans.only("register", "none");
  CHECK(root.parent().empty());
  CHECK(root.trace() != trace_id);
  CHECK(made == spans.only("run", "none").traceparent());
  CHECK(spans.only("run", "none").trace() == root.trace());

  std::set<std::string> linked;
  const auto [first, last] = spans.by_name.equal_range("commit");
  for (auto it = first; it != last; ++it) {
    for (const auto& x : it->second.text.at("links")) {
      linked.insert(x.at("spanId"));
    }
  }
  CHECK(linked.count(registered.id()) == 1);
  CHECK(linked.count(claim.id()) == 1);
  CHECK(linked.count(run.id()) == 1);
}

TEST_CASE_METHOD(node_fixture, "traces: off, and not sampled, a context is handed on as it is",
                 "[trace][system]") {
  const auto quiet = around.substr(0, around.size() - 1) + "0";
  {
    tests::node_process node{scratch.path() / "off", {"tools.exec.allow=[\"*\"]"}};
    start(node, {"--id", "p", "--traceparent", around, "exec", "--", "printenv", "TRACEPARENT"});
    start(node, {"--id", "none", "exec", "--", "sh", "-c", "echo \"<$TRACEPARENT>\""});
    CHECK(printed(outcome_of(node, "p")) == around);
    CHECK(printed(outcome_of(node, "none")) == "<>");
    tests::stop_and_check(node);
  }
  tests::node_process node{scratch.path() / "on", settings({"trace.sample=0"})};
  start(node, {"--id", "q", "--traceparent", quiet, "exec", "--", "printenv", "TRACEPARENT"});
  start(node, {"--id", "none", "exec", "--", "printenv", "TRACEPARENT"});
  CHECK(printed(outcome_of(node, "q")) == quiet);
  const auto made = printed(outcome_of(node, "none"));
  CHECK(made.substr(made.size() - 3) == "-00");
  CHECK(spans_after(node).by_name.empty());
}

TEST_CASE_METHOD(node_fixture, "traces: every attempt is a span of its own, and says how it ended",
                 "[trace][system]") {
  tests::node_process node{scratch.path() / "data", settings()};
  start(node, {"--id", "p", "--traceparent", around, "--retries", "1", "--backoff", "1ms", "exec",
               "--", "sh", "-c", "echo $TRACEPARENT; [ $BELAY_ATTEMPT = 2 ]"});
  const auto shown = printed(outcome_of(node, "p"));
  const auto spans = spans_after(node);
  const auto runs = spans.of("run", "p");
  REQUIRE(runs.size() == 2);
  const auto& failed = runs[0].attribute("belay.attempt") == "1" ? runs[0] : runs[1];
  const auto& second = runs[0].attribute("belay.attempt") == "1" ? runs[1] : runs[0];
  CHECK(failed.id() != second.id());
  CHECK(failed.trace() == second.trace());
  CHECK(failed.text.at("status").at("code") == 2);
  CHECK(failed.attribute("belay.failure.code") == "exit_1");
  CHECK(second.attribute("belay.outcome") == "success");
  CHECK(shown == second.traceparent());
  CHECK(failed.end() <= second.start());
  CHECK(spans.of("wait", "p").size() == 2);
  CHECK(spans.of("claim", "p").size() == 2);
}

TEST_CASE_METHOD(node_fixture, "traces: a killed worker's run and its successor's are told apart",
                 "[trace][system][kill]") {
  const auto port = tests::free_port();
  tests::node_process registry{scratch.path() / "data",
                               settings({"node.port=" + std::to_string(port)}),
                               BELAY_PROGRAM,
                               {"--role", "registry"}};
  const auto second_file = scratch.path() / "second.jsonl";
  const auto flags = [](const std::filesystem::path& to) {
    return std::vector<std::string>{"--set", "tools.exec.allow=[\"*\"]", "--set",
                                    "trace.file=" + to.string()};
  };
  tests::worker_process first{port, "first", flags(scratch.path() / "first.jsonl")};
  const auto began = scratch.path() / "began";
  const auto end = (scratch.path() / "end").string();
  start(registry, {"--id", "p", "--traceparent", around, "exec", "--", "sh", "-c",
                   "echo $TRACEPARENT | tee -a '" + began.string() + "'; until [ -e '" + end
                     + "' ]; do sleep 0.02; done"});
  while (!std::filesystem::exists(began) || std::filesystem::file_size(began) == 0) {
    tests::let_pass(std::chrono::milliseconds{5});
  }
  CHECK(first.end(SIGKILL) == 128 + SIGKILL);
  tests::worker_process second{port, "second", flags(second_file)};
  std::ofstream{end}.close();
  const auto shown = printed(outcome_of(registry, "p"));
  CHECK(second.end(SIGTERM) == 0);
  auto spans = spans_after(registry);
  spans.read(second_file);

  const auto runs = spans.of("run", "p");
  REQUIRE(runs.size() == 2);
  const auto lost = runs[0].attribute("belay.owner") == "first" ? runs[0] : runs[1];
  const auto done = runs[0].attribute("belay.owner") == "first" ? runs[1] : runs[0];
  CHECK(lost.attribute("belay.outcome") == "interrupted");
  CHECK(lost.text.at("status").at("code") == 2);
  CHECK(done.attribute("belay.owner") == "second");
  CHECK(done.attribute("belay.outcome") == "success");
  CHECK(lost.trace() == trace_id);
  CHECK(done.trace() == trace_id);
  CHECK(lost.id() != done.id());
  CHECK(lost.parent() == done.parent());
  CHECK(shown == done.traceparent());
  // What the killed run started was told of the span that the registry has written for it.
  std::ifstream in{began};
  std::string told;
  std::getline(in, told);
  CHECK(told == lost.traceparent());
}

TEST_CASE_METHOD(node_fixture, "traces: a workflow with its steps, calls and children is one trace",
                 "[trace][system][workflow]") {
  tests::node_process node{scratch.path() / "data", settings(), BELAY_CONTRARY};
  const json with{{"argv", {"printenv", "TRACEPARENT"}}};
  start(node, {"--id", "w", "--traceparent", around, "family", "--args", with.dump()});
  const auto outcome = outcome_of(node, "w");
  CAPTURE(outcome.dump());
  REQUIRE(outcome.at("type") == "success");
  const auto spans = spans_after(node);
  const auto& value = outcome.at("value");
  const auto child_id = value.at("id").get<std::string>();

  std::map<std::string, seen_span> runs;
  for (const auto& x : spans.of("run", "w")) {
    runs.emplace(x.id(), x);
  }
  const auto step = spans.only("step", "w");
  CHECK(step.attribute("belay.step") == "look");
  const auto call = spans.only("call", "w");
  CHECK(call.attribute("belay.call") == "exec");
  const auto child = spans.only("register", child_id);
  for (const auto& x : {step, call, child}) {
    CHECK(x.trace() == trace_id);
    REQUIRE(runs.count(x.parent()) == 1);
    const auto& run = runs.at(x.parent());
    CHECK(run.start() <= x.start());
    CHECK(x.start() <= run.end());
  }
  CHECK(spans.only("register", "w").parent() == caller);
  CHECK(spans.only("run", child_id).parent() == child.id());
  CHECK(value.at("called").at("stdout") == call.traceparent() + "\n");
  CHECK(value.at("child").at("stdout") == spans.only("run", child_id).traceparent() + "\n");
}

TEST_CASE_METHOD(node_fixture,
                 "traces: a collector that is down holds nothing up, and gets all when "
                 "it is there",
                 "[trace][system]") {
  const auto port = tests::free_port();
  const auto url = "http://127.0.0.1:" + std::to_string(port) + "/v1/traces";
  tests::node_process node{scratch.path() / "data",
                           {"tools.exec.allow=[\"*\"]", "trace.endpoint=" + url,
                            "trace.flush_interval=1ms", "trace.retries=100", "trace.retry_min=10ms",
                            "trace.retry_max=200ms"}};
  start(node, {"--id", "early", "--traceparent", around, "exec", "--", "true"});
  CHECK(outcome_of(node, "early").at("type") == "success");
  tests::collector there{port};
  there.wait_for(R"("early")");
  start(node, {"--id", "late", "--traceparent", around, "exec", "--", "true"});
  there.wait_for(R"("late")");
  tests::stop_and_check(node);
  const auto first = json::parse(there.wait_for(std::size_t{1}).at(0).body);
  const auto& whose = first.at("resourceSpans").at(0).at("resource").at("attributes");
  CHECK(has(whose.dump(), R"({"key":"service.name","value":{"stringValue":"belay"}})"));
}

TEST_CASE_METHOD(node_fixture, "traces: settings that cannot be are refused by name",
                 "[trace][system]") {
  const auto refused = [this](const std::string& setting, const std::string& text) {
    const auto got
      = tests::run_belay({"node", "--data", (scratch.path() / "d").string(), "--set", setting});
    CAPTURE(setting, got.err);
    CHECK(got.code == 2);
    CHECK(has(got.err, setting.substr(0, setting.find('='))));
    CHECK(has(got.err, text));
  };
  refused("trace.sample=1.5", "expected a number from 0 to 1");
  refused("trace.sample=some", "expected a number from 0 to 1");
  refused("trace.endpoint=127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces");
  refused("trace.retry_max=1ms", "trace.retry_min");
  refused("trace.file=" + (scratch.path() / "no" / "file").string(), "No such file or directory");
}
