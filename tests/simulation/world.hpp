// What the code of a simulated world has done and seen, and what must be true of it.
//
// Checked:
//  1. A process has one outcome, which never changes, and its history says so once.
//  2. A step, or a tool that is called, does not act once its journal entry is committed, and only
//     for the run that holds the process.
//  3. Code that is run again sees what it has seen before, in the same order.
//  4. What was journaled stays as it is.
//  5. A child is started once for each place in its parent's code.
//  6. A signal is taken once, and in order.
//  7. What is to be put right after a cancel is put right.
//  8. Nothing waits for what has happened.
#pragma once

#include "actors/testing/node.hpp"
#include "actors/workflow/workflow.hpp"

#include <map>

namespace belay::simulation {

/// Where a run of the code of one process stands.
struct run_context {
  std::uint32_t run = 0;
  /// Numbers the engines of a process: a later one has taken its place.
  std::uint64_t engine = 0;
  /// How much it has seen.
  std::size_t position = 0;
};

class world {
public:
  void watch(testing::node& node);

  // -- what the code tells ------------------------------------------------------------------------

  /// A run of the code begins, from the top.
  run_context begins(const process_id& id);
  /// Whether the code of a process has begun here; else it is a tool.
  [[nodiscard]] bool is_workflow(const process_id& id) const {
    return engines_.count(id) != 0;
  }
  /// Returns how many runs of a process have failed before this one.
  [[nodiscard]] std::uint32_t failures_of(const process_id& id) const;
  /// A step acts on the world. Returns how often it has done so.
  std::uint64_t acts(const process_id& id, const run_context& run, const std::string& site);
  /// A tool acts that a workflow has called.
  std::uint64_t is_called(const process_id& id, std::uint32_t run, const std::string& site);
  /// A tool acts that is a process.
  std::uint64_t works(const process_id& id);
  /// The code has seen something that must be the same when it is run again.
  void saw(const process_id& id, run_context& run, const std::string& what);

  // -- checks -------------------------------------------------------------------------------------

  /// At any time.
  void look();
  /// When all has happened that happens by itself.
  void look_at_rest();
  /// When every process has ended.
  void look_at_end();

  void find(const std::string& what);
  [[nodiscard]] const std::vector<std::string>& findings() const {
    return findings_;
  }

  /// Leases were taken away: code may run for a while that does not hold its process any more.
  bool leases_lost = false;

private:
  [[nodiscard]] static std::string
  key_of(const process_id& id, std::uint32_t run, const std::string& site = {});
  void must_hold(const process_id& id, const std::string& site);
  void must_be_open(const process_id& id, effect_kind kind, const std::string& site);
  void look_at(const process_view& x);
  void look_at_journal(const process_view& x);
  void look_at_signals(const process_view& x);
  void look_at_events(const process_view& x);
  void look_at_cancel(const process_view& x);
  void look_at_children();
  [[nodiscard]] bool is_over(const process_view& x, const wait_condition& until) const;

  testing::node* node_ = nullptr;
  std::vector<std::string> findings_;
  std::map<std::string, std::uint64_t> counts_;
  std::map<std::string, std::vector<std::string>> seen_;
  std::map<process_id, std::uint64_t> engines_;
  std::map<process_id, std::string> outcomes_;
  std::map<std::string, std::vector<journal_entry>> journals_;
};

} // namespace belay::simulation
