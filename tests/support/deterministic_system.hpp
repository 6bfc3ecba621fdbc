// An actor system on CAF's test scheduler: nothing runs, and no time passes, unless the test says
// so.
#pragma once

#include "actors/clock.hpp"
#include "messages/wire_error.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <optional>

namespace belay::tests {

struct test_system_config : caf::actor_system_config {
  test_system_config() {
    belay::add_messages(*this);
    set("scheduler.policy", caf::atom("testing"));
  }
};

/// Owns the scheduler and both clocks. `run` handles messages until none is left; `advance` moves
/// the steady clock (and with it the wall clock) and fires what falls due on the way.
class deterministic_system {
public:
  using scheduler = caf::scheduler::test_coordinator;

  deterministic_system() : sched{dynamic_cast<scheduler&>(sys.scheduler())} {
    // The actor clock starts at the epoch; time 0 means "none" in the house.
    sched.clock().current_time += std::chrono::hours{1};
  }

  ~deterministic_system() {
    sched.clock().cancel_all();
    run();
  }

  deterministic_system(const deterministic_system&) = delete;
  deterministic_system& operator=(const deterministic_system&) = delete;

  std::size_t run() {
    std::size_t count = 0;
    while (sched.try_run_once()) {
      ++count;
    }
    return count;
  }

  void advance(std::chrono::milliseconds length) {
    auto& clock = sched.clock();
    const auto end = clock.current_time + length;
    run();
    while (!clock.schedule().empty() && clock.schedule().begin()->first <= end) {
      clock.trigger_timeout();
      run();
    }
    clock.current_time = end;
    run();
  }

  [[nodiscard]] timestamp_ms steady_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
             sched.clock().current_time.time_since_epoch())
      .count();
  }

  /// The wall clock: some time in 2026, moving with the steady one, plus what a test makes it jump.
  [[nodiscard]] actors::time_sources time() {
    constexpr timestamp_ms start = 1'790'000'000'000;
    return {[this] { return start + steady_ms() + wall_jump_ms; }, [this] { return steady_ms(); }};
  }

  /// Asks an actor and returns its answer, or the refusal. Fails the test when no answer came.
  template <class Answer, class Handle, class... Ts>
  checked<Answer> ask(const Handle& to, Ts&&... content) {
    std::optional<checked<Answer>> result;
    caf::scoped_actor self{sys};
    auto handle = self->request(to, std::chrono::seconds{3'600}, std::forward<Ts>(content)...);
    run();
    REQUIRE(self->has_next_message());
    handle.receive([&result](Answer& x) { result.emplace(std::move(x)); },
                   [&result](const caf::error& x) { result.emplace(to_refusal(x)); });
    return std::move(*result);
  }

  /// Ends an actor and lets it finish.
  template <class Handle>
  void stop(Handle& who) {
    caf::anon_send_exit(who, caf::exit_reason::user_shutdown);
    who = nullptr;
    run();
  }

  test_system_config config;
  caf::actor_system sys{config};
  scheduler& sched;
  timestamp_ms wall_jump_ms = 0;
};

} // namespace belay::tests
