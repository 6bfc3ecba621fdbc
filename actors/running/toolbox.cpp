// The tools of a node by name, and the checking of arguments against their schemas.
#include "actors/running/tool.hpp"
#include "messages/json_strict.hpp"

#include <map>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace belay::running {

namespace {

/// Returns "args.argv[0]" for valijson's path "<root>[argv][0]".
std::string path_of(const std::vector<std::string>& context) {
  std::string path = "args";
  for (const auto& step : context) {
    if (step == "<root>") {
      continue;
    }
    const auto name = step.substr(1, step.size() - 2);
    const auto index = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
    path += index ? step : "." + name;
  }
  return path;
}

/// Returns the value that valijson's path leads to, for the message; null when there is none.
nlohmann::json value_at(const nlohmann::json& args, const std::vector<std::string>& context) {
  const auto* here = &args;
  for (const auto& step : context) {
    if (step == "<root>") {
      continue;
    }
    const auto name = step.substr(1, step.size() - 2);
    if (here->is_object() && here->contains(name)) {
      here = &(*here)[name];
    } else if (here->is_array() && name.find_first_not_of("0123456789") == std::string::npos
               && std::stoul(name) < here->size()) {
      here = &(*here)[std::stoul(name)];
    } else {
      return nullptr;
    }
  }
  return *here;
}

} // namespace

struct toolbox::impl {
  struct entry {
    tool what;
    valijson::Schema schema;
  };

  std::map<std::string, std::unique_ptr<entry>> tools;
};

toolbox::toolbox() : impl_{std::make_unique<impl>()} {}
toolbox::~toolbox() = default;

void toolbox::add(tool x) {
  if (x.name.empty() || impl_->tools.count(x.name) != 0) {
    throw std::invalid_argument{"the tool name '" + x.name + "' is blank or taken"};
  }
  auto fresh = std::make_unique<impl::entry>();
  try {
    const valijson::adapters::NlohmannJsonAdapter adapter{x.schema};
    valijson::SchemaParser{valijson::SchemaParser::kDraft7}.populateSchema(adapter, fresh->schema);
  } catch (const std::exception& why) {
    throw std::invalid_argument{"the schema of the tool '" + x.name + "' is broken: " + why.what()};
  }
  fresh->what = std::move(x);
  const auto name = fresh->what.name;
  impl_->tools.emplace(name, std::move(fresh));
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
  const auto& x = *impl_->tools.at(name);
  valijson::Validator validator{valijson::Validator::kStrongTypes};
  valijson::ValidationResults results;
  const valijson::adapters::NlohmannJsonAdapter adapter{args};
  if (validator.validate(x.schema, adapter, &results)) {
    return std::nullopt;
  }
  valijson::ValidationResults::Error deepest;
  valijson::ValidationResults::Error next;
  while (results.popError(next)) {
    if (next.context.size() >= deepest.context.size()) {
      deepest = next;
    }
  }
  return refusal{ec::bad_request, path_of(deepest.context) + ": "
                                    + shortened(value_at(args, deepest.context))
                                    + " is not acceptable: " + deepest.description};
}

} // namespace belay::running
