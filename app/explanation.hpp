// Why a process is not running, or what it does: one sentence, and the facts under it.
#pragma once

#include "messages/event.hpp"
#include "messages/membership.hpp"
#include "messages/process_view.hpp"
#include "messages/queues.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace belay::app {

/// What is known when somebody asks. All of it is gathered without the process's help.
struct known_facts {
  process_view process;
  timestamp_ms now = 0;
  std::vector<node_info> nodes;
  /// New processes are refused; and: the last commit found no room at all.
  bool nearly_full = false;
  bool commit_failed = false;
  /// The end of its history, oldest first.
  std::vector<event> history;
  /// Those that it waits for, as far as they are there.
  std::vector<process_view> awaited;
  /// What it waits for in memory, as its worker says; in words.
  std::vector<std::string> waits;
  /// Its queue, if there is anything to say of it.
  std::optional<queue_view> queue;
  /// Some that run on the workers (of its queue alone, where that is at its bound), newest first.
  std::vector<process_view> running;
};

struct explanation {
  /// Stable, for programs: "finished", "delayed", "store_full", "queue_paused", "queue_full",
  /// "key_full", "rate_limited", "no_worker", "no_queue",
  /// "draining", "slots_full", "about_to_start", "running", "waits_in_memory", "owner_silent",
  /// "waits_for_signal", "waits_for_timer", "waits_for_process", "waits_for_children",
  /// "quarantined" or "external".
  std::string why;
  std::string sentence;
  /// Name and value, in order.
  std::vector<std::pair<std::string, std::string>> facts;
};

[[nodiscard]] explanation explain(const known_facts& x);

} // namespace belay::app
