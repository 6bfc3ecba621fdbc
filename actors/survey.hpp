// Asking many actors for their states at once.
#pragma once

#include "messages/protocol.hpp"

#include <caf/typed_response_promise.hpp>
#include <chrono>
#include <memory>

namespace belay::actors {

/// A look at several actors under way. Nobody is waited for longer than the deadline that each is
/// asked with, and who does not answer is shown without a state.
class survey : public std::enable_shared_from_this<survey> {
public:
  explicit survey(caf::typed_response_promise<actor_tree> promise) : promise_{std::move(promise)} {}

  /// Adds an actor whose state is known.
  void add(std::uint32_t depth, std::string name, std::string state_json) {
    parts_.push_back({{{depth, std::move(name), std::move(state_json)}}, 0});
  }

  void leave_out(std::uint64_t count) {
    parts_.push_back({{}, count});
  }

  /// Asks one actor.
  template <class Self, class Handle>
  void ask(Self* self, std::chrono::milliseconds deadline, std::uint32_t depth, std::string name,
           const Handle& of) {
    const auto at = parts_.size();
    parts_.push_back({{{depth, std::move(name), {}}}, 0});
    ++open_;
    const auto me = shared_from_this();
    self->template request<caf::message_priority::high>(of, deadline, atom::snapshot_v)
      .then(
        [me, at](std::string& state) {
          me->parts_[at].actors.front().state_json = std::move(state);
          me->close();
        },
        [me](const caf::error&) { me->close(); });
  }

  /// Asks an actor for those below it. What it answers is put `depth` lower, its names behind
  /// `prefix`; in its place stands the first of it, without a state, when it does not answer.
  template <class Self, class Handle, class... Ts>
  void ask_tree(Self* self, std::chrono::milliseconds deadline, std::uint32_t depth,
                const std::string& prefix, const std::string& first, const Handle& of,
                const Ts&... content) {
    const auto at = parts_.size();
    parts_.push_back({{{depth, prefix + first, {}}}, 0});
    ++open_;
    const auto me = shared_from_this();
    self->template request<caf::message_priority::high>(of, deadline, atom::tree_v, content...)
      .then(
        [me, at, depth, prefix](actor_tree& below) {
          for (auto& x : below.actors) {
            x.depth += depth;
            x.name.insert(0, prefix);
          }
          me->parts_[at] = std::move(below);
          me->close();
        },
        [me](const caf::error&) { me->close(); });
  }

  /// Called when all are asked: answers once all have.
  caf::typed_response_promise<actor_tree> close() {
    auto promise = promise_;
    if (--open_ > 0) {
      return promise;
    }
    actor_tree all;
    for (auto& part : parts_) {
      all.left_out += part.left_out;
      std::move(part.actors.begin(), part.actors.end(), std::back_inserter(all.actors));
    }
    promise_.deliver(std::move(all));
    return promise;
  }

private:
  caf::typed_response_promise<actor_tree> promise_;
  std::vector<actor_tree> parts_;
  /// Answers that are still to come; one more until all are asked.
  std::size_t open_ = 1;
};

/// How long who looks waits: each level of the tree has a little more than the one below it, so
/// that what is late is missing alone.
inline constexpr std::chrono::milliseconds survey_deadline{300};
inline constexpr std::chrono::milliseconds worker_survey_deadline{700};
inline constexpr std::chrono::milliseconds cluster_survey_deadline{1'200};
/// Most processes of one worker in one look.
inline constexpr std::uint32_t survey_limit_max = 20'000;

} // namespace belay::actors
