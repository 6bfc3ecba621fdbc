// Drives one workflow inside its process actor: runs its code on the pool, journals what it asks
// for, looks after what it waits for, and parks it.
#pragma once

#include "actors/running/tool.hpp"
#include "actors/trace/run_trace.hpp"
#include "actors/worker/worker_links.hpp"
#include "actors/workflow/engine.hpp"
#include "messages/protocol.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace belay::actors {

struct driver_setup {
  process_actor::pointer self = nullptr;
  claimed row;
  registration what;
  std::uint64_t slot = 0;
  worker_links links;
  workflow_policy policy;
  tracing::run_trace trace;
  /// From the cancel of a tool to its kill.
  duration_ms cancel_grace_ms = 0;
  /// When the whole run is to be over; 0 means never. Woken for it, too.
  timestamp_ms deadline = 0;
  /// The code has ended and everything it asked for is on disk.
  std::function<void(outcome)> finished;
  /// The process waits without a lease now.
  std::function<void()> parked;
  /// The lease is gone.
  std::function<void()> lost;
  /// Sets an alarm of the process actor; it comes back through `alarm`.
  std::function<void(std::uint32_t, duration_ms)> set_alarm;
};

/// **Operation.** A *slice* is code of the workflow running on a pool thread until it waits. After
/// it, what has to be is journaled (one request at a time), then what is awaited is begun: tools,
/// and waits for children, signals and times through the watcher and the sweeper's alarms. A result
/// that comes is journaled before the next slice delivers it. While nothing of it runs the process
/// gives its slot away; after `park_after` it parks.
///
/// **Concurrency.** Everything here runs in the process actor; the engine alone is lent to a pool
/// thread for the length of a slice.
class workflow_driver {
public:
  explicit workflow_driver(driver_setup setup);
  ~workflow_driver();
  workflow_driver(const workflow_driver&) = delete;
  workflow_driver& operator=(const workflow_driver&) = delete;

  void start();
  /// Lets the code know that it is to end.
  void cancel(const std::string& reason);
  /// Leaves the code behind: it is told nothing and heard no more.
  void abandon();
  /// A slice is over.
  void advance();
  /// There is a slot again.
  void resumed();
  /// The worker holds too many waiting ones.
  void park_soon();
  void call_finished(std::uint64_t call, outcome result);
  void alarm(std::uint32_t tag);
  /// Where it stands, for people.
  [[nodiscard]] nlohmann::json snapshot() const;

  /// Alarm tags from here on are the driver's.
  static constexpr std::uint32_t first_tag = 100;

private:
  enum class phase { loading, slicing, settling, committing, waiting, parking, over };

  /// An effect that is looked after.
  struct effort {
    workflows::want what;
    std::unique_ptr<running::tool_run> run;
    /// Of the run, while there is one.
    std::optional<tracing::span> trace;
    /// Numbers the tool runs of a call: a late result of an earlier one is told by it.
    std::uint64_t call = 0;
    std::uint32_t failures = 0;
    /// Of a call that is to be tried again: when.
    timestamp_ms retry_at = 0;
    bool timed_out = false;
    /// Of a wait: the store was asked and it had not happened yet. One that has must not be parked
    /// on, or it would be woken at once, again and again.
    bool looked_up = false;
  };

  void load(std::uint64_t after);
  void make_engine();
  void slice();
  void go_on();
  void commit();
  void send_pending();
  /// Takes out what is kept in memory alone.
  void forget_entries(journal_request& all) const;
  void committed();
  void commit_refused(const refusal& why);
  void finish(outcome result);
  void drop_unwanted();
  void take_arrived();
  void take_signals();
  /// Whether something has come since the engine was last asked.
  [[nodiscard]] bool has_news() const;

  void begin(workflows::want what);
  /// Whether the time until which it waits is over.
  [[nodiscard]] bool is_due(const effort& x) const;
  void begin_due_calls();
  void begin_call(effort& x);
  void call_again(std::uint64_t op);
  void call_timed_out(std::uint64_t op, std::uint64_t call);
  /// Asks the watcher to tell, or only whether it has happened.
  void watch(std::uint64_t op, bool look_up = false);
  void watch_refused(std::uint64_t op, bool look_up, const refusal& why);
  void signal_came(std::uint64_t op, const event& x);
  void arrived(std::uint64_t op, std::string result);
  void fail(std::uint64_t op, failure_class failed, std::string code, std::string message);
  [[nodiscard]] bool retry_later(effort& x, const outcome& result);

  void wait_idle();
  void wake_up();
  /// Parks once every wait was looked up.
  void park_when_sure();
  void park_if_looked_up();
  void park();
  void send_park(park_request request);
  void park_refused(const refusal& why, const park_request& request);
  [[nodiscard]] std::optional<wait_condition> condition_of(const workflows::want& x) const;
  [[nodiscard]] std::optional<park_request> conditions() const;
  /// Whether all that is awaited is times later than parking would be.
  [[nodiscard]] bool waits_long() const;

  void in(duration_ms delay, std::function<void()> what);
  void at(timestamp_ms when, std::function<void()> what);
  [[nodiscard]] timestamp_ms now() const;
  [[nodiscard]] bool calls_run() const;

  driver_setup setup_;
  std::vector<journal_entry> journal_;
  std::shared_ptr<workflows::engine> engine_;
  running::work_pool::ticket_ptr ticket_;
  phase phase_ = phase::loading;
  /// What is to be written; the first is on its way, kept to be sent again.
  std::deque<journal_request> pending_;
  /// What came while the engine was lent away or a commit was on its way: results, signals, retry
  /// states, calls whose pause is over.
  std::vector<std::pair<std::uint64_t, std::string>> arrived_;
  std::vector<std::pair<std::uint64_t, event>> signals_;
  std::vector<std::pair<std::uint64_t, std::string>> notes_;
  std::set<std::uint64_t> calls_due_;
  /// Tools that were told to stop because nobody awaits them any more, by call.
  std::map<std::uint64_t, std::unique_ptr<running::tool_run>> leaving_;
  std::map<std::uint64_t, effort> efforts_;
  std::map<std::uint32_t, std::function<void()>> alarms_;
  std::uint32_t last_tag_ = first_tag;
  std::uint64_t last_call_ = 0;
  /// The slot was given away.
  bool idle_ = false;
  /// It was asked for again.
  bool waking_ = false;
  bool park_asked_ = false;
  bool park_after_commit_ = false;
  std::uint64_t parks_armed_ = 0;
  std::optional<std::string> cancel_reason_;
  bool cancel_told_ = false;
  std::uint64_t commits_ = 0;
};

} // namespace belay::actors
