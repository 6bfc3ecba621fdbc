// A reader: short read-only transactions for whoever asks.
#pragma once

#include "actors/clock.hpp"
#include "actors/cluster/visitors.hpp"
#include "messages/protocol.hpp"
#include "storage/store.hpp"

#include <atomic>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <memory>

namespace belay::actors {

/// What a READER does: each message is one transaction that ends before the answer leaves.
struct reader_state {
  static constexpr const char* name = "reader";
  using pointer = reader_actor::stateful_pointer<reader_state>;

  caf::result<process_view> get(const process_id& id);
  caf::result<process_page> list(const list_query& query);
  caf::result<event_page> recent(const process_id& id, std::uint32_t limit);
  caf::result<std::uint64_t>
  count(const process_id& id, const std::string& type, event_seq through);
  caf::result<change_page> changes(std::uint64_t position, std::uint32_t limit);
  caf::result<wake_list> wakes(const wakes_query& query);
  caf::result<journal_page> journal(const process_id& id, std::uint64_t after, std::uint32_t limit);
  caf::result<attachment> attached(const process_id& id, const std::string& ref);
  caf::result<session_snapshot> session(const session_query& query);
  caf::result<event_page> events(const process_id& id, event_seq after, std::uint32_t limit);

  std::shared_ptr<storage::store> store;
  std::shared_ptr<const registry_clock> clock;
  std::uint64_t reads = 0;
  /// Whether a check runs: one at a time, for it takes a thread of its own.
  std::shared_ptr<std::atomic<bool>> checking = std::make_shared<std::atomic<bool>>(false);
};

/// `detach_checks`: checks, which read everything, run on threads of their own; a test runs them
/// here.
reader_actor::behavior_type
reader(reader_state::pointer self, std::shared_ptr<storage::store> store,
       std::shared_ptr<const registry_clock> clock, std::shared_ptr<visitors> known,
       bool detach_checks);

} // namespace belay::actors
