// A whole node for tests of tools and workflows: no thread, no disk, and a clock that the test
// moves.
//
//     belay::testing::node node;
//     node.workflow("album", album).tool("list_files", list_files);
//     node.start_workflow("a1", "album", {{"dir", "x"}});
//     node.run();                       // until nothing goes on by itself
//     node.advance(24h);                // timers on the way fire
//     node.signal("a1", "approved", true);
//     node.run();
//     CHECK(node.outcome_of("a1")->kind == belay::outcome_kind::success);
//
// Everything happens in `run` and `advance`, on the test's own thread, always in the same order for
// the same seed. Free of CAF.
#pragma once

#include "actors/running/tool.hpp"
#include "actors/workflow/definition.hpp"
#include "messages/operations.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

namespace belay::testing {

struct node_options {
  /// 0: actors run in the order in which they got their messages. Any other number picks an order.
  std::uint64_t seed = 0;
  std::uint32_t slots = 64;
  std::uint32_t interruptions_max = 0;
  std::chrono::milliseconds lease_ttl{30'000};
  std::chrono::milliseconds park_after{1'000};
  std::chrono::milliseconds cancel_grace{10'000};
  std::size_t children_max = 10'000;
  std::size_t result_bytes_max = 1'048'576;
  /// Turns of actors without time going by, after which `run` throws: they would never rest.
  std::size_t turns_max = 10'000'000;
};

/// Where in a commit the program dies: before anything is written, or after it is on disk and
/// before anybody knows.
enum class crash_point { before, after };

/// A function that a tool is, in the forms in which it may be given.
using simple_tool = std::function<json(const json&)>;

class node {
public:
  explicit node(node_options options = {});
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Adds a tool. It is run at once and to its end when it is called; its waits take no time.
  node& tool(std::string name, running::tool_function function, json schema = true);
  node& tool(std::string name, simple_tool function, json schema = true);
  /// Adds a workflow in a version.
  node&
  workflow(std::string name, workflow_function code, std::uint32_t version = 1, json schema = true);

  /// Registers a process. Throws `std::runtime_error` when it is refused.
  void start(registration x);
  void start_workflow(process_id id, const std::string& name, json args = json::object(),
                      std::uint32_t version = 1);
  void start_tool(process_id id, const std::string& name, json args = json::object());

  checked<event> signal(const process_id& id, const std::string& name, const json& payload = {},
                        const std::string& key = {});
  checked<cancel_receipt> cancel(const process_id& id, bool kill = false);

  /// Handles everything that can be handled without time going by. After a crash it starts the node
  /// again and goes on.
  void run();
  /// Lets time go by, and runs what falls due on the way.
  void advance(std::chrono::milliseconds length);

  /// Lets the program die at the n-th commit from now, n from 1.
  void crash_at(std::uint64_t commit, crash_point where);
  /// Dies now, and starts again: what was in memory is gone.
  void crash();
  /// Calls `look` after each crash, when the store is open again and nothing has run yet.
  void when_crashed(std::function<void()> look);
  /// Sets the wall clock on or back; noticed when the node starts again.
  void jump_wall_clock(std::chrono::milliseconds length);
  /// Voids every lease, as if the worker had been silent too long; it goes on until it notices.
  void lose_leases();
  /// Commits so far, and crashes.
  [[nodiscard]] std::uint64_t commits() const;
  [[nodiscard]] std::uint64_t crashes() const;

  [[nodiscard]] std::optional<outcome> outcome_of(const process_id& id) const;
  [[nodiscard]] process_view get(const process_id& id) const;
  [[nodiscard]] std::vector<event> history(const process_id& id) const;
  [[nodiscard]] std::vector<journal_entry> journal(const process_id& id) const;
  /// Every process, oldest first.
  [[nodiscard]] std::vector<process_view> all() const;
  /// Checks every record and invariant; a sentence for each violation.
  [[nodiscard]] std::vector<std::string> check() const;
  /// Milliseconds since 1970, by the test's clock.
  [[nodiscard]] timestamp_ms now() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay::testing
