// The example programs as a person runs them, killed again and again.

#include "tests/examples/pictures.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

using namespace belay;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

/// No number of lost owners makes a node suspicious here: the kills are the test's.
const std::vector<std::string> settings{"worker.interruptions_max=0", "workflow.park_after=50ms"};

struct running_example {
  explicit running_example(std::string program)
    : node{scratch.path() / "data", settings, std::move(program)} {}

  void start(const std::string& id, const std::string& workflow, const json& args) {
    const auto started = node.ask({"start", "--id", id, workflow, "--args", args.dump()});
    INFO(started.err);
    REQUIRE(started.code == 0);
  }

  void kill_and_restart() {
    CHECK(node.end(SIGKILL) == 128 + SIGKILL);
    node.start();
  }

  json result_of(const std::string& id) {
    const auto waited = node.ask({"wait", "--timeout", "200s", "-o", "json", id});
    INFO(waited.out << waited.err);
    REQUIRE(waited.code == 0);
    return json::parse(waited.out).at("outcome").at("value");
  }

  tests::scratch_directory scratch;
  tests::node_process node;
};

} // namespace

TEST_CASE("album: killed at any instant, it is published once and whole",
          "[examples][album][system][kill]") {
  constexpr std::uint32_t pictures = 60;
  running_example x{BELAY_ALBUM};
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  const auto target = x.scratch.path() / "album";
  tests::write_pictures(x.scratch.path() / "pictures", pictures, 240);
  x.start("a", "album",
          {{"source", (x.scratch.path() / "pictures").string()}, {"target", target.string()}});
  const auto kill_soon = [&] {
    // The instant of the kill is the subject: anywhere in start-up, recovery or work.
    tests::let_pass(std::chrono::milliseconds{std::uniform_int_distribution<>{1, 300}(random)});
    x.kill_and_restart();
  };
  for (int i = 0; i < 5; ++i) {
    kill_soon();
  }
  for (int i = 0; i < 2; ++i) {
    const auto sent
      = x.node.ask({"signal", "a", "approved", "--data", R"({"ok": true})", "--key", "k"});
    INFO(sent.err);
    REQUIRE(sent.code == 0);
    kill_soon();
  }
  const auto result = x.result_of("a");
  CHECK(result.at("published") == true);
  CHECK(result.at("pictures") == pictures);

  auto files = tests::files_below(target);
  CHECK(files.size() == pictures + 1);
  const auto manifest = json::parse(x.node.ask({"attachment", "a", "manifest.json"}).out);
  CHECK(manifest.at("page_sha256") == files.at("index.html"));
  REQUIRE(manifest.at("pictures").size() == pictures);
  for (const auto& one : manifest.at("pictures")) {
    CHECK(one.at("sha256") == files.at("thumbs/" + one.at("name").get<std::string>()));
  }
  const auto shown = json::parse(x.node.ask({"get", "-o", "json", "a"}).out);
  CHECK(shown.at("status").at("stage") == "published");
  tests::stop_and_check(x.node);
}

TEST_CASE("album: cancelled while it waits, nothing is left of it",
          "[examples][album][system][cancel]") {
  running_example x{BELAY_ALBUM};
  const auto target = x.scratch.path() / "album";
  tests::write_pictures(x.scratch.path() / "pictures", 8, 100);
  x.start("a", "album",
          {{"source", (x.scratch.path() / "pictures").string()}, {"target", target.string()}});
  for (std::string seen; seen.find("waiting for approval") == std::string::npos;) {
    seen = x.node.ask({"get", "-o", "json", "a"}).out;
  }
  CHECK(tests::files_below(target).size() == 8);
  CHECK(x.node.ask({"cancel", "a"}).code == 0);
  x.kill_and_restart();
  CHECK(x.node.ask({"wait", "--timeout", "60s", "a"}).code == 3);
  CHECK_FALSE(fs::exists(target));
  tests::stop_and_check(x.node);
}

TEST_CASE("album: arguments that do not fit are refused by name", "[examples][album][system]") {
  running_example x{BELAY_ALBUM};
  const auto no = x.node.ask(
    {"start", "--id", "a", "album", "--args", R"({"source": "/x", "target": "/y", "width": 1})"});
  CHECK(no.code == 2);
  CHECK(no.err.find("args/width: 1 is not acceptable") != std::string::npos);
  CHECK(x.node.ask({"get", "a"}).code == 2);
}

TEST_CASE("crawl: a thousand children, killed twice, and every hash right",
          "[examples][crawl][system][kill]") {
  constexpr int files = 1'000;
  running_example x{BELAY_CRAWL};
  const auto root = x.scratch.path() / "tree";
  std::map<std::string, std::string> expected;
  for (int i = 0; i < files; ++i) {
    const auto name
      = "folder-" + std::to_string(i % 25) + "/" + std::to_string(i * 7'919 % 104'729) + ".txt";
    const auto text = "file " + std::to_string(i) + "\n";
    fs::create_directories((root / name).parent_path());
    std::ofstream{root / name} << text;
    expected.emplace(name, examples::sha256(text));
  }
  REQUIRE(expected.size() == files);
  const auto manifest = x.scratch.path() / "manifest";
  x.start("c", "crawl", {{"root", root.string()}, {"manifest", manifest.string()}});
  for (const auto* child : {"c/crawl.hash.100", "c/crawl.hash.500"}) {
    // Unknown until the crawl has started it.
    while (x.node.ask({"wait", child}).code != 0) {
    }
    x.kill_and_restart();
  }
  const auto result = x.result_of("c");
  std::string lines;
  for (const auto& [name, hash] : expected) {
    lines += hash + "  " + name + "\n";
  }
  CHECK(examples::read_file(manifest) == lines);
  CHECK(result.at("sha256") == examples::sha256(lines));
  CHECK(result.at("files") == files);
  const auto checked = tests::run_program(
    {"sh", "-c", "cd " + root.string() + " && sha256sum --quiet -c " + manifest.string()});
  INFO(checked.out << checked.err);
  CHECK(checked.code == 0);
  const auto stat = x.node.ask(
    {"list", "-o", "json", "--state", "success", "--kind", "crawl.hash", "--limit", "1000"});
  CHECK(json::parse(stat.out).at("processes").size() == files);
  tests::stop_and_check(x.node);
}
