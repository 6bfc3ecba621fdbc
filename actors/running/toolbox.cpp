// The tools of a node by name, and the checking of arguments against their schemas.
#include "actors/running/tool.hpp"
#include "actors/workflow/definition.hpp"
#include "messages/registration.hpp"
#include "messages/schema.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace belay::running {

struct toolbox::impl {
  struct entry {
    tool what;
    json_schema schema;
  };

  struct workflow_entry {
    workflow_definition what;
    json_schema schema;
  };

  std::map<std::string, std::unique_ptr<entry>> tools;
  std::map<std::string, std::unique_ptr<workflow_entry>> workflows;
};

namespace {

json_schema read_schema(const std::string& whose, const nlohmann::json& schema) {
  try {
    return json_schema{schema};
  } catch (const std::invalid_argument& why) {
    throw std::invalid_argument{"the schema of " + whose + " is broken: " + why.what()};
  }
}

} // namespace

toolbox::toolbox() : impl_{std::make_unique<impl>()} {}
toolbox::~toolbox() = default;

void toolbox::add(tool x) {
  if (x.name.empty() || impl_->tools.count(x.name) != 0) {
    throw std::invalid_argument{"the tool name '" + x.name + "' is blank or taken"};
  }
  auto schema = read_schema("the tool '" + x.name + "'", x.schema);
  const auto name = x.name;
  impl_->tools.emplace(name,
                       std::make_unique<impl::entry>(impl::entry{std::move(x), std::move(schema)}));
}

void toolbox::add(workflow_definition x) {
  const auto kind = workflow_kind(x.name, x.version);
  registration probe;
  probe.id = "x";
  probe.kind = kind;
  probe.rule = recovery_rule::rerunnable;
  probe.input = nlohmann::json{{"type", "workflow"},
                               {"workflow", x.name},
                               {"version", x.version},
                               {"args", nlohmann::json::object()}}
                  .dump();
  if (const auto no = validate(probe)) {
    throw std::invalid_argument{"the workflow '" + kind + "': " + no->text};
  }
  if (!x.code || impl_->workflows.count(kind) != 0) {
    throw std::invalid_argument{"the workflow '" + kind + "' has no code or is there already"};
  }
  auto schema = read_schema("the workflow '" + kind + "'", x.schema);
  impl_->workflows.emplace(kind, std::make_unique<impl::workflow_entry>(
                                   impl::workflow_entry{std::move(x), std::move(schema)}));
}

const tool* toolbox::find(const std::string& name) const {
  const auto found = impl_->tools.find(name);
  return found == impl_->tools.end() ? nullptr : &found->second->what;
}

const workflow_definition* toolbox::find_workflow(const std::string& kind) const {
  const auto found = impl_->workflows.find(kind);
  return found == impl_->workflows.end() ? nullptr : &found->second->what;
}

std::vector<std::string> toolbox::names() const {
  std::vector<std::string> result;
  for (const auto& [name, x] : impl_->tools) {
    result.push_back(name);
  }
  for (const auto& [kind, x] : impl_->workflows) {
    result.push_back(kind);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::optional<refusal>
toolbox::check_args(const std::string& name, const nlohmann::json& args) const {
  if (const auto found = impl_->workflows.find(name); found != impl_->workflows.end()) {
    return found->second->schema.check("args", args);
  }
  return impl_->tools.at(name)->schema.check("args", args);
}

std::optional<refusal> toolbox::check_input(const registration& x) const {
  const auto* tool = find(x.kind);
  const auto* workflow = find_workflow(x.kind);
  if (tool == nullptr && workflow == nullptr) {
    return std::nullopt;
  }
  if ((tool != nullptr ? tool->schema : workflow->schema) == true) {
    return std::nullopt; // Anything fits; there is no need to read it.
  }
  return check_args(x.kind, nlohmann::json::parse(x.input).at("args"));
}

} // namespace belay::running
