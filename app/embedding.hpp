// The belay command line with tools and workflows of your own.
//
//     int main(int argc, char** argv) {
//       belay::embedding node;
//       node.tool("list_files", schema, list_files).workflow("album", album, {.version = 1});
//       return node.run(argc, argv);
//     }
//
// `node` of the program offers them, and `start`, `get` and all other commands know them. To embed
// a node without the command line see actors/node/runtime.hpp; to test, actors/testing/node.hpp.
#pragma once

#include "actors/running/tool.hpp"
#include "actors/workflow/definition.hpp"
#include "app/service_manager.hpp"

#include <concepts>
#include <memory>

namespace belay {

using running::tool_context;

struct workflow_options {
  /// A worker claims the versions that it offers, and no others: keep the old code as long as there
  /// are processes of it, or use `workflow::patched`.
  std::uint32_t version = 1;
  /// JSON schema (draft 7, without `$ref`; `format` is not checked) of the arguments.
  json schema = true;
};

class embedding {
public:
  embedding();
  ~embedding();
  embedding(const embedding&) = delete;
  embedding& operator=(const embedding&) = delete;

  /// Adds a blocking function under a name. It gets the arguments, and first the `tool_context&` if
  /// it takes one; it returns an `outcome`, JSON or what converts to it, or nothing. It runs on a
  /// pool of `worker.tool_threads`; what it throws is a failure, a `belay::failure` says which.
  template <class F>
  embedding& tool(std::string name, json schema, F function) {
    return add_tool(std::move(name), std::move(schema), adapt(std::move(function)));
  }

  /// Adds a workflow in one version; several versions of one name are several workflows.
  embedding& workflow(std::string name, workflow_function code, workflow_options options = {});

  /// Says where a node tells a service manager that it is ready and alive. With libsystemd:
  ///
  ///     node.service({[](const std::string& x) { sd_notify(0, x.c_str()); }, watchdog});
  ///
  /// where `watchdog` is what sd_watchdog_enabled(3) says.
  embedding& service(app::service_link link);

  /// Runs one command and returns the exit code. Writes to standard error and returns 2 when a tool
  /// or workflow is not acceptable.
  int run(int argc, char** argv);

private:
  template <class F>
  static running::tool_function adapt(F function) {
    return [function = std::move(function)](tool_context& context, const json& args) mutable {
      if constexpr (std::invocable<F&, tool_context&, const json&>) {
        return outcome_from([&] { return function(context, args); });
      } else {
        return outcome_from([&] { return function(args); });
      }
    };
  }

  template <class Call>
  static outcome outcome_from(Call call) {
    using result = std::invoke_result_t<Call&>;
    if constexpr (std::is_same_v<result, outcome>) {
      return call();
    } else if constexpr (std::is_void_v<result>) {
      call();
      return make_success("null");
    } else {
      const json value = call();
      return make_success(value.dump());
    }
  }

  embedding& add_tool(std::string name, json schema, running::tool_function function);

  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay
