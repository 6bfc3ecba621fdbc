#include "app/embedding.hpp"

#include "app/command_line.hpp"
#include "app/exit_code.hpp"
#include "app/output.hpp"

#include <stdexcept>
#include <vector>

namespace belay {

struct embedding::impl {
  struct named_tool {
    std::string name;
    json schema;
    running::tool_function function;
  };

  std::vector<named_tool> tools;
  std::vector<workflow_definition> workflows;
  app::service_link service;

  void fill(running::toolbox& box, running::tool_threads& threads) const {
    for (const auto& x : tools) {
      box.add({x.name, x.schema, threads.blocking(x.function)});
    }
    for (const auto& x : workflows) {
      box.add(x);
    }
  }
};

embedding::embedding() : impl_{std::make_unique<impl>()} {}

embedding::~embedding() = default;

embedding& embedding::add_tool(std::string name, json schema, running::tool_function function) {
  impl_->tools.push_back({std::move(name), std::move(schema), std::move(function)});
  return *this;
}

embedding& embedding::workflow(std::string name, workflow_function code, workflow_options options) {
  impl_->workflows.push_back(
    {std::move(name), options.version, std::move(options.schema), std::move(code)});
  return *this;
}

embedding& embedding::service(app::service_link link) {
  impl_->service = std::move(link);
  return *this;
}

int embedding::run(int argc, char** argv) {
  try {
    // Once for the errors: a name that is taken is a mistake of the program, not of one command.
    running::toolbox probe;
    running::tool_threads threads{1};
    impl_->fill(probe, threads);
  } catch (const std::invalid_argument& x) {
    app::print_error(x.what());
    return static_cast<int>(app::exit_code::usage);
  }
  return app::run_command_line(
    argc, argv,
    [this](running::toolbox& box, running::tool_threads& threads) { impl_->fill(box, threads); },
    impl_->service);
}

} // namespace belay
