// Nonsense in, a clear word out: exit code 2 and nothing half-written.
#include "storage/about.hpp"
#include "storage/codec.hpp"
#include "tests/support/program.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <lmdb.h>
#include <nlohmann/json.hpp>

using namespace belay;
using tests::run_belay;

namespace {

struct bad_case {
  std::vector<std::string> arguments;
  /// What the error must say.
  std::string says;
  std::string input;
  int code = 2;
};

std::string line(const std::string& members) {
  return R"({"input": {"type": "tool_call", "tool": "echo"}, )" + members + "}\n";
}

/// Cases that reach a node, or are refused before one is asked.
std::vector<bad_case> client_cases() {
  const std::vector<std::string> bulk{"start", "--file", "-"};
  return {
    {{"start", "--id", " ", "echo"}, "id: a blank id"},
    {{"start", "--id", std::string(257, 'x'), "echo"}, "at most 256 bytes"},
    {{"start", "--id", "a\nb", "echo"}, "without control characters"},
    {{"start", "--id", "a ", "echo"}, "no white space at either end"},
    {{"start", "--id", "a\xff", "echo"}, "UTF-8"},
    {{"start", "--priority", "1001", "echo"}, "priority: 1001"},
    {{"start", "--timeout", "-5s", "echo"}, "--timeout"},
    {{"start", "--timeout", "30", "echo"}, "expected a number with a unit"},
    {{"start", "--due", "tomorrow", "echo"}, "due: \"tomorrow\""},
    {{"start", "--due", "2026-12-01T03:00:00Z", "--in", "1h", "echo"}, "--due and --in"},
    {{"start", "--rule", "sometimes", "echo"}, "rerunnable, owner_bound or externally_owned"},
    {{"start", "--queue", "a b", "echo"}, "queue: \"a b\""},
    {{"start", "--label", "team", "echo"}, "NAME=VALUE"},
    {{"start", "--retries", "5000", "echo"}, "retry.attempts: 5001"},
    {{"start", "--args", "{", "echo"}, "--args: not JSON at byte"},
    {{"start", "exec"}, "exec needs a program"},
    {{"start", "echo", "--", "word"}, "--args JSON"},
    {{"start"}, "start needs a tool"},
    {{"start", "--stdin", "/", "exec", "--", "cat"}, "--stdin: cannot read '/'"},
    {{"changes", "--since", "-1"}, "'-1' is not acceptable, expected a whole number"},
    {{"events", "a", "--after", "-1"}, "'-1' is not acceptable"},
    {{"complete", "x", "--outcome", "/"}, "--outcome: cannot read '/'"},
    {{"complete", "x", "--outcome", "-"}, "type: missing", "{}"},
    {{"complete", "x", "--outcome", "-"},
     "unknown key \"vlaue\"; did you mean 'value'?",
     R"({"type": "success", "vlaue": 1})"},
    {{"complete", "x", "--outcome", "-"},
     "class: \"odd\"",
     R"({"type": "failure", "class": "odd"})"},
    {{"session", " "}, "session: a blank id"},
    {{"session", "s", "--events", "1001"}, "events: 1001"},
    {{"start", "--file", "/no/such/file"}, "cannot read '/no/such/file'"},
    {bulk, "line 1: not JSON at byte", "{\n"},
    {bulk, "line 2: not JSON", line(R"("id": "b")") + "nonsense\n"},
    {bulk, "unknown key \"queu\"; did you mean 'queue'?", line(R"("queu": "x")")},
    {bulk, "timeout_ms: -1", line(R"("timeout_ms": -1)")},
    {bulk, "timeout_ms: 1.5", line(R"("timeout_ms": 1.5)")},
    {bulk, "timeout_ms: \"30s\"", line(R"("timeout_ms": "30s")")},
    {bulk, "the key \"id\" stands twice", line(R"("id": "b", "id": "c")")},
    {bulk, "input: missing", "{\"id\": \"b\"}\n"},
    {bulk, "input.workflow: null", R"({"input": {"type": "workflow"}})"},
    {bulk, "input.version: 0", R"({"input": {"type": "workflow", "workflow": "w", "version": 0}})"},
    {bulk, "input.type: \"engine\"", R"({"input": {"type": "engine"}})"},
    {bulk, "input.tool: null", R"({"input": {"type": "tool_call"}})"},
    {bulk, "input.args: [1]", R"({"input": {"type": "tool_call", "tool": "echo", "args": [1]}})"},
    {bulk, "retry.factor: 0.5", line(R"("retry": {"factor": 0.5})")},
    {bulk, "retry: unknown key \"attemps\"; did you mean 'attempts'?",
     line(R"("retry": {"attemps": 2})")},
    {bulk, "labels.team: 5", line(R"("labels": {"team": 5})")},
    {bulk, "externally_owned is for external inputs", line(R"("rule": "externally_owned")")},
    {bulk, "nested deeper than 64", std::string(100, '[') + "\n"},
    {bulk, "line 3: the id 'b' stands in this message with another registration",
     line(R"("id": "b")") + "\n" + line(R"("id": "b", "priority": 1)")},
    {{"wait", "nobody"}, "no process has the id 'nobody'"},
    {{"get", "nobody"}, "no process has the id 'nobody'"},
    {{"events", "nobody"}, "no process has the id 'nobody'"},
    {{"cancel", "nobody"}, "no process has the id 'nobody'"},
    {{"kill", "nobody"}, "no process has the id 'nobody'"},
    {{"list", "--state", "runing"}, "state: 'runing' is not a state"},
    {{"list", "--limit", "0"}, "limit: 0 is not acceptable, expected 1 to 1000"},
    {{"list", "--after", "x"}, "--after: 'x' is not a cursor"},
  };
}

/// Cases that need no node.
std::vector<bad_case> lone_cases(const std::string& held) {
  return {
    {{"frobnicate"}, "unknown command 'frobnicate'"},
    {{"strat"}, "did you mean 'start'?"},
    {{"store", "chek"}, "unknown command 'store chek'; did you mean 'check'?"},
    {{"wakes", "settle", "-1", "redrive"}, "WAKE"},
    {{}, "subcommand is required"},
    {{"get"}, "ID is required"},
    {{"get", "x", "-o", "xml"}, "xml not in"},
    {{"get", "x", "--node", "nowhere"}, "expected HOST:PORT"},
    {{"get", "x", "--node", "127.0.0.1:1", "--connect-timeout", "1ms"},
     "cannot reach a node",
     "",
     69},
    {{"get", "x", "--data", "/no/such/dir", "--connect-timeout", "1ms"}, "no node runs", "", 69},
    {{"run"}, "run needs a program"},
    {{"run", "--data", held, "--", "true"}, "it is held by process"},
    {{"node", "--data", held}, "it is held by process"},
    {{"node", "--data", "/proc/nothing"}, "cannot be used"},
    {{"config", "check", "--set", "worker.slot=8"}, "did you mean 'worker.slots'?"},
    {{"config", "check", "--set", "worker.slots=0"}, "expected a whole number from 1 to 10000"},
    {{"config", "check", "--set", "lease.ttl=30"}, "expected a duration with a unit"},
    {{"config", "check", "--set", "lease.ttl=10s"}, "at least three times lease.renew_interval"},
    {{"config", "check", "--set", "node.address=0.0.0.0"}, "expected a loopback address"},
    {{"node", "--data", held, "--name", "a\nb"}, "node.name: 'a"},
    {{"node", "--data", held, "--name", "\xff\xfe"}, "node.name: the value is not UTF-8 text"},
    {{"node", "--data", held, "--name", ""}, "--name: '' is not acceptable"},
    {{"node", "--data", held, "--slots", "0"}, "expected a whole number from 1"},
    {{"nodes", "--node", ""}, "--node: '' is not acceptable"},
    {{"nodes", "--node", "[::1"}, "expected HOST:PORT as in 127.0.0.1:7400 or [::1]:7400"},
    {{"nodes", "--node", "::1:7400"}, "is not an address"},
    {{"nodes", "--node", "http://a:7400"}, "is not an address"},
    {{"nodes", "--node", "a'b:7400"}, "is not an address"},
    {{"config", "check", "--set", "node.tls=/no/such"},
     "node.tls: /no/such/ca.pem: cannot be read"},
    {{"config", "check", "--set", "log.levels=[\"sweper=debug\"]"}, "did you mean 'sweeper'?"},
    {{"config", "check", "--conf", "/no/such.toml"}, "cannot read the configuration file"},
  };
}

void check(const bad_case& x, const tests::program_result& got) {
  CAPTURE(x.arguments, x.says, x.input, got.out, got.err);
  CHECK(got.code == x.code);
  CHECK(got.err.find(x.says) != std::string::npos);
  CHECK(got.out.empty());
}

} // namespace

