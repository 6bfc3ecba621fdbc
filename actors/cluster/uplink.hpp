// The uplink: the registry node, as the actors of a worker node see it.
#pragma once

#include "actors/backoff.hpp"
#include "actors/clock.hpp"
#include "messages/protocol.hpp"

#include <atomic>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <functional>
#include <map>
#include <memory>

namespace belay::actors {

/// The registry's time as a worker knows it: what it said last, and what has gone by since.
///
/// Concurrency: from any thread.
class remote_clock {
public:
  explicit remote_clock(std::function<timestamp_ms()> steady) : steady_{std::move(steady)} {}

  void set(timestamp_ms registry_now) {
    offset_.store(registry_now - steady_());
  }

  [[nodiscard]] timestamp_ms now() const {
    return steady_() + offset_.load();
  }

private:
  std::function<timestamp_ms()> steady_;
  std::atomic<timestamp_ms> offset_{0};
};

class uplink_state;

struct uplink_setup {
  using pointer = uplink_actor::stateful_pointer<uplink_state>;
  using reached = std::function<void(node_actor)>;
  using failed = std::function<void(const refusal&)>;

  /// The worker's name, for the handshake.
  std::string name;
  /// Where the registry node is, for people.
  std::string where;
  /// Looks for the registry's node actor and calls one of the two, in the uplink's own turn.
  std::function<void(pointer, reached, failed)> dial;
  /// Says more of a link that was lost; empty when nothing is known. May be empty itself.
  std::function<std::string()> last_error;
  std::shared_ptr<remote_clock> clock;
  /// Returns 64 random bits: jitter.
  std::function<std::uint64_t()> random;
  /// Before the registry is tried again.
  backoff pauses{std::chrono::milliseconds{50}, std::chrono::milliseconds{2'000}};
  /// Most requests without an answer; beyond that they are refused with `shutting_down`.
  std::size_t open_max = 10'000;
  /// Largest message that this node takes, in bytes of content; 0: no bound.
  std::uint64_t message_max = 0;
  /// Called when the registry will never take us: it speaks another version of the protocol.
  std::function<void(const std::string&)> on_fault;
};

/// What the UPLINK does. Every request is passed on under a number of its own, so that the end of
/// the link, which CAF tells to nobody who waits, answers all that are open. Handles of a lost link
/// are worth nothing, also where they look the same: each link begins with a handshake.
class uplink_state {
public:
  static constexpr const char* name = "uplink";
  using pointer = uplink_actor::stateful_pointer<uplink_state>;

  void start(pointer self, uplink_setup setup);
  void sweeper(const caf::actor& x);
  void connect();
  void compare_clocks();
  void stop();
  [[nodiscard]] std::string snapshot() const;

  /// Passes a request on; its answer comes within `deadline`, or an error does.
  template <class Answer, class Handle, class... Ts>
  caf::result<Answer>
  forward(const Handle& to, std::chrono::milliseconds deadline, Ts&&... content);

  [[nodiscard]] const welcome& far() const {
    return far_;
  }
  void offer(const owner& who, std::uint32_t slots, std::vector<std::string> kinds,
             std::vector<std::string> queues);

private:
  void greet(const node_actor& to);
  void welcomed(welcome x);
  void not_reached(const refusal& why);
  void down(const caf::down_msg& x);
  void fail_open();

  pointer self_ = nullptr;
  uplink_setup setup_;
  sweeper_actor sweeper_;
  node_actor node_;
  welcome far_;
  bool linked_ = false;
  bool connecting_ = false;
  std::map<std::uint64_t, std::function<void(const caf::error&)>> open_;
  std::uint64_t last_number_ = 0;
  std::uint64_t links_ = 0;
  std::uint64_t failures_ = 0;
  std::string why_;
};

uplink_actor::behavior_type uplink(uplink_state::pointer self, uplink_setup setup);

} // namespace belay::actors
