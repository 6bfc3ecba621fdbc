// A plain model of the registry: maps and vectors, no transactions, no indexes. What it answers is
// what the store must answer.
#pragma once

#include "messages/operations.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>

namespace belay::tests {

/// Bounds that the model and the store under test share.
inline constexpr std::uint32_t model_interruptions_max = 3;
inline constexpr std::uint32_t model_wake_attempts_max = 3;
inline constexpr duration_ms model_wake_age_max = 500'000;
inline constexpr std::uint64_t model_journal_max = 5;
inline constexpr std::uint64_t model_attachments_max = 3;
inline constexpr std::uint64_t model_events_max = 60;

class model {
public:
  struct held_lease {
    std::string owner;
    std::uint64_t incarnation = 0;
    fencing_token fence{};
    timestamp_ms expires_at = 0;
    /// Where the expiry index has it: renewals move it only when the sweep comes by.
    timestamp_ms indexed_at = 0;
  };

  struct waiting {
    /// All conditions, the first one first.
    std::vector<wait_condition> all;
    /// The processes that must still end, where several must; else `needed` is 0.
    std::set<std::string> open;
    std::uint64_t needed = 0;
    bool woken = false;
    std::string why;
    outcome held_back;
    fencing_token fence{};
    std::uint64_t remaining = 0;
  };

  struct process {
    registration what;
    row_id row{};
    process_state state = process_state::ready;
    timestamp_ms due_at = 0;
    timestamp_ms finished_at = 0;
    std::uint32_t attempt = 0;
    std::uint32_t failures = 0;
    std::uint32_t interruptions = 0;
    fencing_token fence{};
    bool cancel = false;
    bool kill = false;
    bool resumed = false;
    std::string first_owner;
    fencing_token first_fence{};
    std::optional<held_lease> lease;
    std::optional<waiting> wait;
    std::vector<journal_entry> journal;
    std::string status;
    /// Reference to name.
    std::map<std::string, std::string> attachments;
    std::vector<std::string> events;
    /// Key to (sequence, what it stands for).
    std::map<std::string, std::pair<event_seq, std::string>> keys;
    std::set<std::string> observers;
    std::string wake_session;
    std::string external_ref;
    std::string abandon_by;
    std::string abandon_reason;
    bool abandon = false;
    std::optional<outcome> ended;
    fencing_token ended_fence{};
    std::uint64_t change = 0;
  };

  struct tombstone {
    timestamp_ms at = 0;
    std::uint64_t change = 0;
    fencing_token fence{};
  };

  struct sent_wake {
    row_id row{};
    std::string session;
    wake_state state = wake_state::pending;
    std::uint32_t attempts = 0;
    timestamp_ms created_at = 0;
    timestamp_ms next_at = 0;
    std::uint64_t token = 0;
    bool ages = true;
  };

  struct queue {
    queue_limits limits;
    std::int64_t expected_us = 0;
  };

  /// Answers as the store must, tokens and texts aside. `now` is the time of the whole operation.
  answer apply(const operation& op, timestamp_ms now);
  /// The changes of the rows touched since the last call count as one batch.
  void end_batch();
  /// Takes over the tokens that only the store can make.
  void learn(const answer& real);

  [[nodiscard]] const process* find(const std::string& id) const;

  std::map<row_id, process> rows;
  std::map<std::string, row_id> ids;
  std::map<std::string, tombstone> tombstones;
  std::map<std::string, std::uint64_t> incarnations;
  std::map<std::uint64_t, sent_wake> wakes;
  /// Those that anything was registered in or said of.
  std::map<std::string, queue> queues;
  /// Outcomes `failure` by queue and minute, those of pruned rows included.
  std::map<std::pair<std::string, timestamp_ms>, std::uint64_t> failed;
  std::uint64_t next_row = 1;
  std::uint64_t next_change = 1;
  std::uint64_t next_wake = 1;
  std::uint64_t fence_floor = 0;

private:
  answer run(const register_request& x);
  answer run(const claim_request& x);
  answer run(const grant_request& x);
  grant_list grant(const grant_request& x);
  answer run(const renew_request& x);
  answer run(const release_request& x);
  answer run(const append_request& x);
  answer run(const complete_request& x);
  answer run(const cancel_request& x);
  answer run(const enlist_request& x);
  answer run(const void_request& x);
  answer run(const expire_request& x);
  answer run(const recover_request& x);
  answer run(const park_request& x);
  answer run(const observe_request& x);
  answer run(const transfer_request& x);
  answer run(const forget_session_request& x);
  answer run(const retarget_request& x);
  answer run(const take_wakes_request& x);
  answer run(const settle_wake_request& x);
  answer run(const external_ref_request& x);
  answer run(const settle_request& x);
  answer run(const abandon_request& x);
  answer run(const requeue_request& x);
  answer run(const again_request& x);
  answer run(const prune_request& x);
  answer run(const compact_request& x);
  answer run(const journal_request& x);
  answer run(const queue_request& x);
  /// Whether its queue lets a due row be claimed; sets when its rate does.
  bool lets_claim(const process& x, timestamp_ms& again_at) const;

  /// The process of an id, or why there is none.
  process* named(const std::string& id, ec& why);
  process* holder_of(const lease& held);
  void touch(process& x);
  event_seq say(process& x, const std::string& type);
  void end(process& x, const outcome& result, fencing_token fence);
  void settle();
  void settle_end(process& x);
  /// Returns whether the process ends by it.
  bool deliver_cancel(process& x);
  void cancel_children(process& x, close_policy which);
  void lose(process& x);
  void resume(process& x, const std::string& why);
  bool holds(const process& x, const wait_condition& until) const;
  bool begin_wait(process& x, waiting wait);
  std::optional<refusal> may_register(const std::vector<registration>& items) const;
  std::optional<refusal> may_wait(process& x, const park_request& request);
  bool waits_in_turn(process& x, const process& target);
  std::optional<refusal> may_journal(const process& x, const journal_request& request) const;
  void send_wake(process& x, const event_type* type);
  std::uint64_t discard_wakes(row_id row, const std::string& session);
  std::vector<process*> children_of(const process& x);
  bool has_open_wakes(row_id row) const;

  timestamp_ms now_ = 0;
  std::map<row_id, row_id> parent_of_;
  std::set<row_id> parents_;
  std::deque<row_id> ended_;
  std::deque<row_id> told_;
  std::set<row_id> touched_;
};

} // namespace belay::tests
