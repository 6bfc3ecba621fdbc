// Runs one workflow against its journal: deterministic, without actors, threads, clock or I/O.
//
// A driver makes an engine from the journal and then repeats: `advance`; when `must_commit`,
// `take_batch`, write it, `committed`, again; otherwise look after `take_wants` and hand in what
// comes of them by `complete`. In the end `result` is there.
//
// **Concurrency.** None: one thread at a time. Only `advance` runs code of the workflow, and the
// destructor runs that code's destructors.
//
// **Invariants.**
//  1. Results are delivered one by one in the order of `done`, each followed by code until that
//     blocks; never one that is not on disk. So replay and first run do everything in one order.
//  2. No step is run and no call handed out while a value the code may have seen is not on disk,
//     or while something recorded is not yet asked for.
//  3. After a mismatch no code goes on: `result` says what did not match.
#pragma once

#include "actors/workflow/workflow.hpp"
#include "messages/journal.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace belay::workflows {

struct engine_limits {
  /// Entries of a journal.
  std::size_t journal_max = 100'000;
  /// Children that one workflow may start.
  std::size_t children_max = 10'000;
  /// A result as JSON text, the workflow's own included.
  std::size_t result_bytes_max = 1'048'576;
  /// What the store takes of an event, a status (both as JSON text) and an attachment.
  std::size_t event_bytes_max = 65'536;
  std::size_t status_bytes_max = 65'536;
  std::size_t attachment_bytes_max = 2'097'152;
  /// Children and bytes of their inputs in a batch, after which code waits for the commit.
  std::size_t batch_children_max = 1'000;
  std::size_t batch_bytes_max = 1'048'576;
};

struct engine_setup {
  process_id id;
  std::uint32_t attempt = 1;
  /// How many earlier runs ended in a failure that was retried. Each has a journal of its own.
  std::uint32_t run = 0;
  json args;
  /// Of the process; its children inherit it.
  std::string originator = "host";
  std::vector<journal_entry> journal;
  std::function<timestamp_ms()> now;
  engine_limits limits;
  /// Says no to a child that could never run. May be empty.
  std::function<std::optional<refusal>(const registration&)> check_child;
  /// Where `workflow::log` goes. May be empty.
  std::function<void(const std::string&, const json&)> log;
  /// Told of each step that begins, by name and number; what it returns, of its end and whether it
  /// failed. May be empty.
  std::function<std::function<void(bool failed)>(const std::string&, std::uint64_t)> watch_step;
};

/// What is to be written in one transaction (`journal_request`).
struct journal_batch {
  std::vector<journal_entry> entries;
  std::vector<registration> children;
  std::vector<journal_event> events;
  std::vector<attachment> attachments;
  /// JSON text; empty when it was not set since the last batch.
  std::string status;

  [[nodiscard]] bool empty() const {
    return entries.empty() && children.empty() && events.empty() && attachments.empty()
           && status.empty();
  }
};

/// An effect that the driver is to look after, until it calls `complete` or it is dropped.
struct want {
  /// The number of its entry.
  std::uint64_t op = 0;
  /// `call`, `child`, `signal` or `timer`.
  effect_kind kind = effect_kind::call;
  /// The tool, the process id, or the signal's name.
  std::string name;
  /// Of a signal: it needs as many of that name as this to be there. Counts those taken and those
  /// that earlier waits are to get; right until a signal's wait ends, then see `pending`.
  std::uint64_t ordinal = 0;
  /// Of a call.
  json args;
  retry_policy retry;
  duration_ms timeout_ms = 0;
  /// Of a timer, and of a signal with a time-out: when it ends. 0 means never.
  timestamp_ms deadline = 0;
  /// What `note` or the deadline left in the journal; null when there is nothing.
  json state;
};

class engine {
public:
  engine(engine_setup setup, workflow_function code);
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// Delivers what may be delivered and runs code until nothing goes on.
  void advance();

  /// Whether something has to be written before the code can go on.
  [[nodiscard]] bool must_commit() const;
  /// Whether `take_batch` would give anything.
  [[nodiscard]] bool is_dirty() const;
  /// Takes everything that is not written yet, entries by number.
  [[nodiscard]] journal_batch take_batch();
  /// Says that all batches taken are on disk: the next `advance` delivers their results.
  void committed();

  /// Takes the effects awaited since, and those that were held back. Calls and children wait for
  /// the commit of values that the code had seen before.
  [[nodiscard]] std::vector<want> take_wants();
  /// Takes the numbers of effects that were handed out and are awaited no longer: losers of
  /// when_any, interrupted ones, and all when the workflow is over. To be taken before the wants of
  /// the same round, for one given up may be wanted again.
  [[nodiscard]] std::vector<std::uint64_t> take_dropped();
  /// Hands in a result. Of a call or child: `to_json_value(outcome)`; of a signal
  /// `{"seq": n, "payload": ...}` or null when it is late; of a timer null. What nobody awaits any
  /// more is ignored.
  void complete(std::uint64_t op, std::string result_json);
  /// Keeps what is to be known of a pending effect, such as the retries of a call. Written with the
  /// next batch; does not ask for one.
  void note(std::uint64_t op, std::string state_json);
  /// Interrupts what is awaited, or else what is awaited next. Only the first request counts.
  void request_cancel(const std::string& reason);

  /// The end of the code. The driver writes what is dirty, then this.
  [[nodiscard]] const std::optional<outcome>& result() const;
  /// Returns every effect that is awaited and has no result, handed out or not; no steps.
  [[nodiscard]] std::vector<want> pending() const;
  /// Returns how many of `pending` must end before the code can go on: all when they are the direct
  /// children of one when_all, else one.
  [[nodiscard]] std::size_t needed() const;
  /// Whether a wait has got the signal with this sequence number: a new wait gets the first of its
  /// name that is not taken.
  [[nodiscard]] bool is_taken(const std::string& signal, event_seq seq) const;
  [[nodiscard]] bool replaying() const;

private:
  std::unique_ptr<core> core_;
};

} // namespace belay::workflows
