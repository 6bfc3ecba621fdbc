// What a node says to its service manager, and when it says that it lives: on a clock of the test.
#include "app/service_manager.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace belay::app;
using namespace std::chrono_literals;

namespace {

struct watchdog_fixture {
  watchdog_fixture() {
    watchdog::setup setup;
    setup.limit = 10s;
    setup.ask = [this](std::chrono::milliseconds patience, std::function<void(bool)> answered) {
      CHECK(patience == 10s);
      open.push_back(std::move(answered));
    };
    setup.alive = [this] { ++alive; };
    setup.silent = [this] { ++silent; };
    watch.emplace(std::move(setup));
  }

  void answer(bool yes) {
    REQUIRE_FALSE(open.empty());
    const auto answered = std::move(open.back());
    open.pop_back();
    answered(yes);
  }

  std::vector<std::function<void(bool)>> open;
  int alive = 0;
  int silent = 0;
  watchdog::time_point now{1h};
  std::optional<watchdog> watch;
};

struct manager_fixture {
  std::vector<std::string> said;
  service_manager manager{{[this](const std::string& x) { said.push_back(x); }, 0us}};
};

} // namespace

TEST_CASE_METHOD(watchdog_fixture, "watchdog: a sign of life is an answer, at half of the time",
                 "[app][service]") {
  watch->tick(now);
  CHECK(alive == 0); // Asked is not answered.
  answer(true);
  CHECK(alive == 1);
  CHECK(*watch->due() == now + 5s);
  watch->tick(now + 4'999ms);
  CHECK(open.empty());
  watch->tick(now + 5s);
  answer(true);
  CHECK(alive == 2);
  CHECK(silent == 0);
}

TEST_CASE_METHOD(watchdog_fixture, "watchdog: who does not answer gives no sign of life",
                 "[app][service]") {
  watch->tick(now);
  for (int i = 1; i <= 5; ++i) {
    watch->tick(now + i * 5s);
  }
  CHECK(open.size() == 1); // No questions pile up.
  CHECK(alive == 0);
  CHECK(silent == 5);
  answer(false);
  CHECK(alive == 0);
  watch->tick(now + 30s);
  answer(true); // Back again.
  CHECK(alive == 1);
}

TEST_CASE("watchdog: without one nothing is asked", "[app][service]") {
  watchdog none{{}};
  CHECK_FALSE(none.due());
  none.tick(watchdog::time_point{1h}); // Would call what is not there.
}

TEST_CASE("watchdog: a late answer may outlive it", "[app][service]") {
  std::function<void(bool)> kept;
  int alive = 0;
  {
    watchdog::setup setup;
    setup.limit = 10s;
    setup.ask = [&kept](std::chrono::milliseconds, std::function<void(bool)> x) { kept = x; };
    setup.alive = [&alive] { ++alive; };
    watchdog watch{std::move(setup)};
    watch.tick(watchdog::time_point{1h});
  }
  kept(true);
  CHECK(alive == 1);
}

TEST_CASE_METHOD(manager_fixture, "service manager: ready once started and able to work",
                 "[app][service]") {
  SECTION("the work first") {
    manager.takes_work(true);
    CHECK(said.empty());
    manager.started("listens");
  }
  SECTION("the start first") {
    manager.started("listens");
    CHECK(said.empty());
    manager.takes_work(true);
  }
  CHECK(said == std::vector<std::string>{"READY=1\nSTATUS=listens"});
}

TEST_CASE_METHOD(manager_fixture, "service manager: a text is one line, whatever is in it",
                 "[app][service]") {
  manager.takes_work(true);
  manager.started("a\nWATCHDOG=1");
  CHECK(said.back() == "READY=1\nSTATUS=a WATCHDOG=1");
  manager.reloading();
  manager.reloaded("no\nREADY=1");
  CHECK(said.back() == "READY=1\nSTATUS=a WATCHDOG=1; the last reload was refused: no READY=1");
  manager.reloading();
  manager.reloaded(std::nullopt);
  CHECK(said.back() == "READY=1\nSTATUS=a WATCHDOG=1");
}

TEST_CASE_METHOD(manager_fixture, "service manager: who stops is not ready again",
                 "[app][service]") {
  manager.started("works");
  manager.takes_work(true);
  manager.stopping("draining", 50s);
  CHECK(said.back() == "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=50000000");
  const auto before = said.size();
  manager.reloading();
  manager.reloaded(std::nullopt);
  manager.takes_work(false);
  CHECK(said.size() == before);
}

TEST_CASE("service manager: without one nothing is said", "[app][service]") {
  service_manager none{{}};
  none.starting("x");
  none.started("x");
  none.takes_work(true);
  none.alive();
  none.stopping("x", 1s); // Would call what is not there.
}
