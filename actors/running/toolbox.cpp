// The tools of a node by name, and the checking of arguments against their schemas.
#include "actors/running/tool.hpp"
#include "messages/schema.hpp"

#include <map>
#include <nlohmann/json.hpp>

namespace belay::running {

struct toolbox::impl {
  struct entry {
    tool what;
    json_schema schema;
  };

  std::map<std::string, std::unique_ptr<entry>> tools;
};

toolbox::toolbox() : impl_{std::make_unique<impl>()} {}
toolbox::~toolbox() = default;

void toolbox::add(tool x) {
  if (x.name.empty() || impl_->tools.count(x.name) != 0) {
    throw std::invalid_argument{"the tool name '" + x.name + "' is blank or taken"};
  }
  std::optional<json_schema> schema;
  try {
    schema.emplace(x.schema);
  } catch (const std::invalid_argument& why) {
    throw std::invalid_argument{"the schema of the tool '" + x.name + "' is broken: " + why.what()};
  }
  const auto name = x.name;
  impl_->tools.emplace(
    name, std::make_unique<impl::entry>(impl::entry{std::move(x), std::move(*schema)}));
}

const tool* toolbox::find(const std::string& name) const {
  const auto found = impl_->tools.find(name);
  return found == impl_->tools.end() ? nullptr : &found->second->what;
}

std::vector<std::string> toolbox::names() const {
  std::vector<std::string> result;
  for (const auto& [name, x] : impl_->tools) {
    result.push_back(name);
  }
  return result;
}

std::optional<refusal>
toolbox::check_args(const std::string& name, const nlohmann::json& args) const {
  return impl_->tools.at(name)->schema.check("args", args);
}

} // namespace belay::running
