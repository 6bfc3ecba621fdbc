// What an operator types: looking after stores, and deciding about processes by hand.
#include "tests/support/program.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/mount.h>

using namespace belay;
using nlohmann::json;
using tests::run_belay;

namespace {

struct operator_fixture {
  tests::scratch_directory scratch;
  std::string data = (scratch.path() / "data").string();
  tests::node_process node{data, {"tools.exec.allow=[\"*\"]"}};

  std::string path(const std::string& name) const {
    return (scratch.path() / name).string();
  }

  json get(const std::string& id) {
    return json::parse(node.ask({"get", id, "-o", "json"}).out);
  }

  /// Runs a command of the group `wakes`.
  tests::program_result wakes(std::vector<std::string> words) {
    words.insert(words.begin(), "wakes");
    words.insert(words.end(), {"--data", data});
    return run_belay(words);
  }

  /// Registers from one line of JSON.
  void enroll(const std::string& line) {
    const auto got = node.ask({"start", "--quiet", "--file", "-"}, line + "\n");
    INFO(got.err);
    REQUIRE(got.code == 0);
  }
};

} // namespace

TEST_CASE_METHOD(operator_fixture, "store: checked, measured, backed up and exported while it runs",
                 "[system][store]") {
  const auto text = std::string(10'000, 'x');
  REQUIRE(node.ask({"start", "--id", "a", "exec", "--", "echo", text}).code == 0);
  REQUIRE(node.ask({"wait", "a"}).code == 0);
  CHECK(run_belay({"store", "check", "--data", data}).code == 0);
  const auto stat = json::parse(run_belay({"store", "stat", "--data", data, "-o", "json"}).out);
  CHECK(stat.at("by_state").at("success") == 1);
  CHECK(stat.at("records").at("event") == 3);
  CHECK(stat.at("used_bytes") <= stat.at("file_bytes"));

  REQUIRE(run_belay({"store", "backup", path("b.tar"), "--data", data}).code == 0);
  CHECK(run_belay({"store", "backup", path("b.tar"), "--data", data}).code == 2);
  REQUIRE(run_belay({"store", "restore", path("b.tar"), "--data", path("restored")}).code == 0);
  CHECK(run_belay({"store", "restore", path("b.tar"), "--data", path("restored")}).code == 2);
  CHECK(run_belay({"store", "check", "--data", path("restored")}).code == 0);

  const auto lines = run_belay({"store", "export", "-", "--data", data}).out;
  REQUIRE(run_belay({"store", "export", path("e.jsonl"), "--data", path("restored")}).code == 0);
  std::ifstream file{path("e.jsonl")};
  CHECK(std::string{std::istreambuf_iterator<char>{file}, {}} == lines);
  REQUIRE(run_belay({"store", "import", path("e.jsonl"), "--data", path("imported")}).code == 0);
  CHECK(run_belay({"store", "export", "-", "--data", path("imported")}).out == lines);
  CHECK(run_belay({"store", "import", path("e.jsonl"), "--data", path("imported")}).code == 2);

  CHECK(run_belay({"store", "compact", "--data", data}).code == 2); // The node holds it.
  CHECK(run_belay({"store", "compact", "--data", path("restored")}).code == 0);
  tests::node_process again{path("restored"), {}};
  CHECK(json::parse(again.ask({"get", "a", "-o", "json"}).out).at("outcome")
        == get("a").at("outcome"));
}

TEST_CASE_METHOD(operator_fixture, "store: damage is found by the check and by the doctor",
                 "[system][store]") {
  REQUIRE(node.ask({"start", "--id", "needle", "exec", "--", "true"}).code == 0);
  REQUIRE(node.ask({"wait", "needle"}).code == 0);
  CHECK(node.ask({"doctor"}).code == 0);
  REQUIRE(node.end(SIGKILL) != 0);
  const auto file = std::filesystem::path{data} / "belay.mdb";
  std::string bytes;
  {
    std::ifstream in{file, std::ios::binary};
    bytes.assign(std::istreambuf_iterator<char>{in}, {});
  }
  const std::string mark = "process.started";
  std::size_t hits = 0;
  for (auto at = bytes.find(mark); at != std::string::npos; at = bytes.find(mark, at + 1)) {
    bytes[at] = 'q';
    ++hits;
  }
  REQUIRE(hits > 0);
  std::ofstream{file, std::ios::binary} << bytes;
  const auto got = run_belay({"store", "check", "--data", data});
  CHECK(got.code == 74);
  CHECK(got.out.find("checksum") != std::string::npos);
  CHECK(run_belay({"store", "restore", file.string(), "--data", path("new")}).code == 2);
  CHECK_FALSE(std::filesystem::exists(path("new")));
  node.start();
  const auto live = node.ask({"doctor", "-o", "json"});
  CHECK(live.code == 1);
  CHECK_FALSE(json::parse(live.out).at("findings").empty());
}

TEST_CASE_METHOD(operator_fixture, "prune: dry run, by state, then the id is gone",
                 "[system][prune][s5-298]") {
  REQUIRE(node.ask({"start", "--id", "good", "exec", "--", "true"}).code == 0);
  REQUIRE(node.ask({"start", "--id", "bad", "exec", "--", "false"}).code == 0);
  static_cast<void>(node.ask({"wait", "good", "bad"}));
  CHECK(node.ask({"prune", "--older-than", "7d"}).out == "0 pruned\n");
  CHECK(node.ask({"prune", "--older-than", "0s", "--dry-run"}).out == "2 would be pruned\n");
  CHECK(node.ask({"prune", "--older-than", "0s", "--state", "failure"}).out == "1 pruned\n");
  const auto gone = node.ask({"get", "bad"});
  CHECK(gone.code == 2);
  CHECK(gone.err.find("was pruned") != std::string::npos);
  CHECK(node.ask({"start", "--id", "bad", "exec", "--", "true"}).code == 2);
  CHECK(node.ask({"prune", "--older-than", "0s", "--tombstones"}).code == 0);
  CHECK(node.ask({"start", "--id", "bad", "exec", "--", "true"}).code == 0);
  CHECK(node.ask({"prune", "--older-than", "never"}).code == 2);
  CHECK(node.ask({"prune", "--older-than", "1d", "--state", "ready"}).code == 2);
  CHECK(node.ask({"doctor"}).code == 0);
}

TEST_CASE("retention: old outcomes go by themselves", "[system][prune]") {
  const tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data",
                           {"retention.success=1s", "retention.tombstone=1s",
                            "worker.safety_sweep=1s", "tools.exec.allow=[\"*\"]"}};
  REQUIRE(node.ask({"start", "--id", "a", "exec", "--", "true"}).code == 0);
  REQUIRE(node.ask({"start", "--id", "b", "exec", "--", "false"}).code == 0);
  static_cast<void>(node.ask({"wait", "a", "b"}));
  tests::program_result got;
  for (int i = 0; i < 2'000 && got.err.find("no process has the id") == std::string::npos; ++i) {
    got = node.ask({"get", "a"});
  }
  CHECK(got.err.find("no process has the id") != std::string::npos);
  CHECK(node.ask({"get", "b"}).code == 0);
  CHECK(node.ask({"doctor"}).code == 0);
}