TEST_CASE("bad input: every nonsense is refused by name and nothing is written",
          "[system][input]") {
  const tests::scratch_directory scratch;
  const auto data = scratch.path() / "data";
  tests::node_process node{data, {}};
  for (const auto& x : client_cases()) {
    check(x, node.ask(x.arguments, x.input));
  }
  const auto listed = nlohmann::json::parse(node.ask({"list", "-o", "json"}).out);
  CHECK(listed.at("processes").empty());
  for (const auto& x : lone_cases(data.string())) {
    check(x, run_belay(x.arguments, x.input));
  }
  CHECK(node.end(SIGTERM) == 0);
}

TEST_CASE("bad input: a payload over the limit is refused with both sizes", "[system][input]") {
  const tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data", {"registration.input_max=1KiB"}};
  const auto got
    = node.ask({"start", "echo", "--args", R"({"x": ")" + std::string(2'000, 'x') + "\"}"});
  CHECK(got.code == 2);
  CHECK(got.err.find("expected at most 1024 bytes") != std::string::npos);
}

TEST_CASE("bad input: a program that may not run or is not there fails its process",
          "[system][input]") {
  const tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data",
                           {"tools.exec.allow=[\"true\", \"/usr/bin/t?ue\"]"}};
  const auto outcome = [&node](const std::vector<std::string>& program) {
    std::vector<std::string> arguments{"start", "exec", "--"};
    arguments.insert(arguments.end(), program.begin(), program.end());
    auto id = node.ask(arguments).out;
    id.pop_back();
    const auto got = node.ask({"wait", "-o", "json", id});
    CHECK(got.code >= 0);
    return nlohmann::json::parse(got.out).at("outcome");
  };
  CHECK(outcome({"true"}).at("type") == "success");
  CHECK(outcome({"sh", "-c", "true"}).at("code") == "program_not_allowed");
  CHECK(outcome({"./true"}).at("code") == "program_not_found");
  CHECK(outcome({"no-such-program"}).at("code") == "program_not_found");
}

