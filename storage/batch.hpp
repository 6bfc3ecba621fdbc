// One batch of operations inside one write transaction.
//
// Each operation first decides by reads whether it is refused; only then does it write, so a
// refused one leaves no trace and the others of the batch stand.
#pragma once

#include "storage/rules.hpp"
#include "storage/store.hpp"
#include "storage/tables.hpp"

#include <map>
#include <set>

namespace belay::storage {

/// What every batch of a store shares.
struct batch_environment {
  const options& opts;
  const environment& env;
  const table_handles& tables;
  const blob_store& blobs;
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

private:
  // One for each operation; batch_register.cpp, batch_claim.cpp, batch_end.cpp.
  answer run(const register_request& x);
  answer run(const claim_request& x);
  answer run(const renew_request& x);
  answer run(const release_request& x);
  answer run(const append_request& x);
  answer run(const complete_request& x);
  answer run(const cancel_request& x);
  answer run(const enlist_request& x);
  answer run(const void_request& x);
  answer run(const expire_request& x);
  answer run(const recover_request& x);

  /// A row about to be changed.
  struct row_state {
    row_id row{};
    head_record head;
  };

  [[nodiscard]] std::optional<refusal> may_register(const registration& x);
  registered insert(const registration& x);
  [[nodiscard]] bool
  claim_one(const claim_request& x, name_id owner, const ready_place& place, claimed& out);
  [[nodiscard]] checked<row_state> held_row(const lease& held) const;
  [[nodiscard]] refusal superseded(const lease& held) const;
  void end(row_state& x, const outcome& result, fencing_token fence);
  void lose(row_id row, const lease_record& held, const std::string& reason);
  std::uint64_t
  lose_all(const std::function<bool(const lease_record&)>& which, const std::string& reason);
  void make_ready(row_state& x);
  void drop_lease(row_id row, const lease_record& held);
  void save(const row_state& x, const std::optional<counter_key>& before);
  event_seq
  add_event(row_state& x, std::string type, std::string_view payload, const std::string& key = {});
  name_id intern(name_kind kind, const std::string& text);
  void count(const counter_key& key, std::int64_t delta);

  const batch_environment& shared_;
  const table_handles& tables_;
  transaction& txn_;
  const batch_context& context_;
  table_reader read_;
  std::uint64_t next_row_;
  std::uint64_t next_name_;
  std::uint64_t first_row_;
  std::uint64_t first_name_;
  timestamp_ms stored_time_;
  std::optional<bool> nearly_full_;
  std::map<counter_key, std::int64_t> counters_;
  std::set<row_id> changed_;
  bool ready_changed_ = false;
};

/// Returns a JSON string literal.
[[nodiscard]] std::string json_quote(std::string_view text);

} // namespace belay::storage