TEST_CASE_METHOD(operator_fixture, "by hand: complete, abandon, retry",
                 "[system][operator][s5-55]") {
  enroll(R"({"id": "ext", "input": {"type": "external", "metadata": {"n": 1}},)"
         R"( "rule": "externally_owned"})");
  CHECK(get("ext").at("state") == "external");
  CHECK(node.ask({"complete", "ext", "--outcome", "-"}, "nonsense").code == 2);
  CHECK(node.ask({"complete", "ext", "--outcome", "-"}, R"({"type": "maybe"})").code == 2);
  CHECK(node.ask({"complete", "ext", "--outcome", path("none")}).code == 2);
  const auto outcome = R"({"type": "success", "value": {"n": 3}})";
  CHECK(node.ask({"complete", "ext", "--outcome", "-"}, outcome).code == 0);
  CHECK(node.ask({"complete", "ext", "--outcome", "-"}, outcome).code == 0);
  CHECK(node.ask({"complete", "ext", "--outcome", "-"}, R"({"type": "success", "value": 4})").code
        == 2);
  CHECK(get("ext").at("outcome").at("value").at("n") == 3);

  REQUIRE(
    node.ask({"start", "--id", "later", "--due", "2099-01-01T00:00:00Z", "exec", "--", "true"}).code
    == 0);
  CHECK(node.ask({"retry", "later"}).code == 0);
  CHECK(node.ask({"wait", "later"}).code == 0);
  CHECK(node.ask({"retry", "later"}).out.find("later~1") == 0);
  CHECK(node.ask({"wait", "later~1"}).code == 0);
  CHECK(get("later~1").at("registration").at("labels").at("retry_of") == "later");
  CHECK(node.ask({"release", "later"}).code == 2);

  REQUIRE(
    node.ask({"start", "--id", "x", "--due", "2099-01-01T00:00:00Z", "exec", "--", "true"}).code
    == 0);
  CHECK(node.ask({"abandon", "x"}).code == 2); // Without a reason.
  CHECK(node.ask({"abandon", "x", "--reason", "not needed"}).out.find("is abandoned")
        != std::string::npos);
  CHECK(node.ask({"wait", "x"}).code == 4);
  CHECK(get("x").at("abandon").at("reason") == "not needed");
}

