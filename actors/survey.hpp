// Asking many actors for their states at once.
#pragma once

#include "messages/protocol.hpp"

#include <caf/actor_clock.hpp>
#include <caf/typed_response_promise.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <limits>
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
    later_.push_back([this, self, until = self->clock().now() + deadline, at, of] {
      ask_now(self, until, at, of);
    });
    go_on();
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

  /// Bounds the answer, whose sum of names and states goes in one message to another node.
  void keep_to(std::size_t bytes) {
    bytes_max_ = bytes;
  }

  /// Called when all are asked: answers once all have.
  caf::typed_response_promise<actor_tree> close() {
    auto promise = promise_;
    if (--open_ > 0) {
      return promise;
    }
    actor_tree all;
    std::size_t bytes = 0;
    for (auto& part : parts_) {
      all.left_out += part.left_out;
      for (auto& x : part.actors) {
        bytes += x.name.size() + x.state_json.size();
        if (bytes <= bytes_max_) {
          all.actors.push_back(std::move(x));
        } else if (x.depth <= 1) {
          ++all.left_out; // Those below it are of it.
        }
      }
    }
    promise_.deliver(std::move(all));
    return promise;
  }

private:
  template <class Self, class Handle>
  void ask_now(Self* self, caf::actor_clock::time_point until, std::size_t at, const Handle& of) {
    const auto left = until - self->clock().now();
    if (left <= caf::actor_clock::duration_type::zero()) {
      close();
      return;
    }
    ++asked_;
    const auto me = shared_from_this();
    self
      ->template request<caf::message_priority::high>(
        of, std::chrono::ceil<std::chrono::milliseconds>(left), atom::snapshot_v)
      .then(
        [me, at](std::string& state) {
          me->parts_[at].actors.front().state_json = std::move(state);
          me->answered();
        },
        [me](const caf::error&) { me->answered(); });
  }

  void answered() {
    --asked_;
    go_on();
    close();
  }

  void go_on() {
    while (asked_ < asked_max && !later_.empty()) {
      const auto next = std::move(later_.front());
      later_.pop_front();
      next();
    }
  }

  /// CAF keeps the requests of an actor in a list that each answer goes through.
  static constexpr std::size_t asked_max = 128;

  caf::typed_response_promise<actor_tree> promise_;
  std::vector<actor_tree> parts_;
  /// Those who are asked once others have answered.
  std::deque<std::function<void()>> later_;
  std::size_t asked_ = 0;
  std::size_t bytes_max_ = std::numeric_limits<std::size_t>::max();
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
