// An actor system on CAF's test scheduler: nothing runs, and no time passes, unless it is said so.
#pragma once

#include "actors/clock.hpp"
#include "messages/wire_error.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <chrono>
#include <functional>
#include <random>
#include <stdexcept>

namespace belay::testing {

struct deterministic_config : caf::actor_system_config {
  deterministic_config() {
    belay::add_messages(*this);
    set("scheduler.policy", caf::atom("testing"));
  }
};

/// Owns the scheduler and both clocks. `run` handles messages until none is left; `advance` moves
/// the steady clock (and with it the wall clock) and fires what falls due on the way.
class deterministic_system {
public:
  using scheduler = caf::scheduler::test_coordinator;

  /// `seed` 0 runs actors in the order in which they got their messages; any other number picks an
  /// order, always the same one.
  explicit deterministic_system(std::uint64_t seed = 0)
    : sched{dynamic_cast<scheduler&>(sys.scheduler())}, random_{seed}, shuffled_{seed != 0} {
    // The actor clock starts at the epoch; time 0 means "none" in the house.
    sched.clock().current_time += std::chrono::hours{1};
  }

  ~deterministic_system() {
    halted = nullptr;
    sched.clock().cancel_all();
    run();
  }

  deterministic_system(const deterministic_system&) = delete;
  deterministic_system& operator=(const deterministic_system&) = delete;

  /// Returns how many messages or batches of them were handled. Throws when that goes on and on
  /// without time going by.
  std::size_t run() {
    std::size_t count = 0;
    while (!sched.jobs.empty() && !(halted && halted())) {
      if (shuffled_ && sched.jobs.size() > 1) {
        std::uniform_int_distribution<std::size_t> pick{0, sched.jobs.size() - 1};
        std::swap(sched.jobs.front(), sched.jobs[pick(random_)]);
      }
      sched.try_run_once();
      if (++count == handled_max) {
        throw std::runtime_error{"the actors do not come to rest"};
      }
    }
    return count;
  }

  void advance(std::chrono::milliseconds length) {
    auto& clock = sched.clock();
    const auto end = clock.current_time + length;
    run();
    while (!(halted && halted()) && !clock.schedule().empty()
           && clock.schedule().begin()->first <= end) {
      clock.trigger_timeout();
      run();
    }
    clock.current_time = std::max(clock.current_time, end);
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

  deterministic_config config;
  caf::actor_system sys{config};
  scheduler& sched;
  timestamp_ms wall_jump_ms = 0;
  /// Turns of actors in one `run`.
  std::size_t handled_max = 10'000'000;
  /// Ends `run` early: the program has crashed. May be empty.
  std::function<bool()> halted;

private:
  std::mt19937_64 random_;
  bool shuffled_;
};

} // namespace belay::testing