TEST_CASE_METHOD(operator_fixture, "sessions: observers, wakes and the change feed from the shell",
                 "[system][sessions]") {
  enroll(R"({"id": "a", "input": {"type": "tool_call", "tool": "nobody"}, "wake": "s",)"
         R"( "events": [{"type": "step", "schema": {"type": "object"}, "wake": {}}]})");
  CHECK(node.ask({"append", "a", "step", "--payload", "{\"text\": \"hi\"}", "--key", "k"}).code
        == 0);
  CHECK(node.ask({"append", "a", "step", "--payload", "5"}).code == 2);
  CHECK(node.ask({"append", "a", "other"}).code == 2);
  CHECK(node.ask({"observe", "a", "t"}).code == 0);
  CHECK(json::parse(node.ask({"list", "--observer", "t", "-o", "json"}).out).at("processes").size()
        == 1);
  const auto taken = json::parse(wakes({"take", "s"}).out);
  CHECK(taken.at("input") == "hi");
  const auto id = taken.at("id").dump();
  CHECK(wakes({"settle", id, "delivered", "--token", "1"}).code == 2);
  CHECK(wakes({"settle", id, "nonsense"}).code == 2);
  CHECK(wakes({"settle", id, "delivered", "--token", taken.at("token").dump()}).code == 0);
  CHECK(wakes({"list"}).out.empty());
  CHECK(wakes({"list", "--all"}).out.find("delivered") != std::string::npos);
  const auto seen = json::parse(node.ask({"session", "t", "-o", "json"}).out);
  REQUIRE(seen.at("processes").size() == 1);
  CHECK(seen.at("processes").at(0).at("roles") == json{"observer"});
  CHECK(seen.at("processes").at(0).at("events").size() == 3);
  CHECK(node.ask({"session", "s"}).out.find("nobody") != std::string::npos);
  CHECK(json::parse(node.ask({"session", "u", "-o", "json"}).out).at("total") == 0);
  CHECK(node.ask({"session", " "}).code == 2);
  CHECK(node.ask({"session", "t", "--limit", "0"}).code == 2);
  CHECK(json::parse(node.ask({"forget", "t"}).out).at("orphaned").at(0) == "a");
  CHECK(node.ask({"changes"}).out.find("\"id\":\"a\"") != std::string::npos);
}

TEST_CASE_METHOD(operator_fixture, "store: what cannot be written in full leaves nothing behind",
                 "[system][store]") {
  REQUIRE(node.ask({"start", "--id", "a", "exec", "--", "true"}).code == 0);
  REQUIRE(node.ask({"wait", "a"}).code == 0);
  const auto store = [this](std::vector<std::string> words, const std::string& directory) {
    words.insert(words.begin(), "store");
    words.insert(words.end(), {"--data", directory});
    return run_belay(words);
  };
  const auto lines = path("lines");
  REQUIRE(store({"export", lines}, data).code == 0);
  CHECK(store({"export", lines}, data).code == 2);
  std::ifstream in{lines};
  const std::string whole{std::istreambuf_iterator<char>{in}, {}};
  // Cut at the end of a line, as a full disk or a broken pipe may do.
  std::ofstream{path("cut")} << whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1);
  const auto cut = store({"import", path("cut")}, path("new"));
  CHECK(cut.code == 2);
  CHECK(cut.err.find("cut short") != std::string::npos);
  const auto nonsense = store({"import", "/etc/passwd"}, path("new"));
  CHECK(nonsense.code == 2);
  CHECK(nonsense.err.find("line 1: not JSON") != std::string::npos);
  CHECK(store({"import", "/"}, path("new")).code == 2);
  CHECK_FALSE(std::filesystem::exists(path("new")));
  CHECK(store({"import", lines}, path("new")).code == 0);
  CHECK(store({"import", lines}, path("new")).code == 2);
  CHECK(store({"check"}, path("new")).code == 0);
  const auto none = store({"compact"}, path("none"));
  CHECK(none.code == 2);
  CHECK(none.err.find("there is no store in it") != std::string::npos);

  const auto small = path("small");
  std::filesystem::create_directories(small);
  if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=8k") != 0) {
    WARN("a tmpfs cannot be mounted here: skipped");
    return;
  }
  CHECK(store({"backup", small + "/tar"}, data).code == 74);
  CHECK(std::filesystem::is_empty(small));
  std::ofstream{small + "/fill"} << std::string(8'192, 'x');
  const auto full = store({"export", small + "/lines"}, data);
  CHECK(full.code == 74);
  CHECK(full.err.find("is the disk full?") != std::string::npos);
  std::filesystem::remove(small + "/fill");
  CHECK(std::filesystem::is_empty(small));
  CHECK(umount(small.c_str()) == 0);
}

TEST_CASE_METHOD(operator_fixture, "prune: an age beyond all times prunes nothing",
                 "[system][prune]") {
  REQUIRE(node.ask({"start", "--id", "a", "exec", "--", "true"}).code == 0);
  REQUIRE(node.ask({"wait", "a"}).code == 0);
  const auto got = node.ask({"prune", "--older-than", "99999999999d"});
  CHECK(got.code == 0);
  CHECK(got.out == "0 pruned\n");
}
