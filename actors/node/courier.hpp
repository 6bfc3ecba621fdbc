// The courier: carries a client's requests to a node, over as many connections as it takes.
#pragma once

#include "actors/backoff.hpp"
#include "actors/clock.hpp"
#include "messages/protocol.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace belay::actors {

/// A node that was reached: what it said in the handshake, and itself.
struct reached_node : welcome {
  node_actor supervisor;
};

struct courier_state;
using courier_pointer = caf::stateful_actor<courier_state>*;

/// One request on its way. Answered exactly once.
struct errand {
  /// Sends it with a deadline. Who has an answer asks `claim` whether it still counts: once sent
  /// again, it does not.
  /// `broken` says that the link has gone under it, which is sometimes known sooner than the DOWN.
  std::function<void(courier_pointer, const reached_node&, std::function<bool()> claim,
                     std::function<void(const refusal&)> broken)>
    send;
  std::function<void(const refusal&)> refuse;
  /// Whether it may be sent again when its answer was lost.
  bool repeatable = false;
};

/// Errands that the courier has not seen yet; filled from other threads.
struct errand_queue {
  std::mutex mutex;
  std::deque<std::shared_ptr<errand>> waiting;
};

struct courier_setup {
  std::shared_ptr<errand_queue> queue;
  /// Looks for the node and calls one of the two, in the courier's own turn.
  std::function<void(courier_pointer, std::function<void(node_actor)>,
                     std::function<void(const refusal&)>)>
    dial;
  /// Told of each handshake, in the courier's thread.
  std::function<void(const welcome&)> greeted;
  /// Told once, how the first try has ended: nothing when the node was reached.
  std::function<void(const std::optional<refusal>&)> first_try;
  /// How long requests wait for a lost link to come back; 0: not at all.
  std::chrono::milliseconds patience{0};
  std::chrono::milliseconds greet_deadline{5'000};
  /// Returns random bits: jitter.
  std::function<std::uint64_t()> random;
};

/// What the COURIER does. CAF fails no request when its peer is lost: the courier watches the link,
/// and sends again what may be sent again.
struct courier_state {
  static constexpr const char* name = "courier";

  void start(courier_pointer actor, courier_setup given);
  void collect();
  void connect();
  void down(const caf::down_msg& x);
  void stop();

  courier_pointer self = nullptr;

private:
  struct entry {
    std::shared_ptr<errand> what;
    /// How often it was sent.
    std::uint32_t attempt = 0;
  };

  void greet(const node_actor& to);
  void tell_first(const std::optional<refusal>& no);
  void linked(reached_node x);
  void not_linked(const refusal& why);
  void send(std::uint64_t number, entry& x);
  void refuse(std::uint64_t number, const refusal& why);
  void broken(std::uint64_t number, std::uint32_t attempt, const refusal& why);
  void lose_link();

  courier_setup setup_;
  std::map<std::uint64_t, entry> open_;
  std::uint64_t last_number_ = 0;
  reached_node far_;
  bool linked_ = false;
  bool connecting_ = false;
  bool stopped_ = false;
  /// When the link was missed first; the patience counts from here.
  caf::actor_clock::time_point missed_at_;
  backoff pauses_{std::chrono::milliseconds{20}, std::chrono::milliseconds{1'000}};
};

caf::behavior courier(courier_pointer self, courier_setup setup);

} // namespace belay::actors