TEST_CASE("bad input: a data directory of a newer format is refused with both versions",
          "[system][input]") {
  const tests::scratch_directory scratch;
  const auto data = scratch.path() / "data";
  {
    tests::node_process node{data, {}};
    REQUIRE(node.ask({"list"}).code == 0);
    REQUIRE(node.end(SIGTERM) == 0);
  }
  MDB_env* env = nullptr;
  mdb_env_create(&env);
  mdb_env_set_maxdbs(env, 64);
  REQUIRE(mdb_env_open(env, (data / "belay.mdb").c_str(), MDB_NOSUBDIR, 0600) == 0);
  MDB_txn* txn = nullptr;
  MDB_dbi meta = 0;
  REQUIRE(mdb_txn_begin(env, nullptr, 0, &txn) == 0);
  REQUIRE(mdb_dbi_open(txn, "meta", 0, &meta) == 0);
  // The next version, its checksum as it should be: only the version is wrong.
  const auto newer = storage::store_format() + 1;
  std::string key = "format";
  MDB_val k{key.size(), key.data()};
  auto bytes = storage::byte_writer{}.u64(newer).record();
  MDB_val v{bytes.size(), bytes.data()};
  REQUIRE(mdb_put(txn, meta, &k, &v, 0) == 0);
  REQUIRE(mdb_txn_commit(txn) == 0);
  mdb_env_close(env);
  const auto got = run_belay({"node", "--data", data.string()});
  CHECK(got.code == 2);
  CHECK(got.err.find("format version " + std::to_string(newer)
                     + ", this program knows versions up to " + std::to_string(newer - 1))
        != std::string::npos);
}

TEST_CASE("bad input: a file that is no store is refused and left alone", "[system][input]") {
  const tests::scratch_directory scratch;
  const auto data = scratch.path() / "data";
  std::filesystem::create_directories(data);
  const std::string text(100'000, 'n');
  std::ofstream{data / "belay.mdb"} << text;
  const auto got = run_belay({"node", "--data", data.string()});
  CHECK(got.code == 2);
  CHECK(got.err.find("is not a belay store") != std::string::npos);
  std::ifstream in{data / "belay.mdb"};
  CHECK(std::string{std::istreambuf_iterator<char>{in}, {}} == text);
}

TEST_CASE("bad input: with less room on the disk than asked for nothing new is taken",
          "[system][input]") {
  const tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data", {"store.free_min=1024GiB"}};
  const auto got = node.ask({"start", "--id", "a", "echo"});
  CHECK(got.code == 2);
  CHECK(got.err.find("nearly full") != std::string::npos);
  CHECK(node.ask({"get", "a"}).code == 2);
}

TEST_CASE("bad input: with a full store new processes are refused and others still end",
          "[system][input]") {
  const tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data",
                           {"store.size_max=8MiB", "tools.exec.allow=[\"sleep\"]"}};
  REQUIRE(node.ask({"start", "--id", "runs", "exec", "--", "sleep", "600"}).code == 0);
  std::string bulk;
  for (int i = 0; i < 100; ++i) {
    bulk += line(R"("due": "2099-01-01T00:00:00Z", "labels": {"fill": ")" + std::string(250, 'x')
                 + "\"}");
  }
  tests::program_result got;
  for (int i = 0; i < 100 && got.code == 0; ++i) {
    got = node.ask({"start", "--quiet", "--file", "-"}, bulk);
  }
  CHECK(got.code == 2);
  CHECK(got.err.find("nearly full") != std::string::npos);
  CHECK(node.ask({"cancel", "runs"}).code == 0);
  CHECK(node.ask({"wait", "runs", "--timeout", "20s"}).code == 3);
}
