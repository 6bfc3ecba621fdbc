// An actor system on CAF's test scheduler: nothing runs, and no time passes, unless the test says
// so.
#pragma once

#include "actors/testing/deterministic_system.hpp"
#include "messages/wire_error.hpp"

#include <caf/scoped_actor.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <optional>

namespace belay::tests {

/// The same with a way to ask actors, for Catch2.
class deterministic_system : public testing::deterministic_system {
public:
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
};

} // namespace belay::tests
