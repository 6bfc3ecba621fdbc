// One batch of operations inside one write transaction.
//
// Each operation first decides by reads whether it is refused; only then does it write, so a
// refused one leaves no trace and the others of the batch stand.
#pragma once

#include "storage/declared.hpp"
#include "storage/rules.hpp"
#include "storage/store.hpp"
#include "storage/tables.hpp"

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace belay::storage {

/// What every batch of a store shares.
struct batch_environment {
  const options& opts;
  const environment& env;
  const table_handles& tables;
  const blob_store& blobs;
  declared_types& declared;
  /// Queue and kind names that are stored.
  std::uint64_t& names;
};

class batch {
public:
  batch(const batch_environment& shared, transaction& txn, const batch_context& context);

  /// Applies one operation and returns its answer. Throws `error` on a fault: the whole batch is
  /// then given up.
  answer apply(const operation& op);

  /// Writes what was gathered in memory: counters and meta.
  void finish();

  [[nodiscard]] batch_result take(std::vector<answer> answers);

  /// Queue and kind names that are stored once this is committed.
  [[nodiscard]] std::uint64_t names() const {
    return names_;
  }

  /// Files that no record points to any more once this is committed.
  [[nodiscard]] const std::set<std::string>& dropped_blobs() const {
    return dropped_blobs_;
  }

private:
  // One for each operation; batch_register, _claim, _leases, _end, _events, _wait, _sessions,
  // _wakes, _upkeep, _prune, _journal, _queues.
  answer run(const register_request& x);
  answer run(const claim_request& x);
  answer run(const grant_request& x);
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

  /// A row about to be changed, and how it was counted before.
  struct row_state {
    row_id row{};
    head_record head;
    std::optional<counter_key> before;
  };

  /// Loads a row that exists.
  [[nodiscard]] row_state load(row_id row) const;
  [[nodiscard]] checked<row_state> load(std::string_view id) const;
  [[nodiscard]] checked<row_state> held_row(const lease& held) const;
  [[nodiscard]] refusal superseded(const lease& held) const;
  void save(row_state& x);

  /// Whether all of these may be registered together.
  [[nodiscard]] std::optional<refusal> may_register(const std::vector<registration>& items);
  [[nodiscard]] std::optional<refusal>
  may_register(const registration& x, const std::map<std::string_view, std::size_t>& earlier);
  registered insert(const registration& x);
  struct taker;
  grant_list grant(const grant_request& x);
  /// Hands rows out in their order until nobody can take another one, or a row has come back from
  /// `blocked`.
  void hand_out(duration_ms ttl, std::vector<taker>& takers);
  [[nodiscard]] static std::optional<refusal> check_owner(const std::string& name);
  /// Whether a later incarnation of the owner has been here.
  [[nodiscard]] std::optional<refusal> superseded(const owner& x) const;
  [[nodiscard]] bool claim_one(const owner& holder, name_id owner, duration_ms ttl,
                               const ready_place& place, claimed& out);
  void lose(row_id row, const lease_record& held, const std::string& reason);
  std::uint64_t
  lose_all(const std::function<bool(const lease_record&)>& which, const std::string& reason);
  void quarantine(row_state& x, const std::string& why);
  void make_ready(row_state& x);
  void leave_ready(row_state& x);
  void drop_lease(row_id row, const lease_record& held);
  std::uint64_t expire_leases(std::uint32_t max);
  void expire_timers(std::uint32_t max);

  // -- ends ------------------------------------------------------------------------------------
  void
  end(row_state& x, const outcome& result, fencing_token fence, const std::string& authority = {});
  /// Ends a row that nobody holds.
  void end_unheld(row_state& x, const outcome& result, const std::string& authority = {});
  void record_outcome(row_state& x, const outcome_record& ended, const nlohmann::json& facts);
  /// What follows from the ends and the cancels of this operation: waiters, parents, children.
  void settle();
  void settle_end(row_id row);
  /// Cancels the live children of one close policy that were not cancelled yet.
  void cancel_children(row_id parent, const std::string& reason, close_policy which);
  void cancel_child(row_id row, const std::string& reason);
  /// What a cancel or kill request means for a row. Returns whether it has ended by it.
  bool deliver_cancel(row_state& x, const std::string& reason);
  /// Cancels what was started by a row that takes part in its own cancel.
  void cancel_below(row_id row);
  [[nodiscard]] std::uint64_t live_awaited_children(const row_state& x) const;
  void each_child(row_id parent, const std::function<void(row_id)>& visit) const;
  void child_ended(row_id parent);
  [[nodiscard]] outcome
  abandoned_by(const row_state& x, const char* writer, const std::string& message) const;
  [[nodiscard]] checked<outcome_record> checked_outcome(const outcome& x, fencing_token fence);

  // -- events ----------------------------------------------------------------------------------
  event_seq
  add_event(row_state& x, std::string type, std::string_view payload, const std::string& key = {});
  /// What is known of an event before it is written.
  struct event_plan {
    nlohmann::json payload;
    /// What wakes whom; the session is empty when nothing does.
    std::string input;
    std::string session;
  };

  /// Checks an event that is new; `earlier` of them go before it.
  [[nodiscard]] checked<event_plan> plan_event(const append_request& x, const row_state& state,
                                               nlohmann::json payload, std::uint64_t earlier);
  /// Checks what can be said of an event without its process. Returns the payload.
  [[nodiscard]] checked<nlohmann::json> read_event(const append_request& x) const;
  event write_event(const append_request& x, row_state& state, const event_plan& plan);
  [[nodiscard]] checked<const declared_type*>
  may_append(const append_request& x, const row_state& state, const nlohmann::json& payload);
  [[nodiscard]] checked<std::optional<std::string>>
  wake_input(const declared_type* type, const nlohmann::json& payload) const;
  void send_wake(const row_state& x, event_seq seq, const std::string& type,
                 const std::string& session, const std::string& input);

  // -- waits -----------------------------------------------------------------------------------
  /// Puts a waiting row back into `ready`.
  void resume(row_state& x, wait_record wait, const nlohmann::json& why);
  void forget_wait(const row_state& x);
  void signal_arrived(row_state& x, const std::string& type);
  [[nodiscard]] bool holds(const row_state& x, const awaited& one) const;
  [[nodiscard]] checked<wait_record> read_wait(const park_request& x, row_id row) const;
  /// Waits or, when the conditions hold already, resumes at once. Returns which.
  bool begin_wait(row_state& x, wait_record wait, std::uint64_t needed);
  [[nodiscard]] checked<awaited> read_condition(const std::string& field, const wait_condition& x,
                                                row_id row, std::set<row_id>& seen) const;
  /// Returns the row to wait for; 0 of a pruned process.
  [[nodiscard]] checked<row_id> read_target(const std::string& field, const std::string& id,
                                            row_id row, std::set<row_id>& seen) const;
  /// Whether `row` would wait for itself by waiting for `target`: an ancestor, or one that waits
  /// for it in turn. `seen` are the rows that were looked at before and do not.
  [[nodiscard]] std::optional<std::string>
  waits_in_turn(row_id row, row_id target, std::set<row_id>& seen) const;

  // -- journal ---------------------------------------------------------------------------------
  /// A journal request before it is written.
  struct journal_plan {
    /// Numbers of entries that are new, and how many there will be.
    std::set<std::uint64_t> fresh;
    std::uint64_t entries = 0;
    std::vector<std::pair<append_request, event_plan>> events;
  };

  [[nodiscard]] checked<journal_plan>
  plan_journal(const journal_request& x, const row_state& state);
  [[nodiscard]] std::optional<refusal>
  may_journal(const journal_request& x, row_id row, journal_plan& plan) const;
  /// Whether an entry may stand where another stands: the same again, or a pending one brought up
  /// to date.
  [[nodiscard]] bool may_replace(const journal_record& stored, const journal_entry& x) const;
  [[nodiscard]] std::optional<refusal>
  may_emit(const journal_request& x, const row_state& state, journal_plan& plan);
  void write_side_effects(const journal_request& x, row_state& state);
  [[nodiscard]] std::optional<refusal> may_start(const journal_request& x);
  [[nodiscard]] std::optional<refusal> may_attach(const journal_request& x, row_id row) const;
  void write_entry(row_id row, const journal_entry& x);
  void attach(row_id row, const attachment& x);
  /// Forgets the journal: the next run begins anew.
  void drop_journal(row_state& x);
  void drop_entries(row_id row);

  // -- queues ----------------------------------------------------------------------------------
  /// What a batch knows of a queue.
  struct queue_state {
    queue_record record;
    /// How many of it run; kept only where their number is bounded.
    std::uint64_t running = 0;
    bool changed = false;
  };

  [[nodiscard]] queue_state& queue_of(name_id queue);
  [[nodiscard]] std::uint64_t count_running(name_id queue) const;
  /// What follows for its queue when a row has come to another state.
  void queue_follows(const row_state& x, const std::optional<counter_key>& before);
  /// Whether a queue lets anything be claimed, its rate aside.
  [[nodiscard]] static bool lets_claim(const queue_state& x);
  /// From when on, in microseconds, its rate lets a row be claimed; 0 means now.
  [[nodiscard]] std::int64_t rate_opens_at(const queue_state& x) const;
  void charge(queue_state& x);
  /// Puts a row aside if as many run with its key as may. Returns whether it did.
  [[nodiscard]] bool block(const queue_state& queue, const ready_place& place);
  /// Lets rows of one key go, as many of each kind as may run now.
  void unblock(const std::string& key, std::uint32_t per_key_max);
  void unblock_one(std::string_view key);
  /// Lets up to so many rows of a queue go, whatever their key. Returns whether those were all.
  bool unblock_all(name_id queue, std::size_t max);
  /// Goes on with queues whose bounds were changed.
  void recheck_queues();
  void write_queues();

  // -- sessions and wakes ----------------------------------------------------------------------
  bool add_observer(row_state& x, const std::string& session);
  bool remove_observer(row_state& x, const std::string& session);
  [[nodiscard]] bool observes(row_id row, std::string_view session) const;
  void set_wake_session(row_state& x, detail_record& detail, const std::string& session);
  void save_detail(row_state& x, const detail_record& detail);
  [[nodiscard]] std::optional<wake_record> find_wake(wake_id id) const;
  void save_wake(wake_id id, const wake_record& x, wake_state before);
  std::uint64_t discard_wakes(row_id row, const std::string& session, const char* reason);
  [[nodiscard]] std::vector<wake_id> open_wakes(row_id row) const;

  // -- prune -----------------------------------------------------------------------------------
  void prune_row(row_id row, const head_record& head);

  /// Stores a text and counts its use; `drop` takes the use back.
  stored_text keep(std::string_view text);
  void drop(const stored_text& x);
  [[nodiscard]] std::vector<std::string> keys_of(MDB_dbi table, std::string_view prefix) const;

  /// Refuses more queue and kind names than `names_max`: with these, as in the key of `name`.
  [[nodiscard]] std::optional<refusal> may_name(const std::set<std::string>& fresh) const;
  name_id intern(name_kind kind, const std::string& text);
  void count(const counter_key& key, std::int64_t delta);

  const batch_environment& shared_;
  const table_handles& tables_;
  transaction& txn_;
  const batch_context& context_;
  table_reader read_;

  /// A number in `meta` that is read once and written back when it has changed.
  struct meta_number {
    std::string_view key;
    std::uint64_t value = 0;
    std::uint64_t first = 0;
  };

  [[nodiscard]] meta_number open_number(std::string_view key) const;

  meta_number next_row_;
  meta_number next_name_;
  meta_number next_change_;
  meta_number next_wake_;
  meta_number open_wakes_;
  meta_number fence_floor_;
  std::uint64_t names_;
  timestamp_ms stored_time_;
  std::optional<bool> nearly_full_;
  std::map<counter_key, std::int64_t> counters_;
  std::map<name_id, queue_state> queues_;
  /// Outcomes `failure` of this batch, by queue.
  std::map<name_id, std::uint64_t> failed_;
  /// Whether a row has come back from `blocked`.
  bool unblocked_ = false;
  std::set<row_id> changed_;
  /// Rows whose wakes have moved: told to watchers, no change of the process.
  std::set<row_id> touched_;
  bool ready_changed_ = false;
  /// Waits for several children of which some have ended in this batch: how many must still end. A
  /// wait holds all its conditions, too much to write it for each of them.
  std::map<row_id, std::uint64_t> countdowns_;
  std::deque<row_id> ended_;
  /// Rows whose code takes part in their cancel: what they started is cancelled after them.
  std::deque<row_id> told_;
  std::vector<cancel_push> pushes_;
  std::vector<happening> happenings_;
  std::set<std::string> dropped_blobs_;
};

/// Checks a text that is stored as it is: plain, of at most so many bytes. An export could not
/// contain any other. Returns nothing when it is acceptable.
[[nodiscard]] std::optional<refusal>
check_text(const char* field, const std::string& text, std::size_t bytes_max);

/// Returns a JSON string literal.
[[nodiscard]] std::string json_quote(std::string_view text);

/// Returns JSON as text; what is not UTF-8 is replaced.
[[nodiscard]] std::string json_text(const nlohmann::json& x);

} // namespace belay::storage
