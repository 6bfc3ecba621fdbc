// A tool: a name, a JSON schema for its arguments, and what runs it.
//
// Nothing here knows of actors or leases: a process actor starts a run, is told when it is done,
// and can ask it to stop. User code never runs on a thread that renews leases.
#pragma once

#include "actors/running/work_pool.hpp"
#include "messages/error.hpp"
#include "messages/journal.hpp"
#include "messages/outcome.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace belay {
struct workflow_definition;
}

namespace belay::running {

/// What a run is told about itself.
struct run_info {
  process_id id;
  std::uint32_t attempt = 0;
  /// The W3C trace context of the run; empty when it is in no trace.
  std::string traceparent;
};

/// What a run tells its process actor. Called from any thread; none of them blocks or throws.
struct run_callbacks {
  /// Called exactly once, last, when the run is over and nothing of it is left.
  std::function<void(outcome)> finished;
  /// Appends an event to the process's history (type, JSON text). May drop when the run is over.
  std::function<void(std::string, std::string)> emit;
  /// Sets what `get` shows as the status (JSON text); of several in a row the last one counts.
  std::function<void(std::string)> status;
  /// Keeps bytes with the process.
  std::function<void(attachment)> attach;
};

/// A run under way. Destroying it before `finished` was called stops it at once, as `kill` does.
class tool_run {
public:
  virtual ~tool_run() = default;
  tool_run() = default;
  tool_run(const tool_run&) = delete;
  tool_run& operator=(const tool_run&) = delete;

  /// Asks the run to end soon (SIGTERM, a flag). May be called more than once.
  virtual void cancel() = 0;
  /// Ends the run now (SIGKILL to the group). A C++ function cannot be killed: it is left behind,
  /// its result dropped, and `finished` is called with a cancelled outcome.
  virtual void kill() = 0;
};

/// Starts a run. The outcome of a run that could not be started comes through `finished` too, and
/// it is a run as well: what is returned is never null.
using tool_start
  = std::function<std::unique_ptr<tool_run>(const run_info&, const nlohmann::json&, run_callbacks)>;

/// What a blocking tool function can ask and say while it runs.
class tool_context {
public:
  virtual ~tool_context() = default;
  tool_context() = default;
  tool_context(const tool_context&) = delete;
  tool_context& operator=(const tool_context&) = delete;

  [[nodiscard]] virtual const run_info& info() const = 0;
  /// Whether the run was asked to stop. A function that ignores it is left behind after the grace.
  [[nodiscard]] virtual bool cancelled() const = 0;
  /// Waits for `length` or until cancelled. Returns false when cancelled.
  virtual bool wait_for(std::chrono::milliseconds length) = 0;
  /// Appends an event to the process's history.
  virtual void emit(std::string type, const nlohmann::json& payload) = 0;
  /// Says that it is alive and how far it has come: shown as the process's status. Cheap: of many
  /// in a row only the last one is written.
  virtual void progress(const nlohmann::json& status) = 0;
  /// Keeps bytes with the process (`store.attachment_max` at most). Returns their reference,
  /// "sha256:" and hex.
  virtual std::string attach(std::string bytes, std::string name = {}) = 0;
};

/// The plug-in point: runs on a pool thread. An exception is a failure outcome (not retryable).
using tool_function = std::function<outcome(tool_context&, const nlohmann::json&)>;

struct tool {
  std::string name;
  /// JSON schema (draft 7) of the arguments; checked when a process is registered with the node
  /// that offers the tool itself, and again before each run. Without `$ref`; `format` says
  /// something to readers only.
  nlohmann::json schema;
  tool_start start;
};

/// The tools of one node, by name. Filled before the node starts, then read from any thread.
class toolbox {
public:
  toolbox();
  ~toolbox();
  toolbox(const toolbox&) = delete;
  toolbox& operator=(const toolbox&) = delete;

  /// Adds a tool. Throws `std::invalid_argument` on a blank or taken name or a broken schema.
  void add(tool x);
  /// Adds a workflow in one version. Throws as above.
  void add(workflow_definition x);

  /// Returns the tool of that name, or nullptr.
  [[nodiscard]] const tool* find(const std::string& name) const;
  /// Returns the workflow of a kind, as in "album@2", or nullptr.
  [[nodiscard]] const workflow_definition* find_workflow(const std::string& kind) const;
  /// Returns the names of all tools and the kinds of all workflows, sorted: what the node offers.
  [[nodiscard]] std::vector<std::string> names() const;
  /// Checks arguments against the schema of a tool or, by its kind, a workflow. Returns nothing
  /// when they fit, else a text that names the argument, its value and what was expected. Requires
  /// that there is such a one.
  [[nodiscard]] std::optional<refusal>
  check_args(const std::string& name, const nlohmann::json& args) const;

  /// The same for a whole registration; nothing where its kind is not offered here.
  [[nodiscard]] std::optional<refusal> check_input(const registration& x) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Blocking tool functions on a bounded pool of threads.
class tool_threads {
public:
  /// `threads_max`: most threads that are not stuck in an abandoned function.
  explicit tool_threads(std::size_t threads_max);

  /// Makes a start function that runs `function` on this pool. The pool must outlive the runs.
  [[nodiscard]] tool_start blocking(tool_function function);

  /// Functions that were told to stop and have not returned.
  [[nodiscard]] std::vector<stuck_code> stuck() const {
    return pool_->stuck();
  }

private:
  std::shared_ptr<work_pool> pool_;
};

/// Bounds and permissions of the exec tool ([tools.exec] of the configuration).
struct exec_options {
  /// Glob patterns (fnmatch) of programs that may run: matched against argv[0] as written and
  /// against its resolved absolute path. Empty allows nothing.
  std::vector<std::string> allow;
  /// Captured bytes of each of stdout and stderr; the rest is counted.
  std::size_t capture_bytes_max = 65'536;
  /// Largest standard input in bytes.
  std::size_t stdin_bytes_max = 1'048'576;
  /// Programs that may run at once; more wait.
  std::size_t running_max = 256;
};

/// Runs real programs: argv without a shell, on a libuv loop in a thread of its own. Destroying it
/// kills what still runs.
class exec_service {
public:
  explicit exec_service(exec_options options);
  ~exec_service();
  exec_service(const exec_service&) = delete;
  exec_service& operator=(const exec_service&) = delete;

  /// Returns the tool "exec". The service must outlive its runs.
  [[nodiscard]] tool as_tool();

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

/// The tools for trying things out: "sleep" {"ms"}, "echo" {anything}, "fail" {"code", "message",
/// "retryable", "times"}.
void add_small_tools(toolbox& box, tool_threads& threads);

} // namespace belay::running
