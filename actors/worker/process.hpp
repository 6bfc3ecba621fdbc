// The process actor: runs one claimed row and ends in one fenced write, or none.
#pragma once

#include "actors/running/tool.hpp"
#include "messages/protocol.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace belay::actors {

struct process_setup {
  claimed row;
  std::uint64_t slot = 0;
  registry_actor registry;
  sweeper_actor sweeper;
  std::shared_ptr<const running::toolbox> tools;
  duration_ms cancel_grace_ms = 0;
};

/// What the PROCESS does. Its exit reason tells how it ended: `normal` after the outcome (or a
/// retry) was recorded or the lease given back, `lease_superseded` when the lease was lost,
/// `user_shutdown` when the node stopped.
class process_state_machine {
public:
  static constexpr const char* name = "process";
  using pointer = process_actor::stateful_pointer<process_state_machine>;

  ~process_state_machine();
  void start(pointer self, process_setup setup);
  void cancel(bool kill);
  void lost(const std::string& why);
  void release(const std::string& reason);
  void finished(outcome result);
  void emit(std::string type, std::string payload);
  void alarm(std::uint32_t tag);
  [[nodiscard]] std::string snapshot() const;

private:
  enum class phase { running, completing, ended };
  enum alarm_tag : std::uint32_t { timeout_tag = 1, grace_tag = 2, retry_tag = 3 };

  void run();
  void stop_run();
  void complete();
  void end(caf::error reason);
  void set_alarm(alarm_tag tag, duration_ms delay);
  [[nodiscard]] running::run_callbacks callbacks();

  pointer self_ = nullptr;
  process_setup setup_;
  registration what_;
  std::unique_ptr<running::tool_run> run_;
  phase phase_ = phase::running;
  bool cancelling_ = false;
  bool timed_out_ = false;
  outcome result_;
  std::uint32_t appends_in_flight_ = 0;
  std::uint64_t appends_dropped_ = 0;
};

process_actor::behavior_type process(process_state_machine::pointer self, process_setup setup);

} // namespace belay::actors
