// The lease keeper alone: the registry, the sweeper and the process are the test's own.
#include "actors/worker/lease_keeper.hpp"

#include "tests/support/captured_log.hpp"
#include "tests/support/deterministic_system.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <nlohmann/json.hpp>

using namespace belay;
using namespace std::chrono_literals;

namespace {

/// A keeper of a lease of 30 s that is renewed every 10 s, at time 0 of `at`.
struct keeper_fixture : tests::deterministic_system {
  enum class answers { lease, full, unknown, superseded, nothing };

  keeper_fixture() {
    begin = steady_ms();
    registry = sys.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      self->set_default_handler(caf::drop);
      return {[this, self](atom::renew, const lease& held) -> caf::result<lease> {
        renewals.push_back(at());
        switch (answer) {
          case answers::full:
            return caf::make_error(ec::store_full, std::string{"full"});
          case answers::unknown:
            return caf::make_error(ec::outcome_unknown, std::string{"fault"});
          case answers::superseded:
            return caf::make_error(ec::lease_superseded, std::string{"fence 2 is held by other"});
          case answers::nothing:
            pending.push_back(self->make_response_promise<lease>());
            return pending.back();
          case answers::lease:
            break;
        }
        return held;
      }};
    });
    process = sys.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      self->set_default_handler(caf::drop);
      return {[this](atom::lost, const std::string& why) { lost.emplace_back(at(), why); }};
    });
    sweeper = sys.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      self->set_default_handler(caf::drop);
      return {[this, self](atom::alarm, std::uint64_t, bool, std::uint32_t tag, duration_ms delay) {
        ++alarms;
        self->delayed_send(keeper, std::chrono::milliseconds{delay}, atom::alarm_v, tag);
      }};
    });
    actors::keeper_setup setup;
    setup.held.id = "a";
    setup.held.fence = fencing_token{1};
    setup.registry = caf::actor_cast<registry_actor>(registry);
    setup.process = caf::actor_cast<process_actor>(process);
    setup.sweeper = caf::actor_cast<sweeper_actor>(sweeper);
    setup.ttl_ms = 30'000;
    setup.renew_interval_ms = 10'000;
    keeper = sys.spawn(actors::lease_keeper, std::move(setup));
    run();
  }

  ~keeper_fixture() {
    sched.clock().cancel_all();
    keeper = nullptr;
    pending.clear();
    for (auto* who : {&registry, &process, &sweeper}) {
      stop(*who);
    }
  }

  /// Milliseconds since the lease was granted.
  [[nodiscard]] timestamp_ms at() const {
    return steady_ms() - begin;
  }

  void until(timestamp_ms time) {
    advance(std::chrono::milliseconds{time - at()});
  }

  timestamp_ms begin = 0;
  int alarms = 0;
  answers answer = answers::lease;
  std::vector<timestamp_ms> renewals;
  std::vector<std::pair<timestamp_ms, std::string>> lost;
  std::vector<caf::typed_response_promise<lease>> pending;
  caf::actor registry;
  caf::actor process;
  caf::actor sweeper;
  lease_keeper_actor keeper;
};

} // namespace

TEST_CASE_METHOD(keeper_fixture, "lease keeper: renews in time, for ever", "[actors][lease]") {
  until(65'000);
  CHECK(renewals == std::vector<timestamp_ms>{10'000, 20'000, 30'000, 40'000, 50'000, 60'000});
  CHECK(lost.empty());
}

TEST_CASE_METHOD(keeper_fixture, "lease keeper: a renewal that fails is tried again while it lasts",
                 "[actors][lease][s5-276]") {
  answer = answers::full;
  until(14'000);
  CHECK(renewals == std::vector<timestamp_ms>{10'000, 13'000});
  answer = answers::unknown;
  until(17'000);
  CHECK(renewals.back() == 16'000);
  CHECK(lost.empty());
  answer = answers::lease;
  until(40'000);
  // The one at 19 s succeeded: the run goes on, and is renewed in time again.
  CHECK(renewals == std::vector<timestamp_ms>{10'000, 13'000, 16'000, 19'000, 29'000, 39'000});
  CHECK(lost.empty());
  answer = answers::full;
  until(68'999);
  CHECK(lost.empty());
  until(69'001); // 30 s after the last success was sent.
  REQUIRE(lost.size() == 1);
  CHECK(lost.front().first == 69'000);
}

TEST_CASE_METHOD(keeper_fixture, "lease keeper: gives up before the registry gives the row away",
                 "[actors][lease][s5-276]") {
  answer = answers::unknown;
  until(29'000);
  // What the grant took to get here is not known: a tenth is left aside.
  REQUIRE(lost.size() == 1);
  CHECK(lost.front().first == 27'000);
  CHECK(renewals == std::vector<timestamp_ms>{10'000, 13'000, 16'000, 19'000, 22'000, 25'000});
}

TEST_CASE_METHOD(keeper_fixture, "lease keeper: a registry that is silent is asked once at a time",
                 "[actors][lease][s5-276]") {
  answer = answers::nothing;
  until(29'000);
  CHECK(renewals == std::vector<timestamp_ms>{10'000});
  REQUIRE(lost.size() == 1);
  CHECK(lost.front().first >= 27'000);
  CHECK(lost.front().first <= 27'001);
  CHECK(alarms <= 4);
}

TEST_CASE_METHOD(keeper_fixture, "lease keeper: a refusal ends it at once, and is logged",
                 "[actors][lease][s5-284]") {
  const tests::captured_log out{{}};
  answer = answers::superseded;
  until(15'000);
  REQUIRE(lost.size() == 1);
  CHECK(lost.front().first == 10'000);
  CHECK(lost.front().second.find("held by other") != std::string::npos);
  CHECK(renewals.size() == 1);
  const auto lines = out.lines();
  REQUIRE(lines.size() == 1);
  const auto line = nlohmann::json::parse(lines.front());
  CHECK(line.at("event") == "lease.lost");
  CHECK(line.at("process") == "a");
  CHECK(line.at("why").get<std::string>().find("held by other") != std::string::npos);
}

TEST_CASE_METHOD(keeper_fixture,
                 "lease keeper: frozen past the lease, the first thing it does is to give up",
                 "[actors][lease][s5-A2]") {
  until(12'000);
  REQUIRE(renewals.size() == 1);
  // The whole program stood still: no alarm rang in time.
  sched.clock().current_time += 60s;
  advance(0ms);
  REQUIRE(lost.size() == 1);
  CHECK(renewals.size() == 1);
}
