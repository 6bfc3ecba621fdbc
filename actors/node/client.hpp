// A client of a node: the operations of the registry as plain calls that block.
//
// Free of CAF. Concurrency: one thread at a time.
#pragma once

#include "messages/operations.hpp"

#include <memory>

namespace caf {
class actor_system;
}

namespace belay::actors {

/// Every call answers, or refuses within its deadline; `shutting_down` when the node is gone.
class client {
public:
  /// Connects to a node. Refuses with `timed_out`, `shutting_down` (nobody listens there) or
  /// `protocol_mismatch`.
  [[nodiscard]] static checked<std::unique_ptr<client>>
  connect(const std::string& host, std::uint16_t port, duration_ms timeout = 5'000);

  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Registers all or none; at most `batch_max()` in one call.
  [[nodiscard]] checked<registered_list> enroll(std::vector<registration> items);
  /// Waits for the outcome by push. Refuses with `timed_out` after `timeout` (0: no bound).
  [[nodiscard]] checked<outcome_view> wait(const process_id& id, duration_ms timeout);
  [[nodiscard]] checked<process_view> get(const process_id& id);
  [[nodiscard]] checked<process_page> list(const list_query& query);
  [[nodiscard]] checked<process_counts> counts();
  [[nodiscard]] checked<event_page>
  events(const process_id& id, event_seq after, std::uint32_t limit);
  /// Like `events`, but waits up to `length` for the next one.
  [[nodiscard]] checked<event_page>
  follow(const process_id& id, event_seq after, std::uint32_t limit, duration_ms length);
  [[nodiscard]] checked<event> append(const append_request& request);
  [[nodiscard]] checked<cancel_receipt> cancel(const cancel_request& request);

  [[nodiscard]] std::uint32_t batch_max() const;
  [[nodiscard]] const std::string& node_name() const;
  [[nodiscard]] const std::vector<std::string>& tools() const;

private:
  friend class runtime;
  struct impl;
  explicit client(std::unique_ptr<impl> x);
  std::unique_ptr<impl> impl_;
};

} // namespace belay::actors
