// The journal as the engine sees it: what is recorded and not yet asked for, and what is new.
#pragma once

#include "actors/workflow/engine.hpp"
#include "actors/workflow/operation.hpp"

#include <deque>
#include <map>

namespace belay::workflows {

class ledger {
public:
  enum class place { recorded, fresh, mismatch, full };

  ledger(std::vector<journal_entry> recorded, const engine_limits& limits);

  /// Finds the place of an effect that is asked for: the next recorded one of its branch, whose
  /// result it then gets, or a new one. `mismatch` says why not.
  [[nodiscard]] place enter(operation& asked);
  /// Gives an entry that no code asked for its number.
  void number(journal_entry& entry);
  /// Says what is recorded next but was not asked for. Nothing when all was.
  [[nodiscard]] std::optional<std::string> left_over() const;
  /// Whether the next recorded entry of the branch is this one.
  [[nodiscard]] bool
  is_next(const std::string& scope, effect_kind kind, const std::string& name) const;
  [[nodiscard]] bool has_left() const {
    return left_ != 0;
  }
  /// Takes what is left of a branch, and of those inside it, for seen.
  void forget_branch(const std::string& path);

  /// Gives a result its place by order of completion.
  void finish(operation& x, std::string result);
  /// Puts an entry into the next batch. An urgent one asks for it.
  void mark(const operation_ptr& x, bool urgent);
  void add_child(registration x);
  void add_event(journal_event x);
  void add_attachment(attachment x);
  void set_status(std::string x);

  [[nodiscard]] bool is_dirty() const;
  [[nodiscard]] bool is_urgent() const {
    return urgent_;
  }
  /// Whether a value that code may have seen is not on disk.
  [[nodiscard]] bool holds_values() const {
    return values_dirty_ + values_taken_ != 0;
  }
  /// Whether the next batch has as many children, or bytes of them, as it may.
  [[nodiscard]] bool is_large() const;
  [[nodiscard]] journal_batch take();
  /// Returns the effects whose results are on disk now.
  [[nodiscard]] std::vector<operation_ptr> committed();

  /// What did not match.
  [[nodiscard]] const std::string& mismatch() const {
    return mismatch_;
  }
  /// The recorded request to cancel.
  [[nodiscard]] const std::optional<journal_entry>& cancel() const {
    return cancel_;
  }
  /// Whether a recorded effect was interrupted.
  [[nodiscard]] bool was_interrupted() const {
    return interrupted_;
  }
  /// The last recorded place by order of completion.
  [[nodiscard]] std::uint64_t recorded_done() const {
    return recorded_done_;
  }

private:
  engine_limits limits_;
  std::map<std::string, std::deque<journal_entry>> recorded_;
  std::size_t left_ = 0;
  std::optional<journal_entry> cancel_;
  bool interrupted_ = false;
  std::uint64_t recorded_done_ = 0;
  std::uint64_t last_number_ = 0;
  std::uint64_t last_done_ = 0;
  std::string mismatch_;

  std::map<std::uint64_t, operation_ptr> dirty_;
  journal_batch extras_;
  std::size_t children_bytes_ = 0;
  bool urgent_ = false;
  std::size_t values_dirty_ = 0;
  std::size_t values_taken_ = 0;
  std::vector<operation_ptr> results_taken_;
};

/// Names an effect for people: `step "resize" #2 in branch "1.0"`.
[[nodiscard]] std::string describe(const journal_entry& x);
[[nodiscard]] const char* name_of_kind(effect_kind kind);

} // namespace belay::workflows
