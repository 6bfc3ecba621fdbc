// A whole workflow on the driver in memory, and what a crash at any commit of it does.
#include "tests/support/workflow_driver.hpp"

using namespace belay;
using namespace belay::tests;
using namespace std::chrono_literals;

namespace {

int stamps = 0;

std::string now_text() {
  ++stamps;
  return "now";
}

belay::task<json> thumbnail_album(belay::workflow& wf, json album) {
  auto files = co_await wf.call("list_files", {{"dir", album["dir"]}});
  std::vector<belay::child> made;
  for (auto& f : files) {
    made.push_back(co_await wf.start("exec", {{"argv", {"convert", f}}}));
  }
  for (auto& c : made) {
    co_await c;
  }
  auto ok = co_await wf.wait_signal("approved", 24h);
  auto stamp = co_await wf.step("stamp", [] { return now_text(); });
  co_await wf.sleep(30 * 24h);
  co_return {{"files", files.size()}, {"approved", ok.has_value()}};
}

workflow_driver make_album() {
  workflow_driver driver{thumbnail_album};
  driver.args = {{"dir", "/pictures"}};
  driver.tools["list_files"] = [](const json& args) {
    return args == json{{"dir", "/pictures"}}
             ? make_success(R"(["a.jpg","b.jpg","c.jpg"])")
             : make_failure(failure_class::execution, "no", "no such directory", false);
  };
  driver.signals = {{"approved", json{{"by", "a person"}}}};
  return driver;
}

} // namespace

TEST_CASE("workflow: the sample runs to its end", "[workflow][sample]") {
  auto driver = make_album();
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::success);
  CHECK(ended->value == R"({"approved":true,"files":3})");
  CHECK(driver.children.size() == 3);
  CHECK(driver.children.count("p/exec.2") == 1);
  CHECK(driver.clock >= 1'000'000 + 30LL * 24 * 3'600 * 1'000);
}

TEST_CASE("workflow: a signal that does not come in time is nothing", "[workflow][sample]") {
  auto driver = make_album();
  driver.signals.clear();
  const auto ended = driver.run();
  REQUIRE(ended);
  CHECK(ended->value == R"({"approved":false,"files":3})");
}

TEST_CASE("workflow: the sample ends the same after a crash at any commit",
          "[workflow][sample][crash]") {
  check_every_crash(make_album);
}

TEST_CASE("workflow: a step whose entry was committed is not run again",
          "[workflow][sample][crash]") {
  auto calm = make_album();
  static_cast<void>(calm.run());
  for (std::uint64_t n = 1; n <= calm.commits; ++n) {
    auto one = make_album();
    one.crash_after = n;
    stamps = 0;
    static_cast<void>(one.run_through_crashes());
    CHECK(stamps == 1);
  }
}
