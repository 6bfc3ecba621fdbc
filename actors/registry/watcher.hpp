// The watcher: who waits for what, told by the registry after each commit.
#pragma once

#include "actors/clock.hpp"
#include "actors/cluster/visitors.hpp"
#include "actors/ticks.hpp"
#include "messages/protocol.hpp"
#include "storage/store.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <map>
#include <set>
#include <unordered_map>

namespace belay::actors {

/// The `[watch]` section of the configuration.
struct watch_policy {
  /// Most requests held at once.
  std::size_t waiters_max = 100'000;
  /// Longest time one request is held.
  duration_ms wait_ms_max = 60'000;
};

/// What the WATCHER does. A waiter is subscribed first and then checked against the store, and a
/// commit is announced only after it happened, so no order of events loses a wake.
class watcher_state {
public:
  static constexpr const char* name = "watcher";
  using pointer = watcher_actor::stateful_pointer<watcher_state>;

  void start(pointer self, std::shared_ptr<storage::store> store,
             std::shared_ptr<const registry_clock> clock, watch_policy policy);
  caf::result<outcome_view> wait(const process_id& id, duration_ms length);
  caf::result<event_page>
  follow(const process_id& id, event_seq after, std::uint32_t limit, duration_ms length);
  caf::result<event>
  follow_type(const process_id& id, const std::string& type, event_seq after, duration_ms length);
  caf::result<event>
  nth_signal(const process_id& id, const std::string& signal, std::uint64_t n, duration_ms length);
  caf::result<done> wait_wake(const std::string& session, duration_ms length);
  void changed(const std::vector<row_id>& rows);
  void tick();
  void stop();
  [[nodiscard]] std::string snapshot() const;

private:
  using time_point = caf::actor_clock::time_point;

  /// Asks the store; returns whether the waiter was answered.
  using check_function = std::function<bool()>;

  struct waiter {
    row_id row{};
    /// When it is looked at again.
    time_point deadline;
    /// Until when it goes on if that is later than the deadline.
    time_point asked{};
    check_function check;
    std::function<void()> expire;
    std::function<void()> refuse;
  };

  /// Asks the store for an event; an empty one is not there yet.
  using find_function = std::function<checked<std::optional<event>>()>;

  caf::result<event> wait_event(const process_id& id, duration_ms length, find_function find);
  [[nodiscard]] std::optional<refusal>
  admit(const process_id& id, row_id& row, duration_ms length) const;
  void subscribe(waiter x);
  void remove(std::uint64_t number);
  void arm();
  [[nodiscard]] time_point deadline_after(duration_ms length) const;

  pointer self_ = nullptr;
  std::shared_ptr<storage::store> store_;
  std::shared_ptr<const registry_clock> clock_;
  watch_policy policy_;
  std::uint64_t last_number_ = 0;
  std::unordered_map<std::uint64_t, waiter> waiters_;
  std::map<row_id, std::set<std::uint64_t>> by_row_;
  std::set<std::pair<time_point, std::uint64_t>> by_deadline_;
  ticks ticks_;
};

watcher_actor::behavior_type
watcher(watcher_state::pointer self, std::shared_ptr<storage::store> store,
        std::shared_ptr<const registry_clock> clock, watch_policy policy,
        std::shared_ptr<visitors> known);

} // namespace belay::actors
