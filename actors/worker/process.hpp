// The process actor: runs one claimed row and ends in one fenced write, or none.
#pragma once

#include "actors/running/tool.hpp"
#include "actors/trace/run_trace.hpp"
#include "actors/worker/worker_links.hpp"
#include "messages/protocol.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>

namespace belay::actors {

class workflow_driver;

struct process_setup {
  claimed row;
  std::uint64_t slot = 0;
  worker_links links;
  workflow_policy workflow;
  duration_ms cancel_grace_ms = 0;
  /// Whether to ask for a slot first: those are taken by processes that go on after a wait.
  bool hold = false;
};

/// What the PROCESS does. Its exit reason tells how it ended: `normal` after the outcome (or a
/// retry) was recorded or the lease given back, `lease_superseded` when the lease was lost,
/// `user_shutdown` when the node stopped.
class process_state_machine {
public:
  static constexpr const char* name = "process";
  using pointer = process_actor::stateful_pointer<process_state_machine>;

  process_state_machine();
  ~process_state_machine();
  void start(pointer self, process_setup setup);
  void cancel(bool kill);
  void lost(const std::string& why);
  void release(const std::string& reason);
  void finished(outcome result);
  void call_finished(std::uint64_t call, outcome result);
  void advance();
  void resumed();
  void park();
  void status(std::string text);
  void attach(attachment bytes);
  void emit(std::string type, std::string payload);
  void alarm(std::uint32_t tag);
  [[nodiscard]] std::string snapshot() const;

private:
  enum class phase { running, completing, ended };
  enum alarm_tag : std::uint32_t { timeout_tag = 1, grace_tag = 2, retry_tag = 3, attach_tag = 4 };

  void run();
  void run_tool(const nlohmann::json& args);
  void run_workflow();
  [[nodiscard]] bool is_workflow() const;
  void give_back();
  /// Sends what is to be written before the outcome, then that; goes on with each answer.
  void flush();
  void send_status();
  void send_attachment();
  void stop_run();
  void kill_run();
  void complete();
  void end(caf::error reason);
  /// Tells the instruments how the run has ended: what is said first counts.
  void count_end(metrics::run_end how);
  void set_alarm(alarm_tag tag, duration_ms delay);
  [[nodiscard]] running::run_callbacks callbacks();

  pointer self_ = nullptr;
  process_setup setup_;
  registration what_;
  std::unique_ptr<running::tool_run> run_;
  std::unique_ptr<workflow_driver> workflow_;
  tracing::run_trace trace_;
  phase phase_ = phase::running;
  bool cancelling_ = false;
  bool timed_out_ = false;
  outcome result_;
  std::uint32_t appends_in_flight_ = 0;
  std::uint64_t appends_dropped_ = 0;
  /// Of a run that has begun and was not counted as ended: its instruments.
  metrics::worker_instruments::kind_set* meter_ = nullptr;
  caf::actor_clock::time_point begun_at_;
  /// The last status that was not written yet, and whether one is on its way.
  std::string status_;
  bool status_in_flight_ = false;
  /// Attachments that are not written yet; the first may be on its way.
  std::deque<attachment> attachments_;
  bool attachment_in_flight_ = false;
  bool outcome_in_flight_ = false;
};

process_actor::behavior_type process(process_state_machine::pointer self, process_setup setup);

} // namespace belay::actors
