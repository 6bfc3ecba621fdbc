#include "messages/schema.hpp"

#include "messages/json_strict.hpp"

// Without this valijson ends the program on a schema that it does not understand (exceptions.hpp).
#define VALIJSON_USE_EXCEPTIONS 1

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace belay {

namespace {

/// Returns "args/argv/0" for valijson's path "<root>[argv][0]".
std::string path_of(const std::string& root, const std::vector<std::string>& context) {
  auto path = root;
  for (const auto& step : context) {
    if (step == "<root>") {
      continue;
    }
    path += '/';
    for (const char c : std::string_view{step}.substr(1, step.size() - 2)) {
      path += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    }
  }
  return path;
}

/// Returns the value that valijson's path leads to, for the message; null when there is none.
nlohmann::json value_at(const nlohmann::json& value, const std::vector<std::string>& context) {
  const auto* here = &value;
  for (const auto& step : context) {
    if (step == "<root>") {
      continue;
    }
    const auto name = step.substr(1, step.size() - 2);
    if (here->is_object() && here->contains(name)) {
      here = &(*here)[name];
    } else if (here->is_array() && !name.empty() && name.size() < 10
               && name.find_first_not_of("0123456789") == std::string::npos
               && std::stoul(name) < here->size()) {
      here = &(*here)[std::stoul(name)];
    } else {
      return nullptr;
    }
  }
  return *here;
}

} // namespace

struct json_schema::impl {
  valijson::Schema schema;
};

json_schema::json_schema(const nlohmann::json& text) : impl_{std::make_unique<impl>()} {
  if (!text.is_object() && !text.is_boolean()) {
    throw std::invalid_argument{"a schema is an object, true or false"};
  }
  // valijson knows no boolean schemas at the top; draft 7 says that these mean the same.
  const auto plain = text.is_object()   ? text
                     : text.get<bool>() ? nlohmann::json::object()
                                        : nlohmann::json{{"not", nlohmann::json::object()}};
  try {
    const valijson::adapters::NlohmannJsonAdapter adapter{plain};
    valijson::SchemaParser{valijson::SchemaParser::kDraft7}.populateSchema(adapter, impl_->schema);
  } catch (const std::exception& why) {
    throw std::invalid_argument{why.what()};
  }
}

json_schema::~json_schema() = default;
json_schema::json_schema(json_schema&&) noexcept = default;
json_schema& json_schema::operator=(json_schema&&) noexcept = default;

std::optional<refusal>
json_schema::check(const std::string& root, const nlohmann::json& value) const {
  valijson::Validator validator{valijson::Validator::kStrongTypes};
  valijson::ValidationResults results;
  const valijson::adapters::NlohmannJsonAdapter adapter{value};
  if (validator.validate(impl_->schema, adapter, &results)) {
    return std::nullopt;
  }
  valijson::ValidationResults::Error deepest;
  valijson::ValidationResults::Error next;
  while (results.popError(next)) {
    if (next.context.size() >= deepest.context.size()) {
      deepest = next;
    }
  }
  return refusal{ec::bad_request, path_of(root, deepest.context) + ": "
                                    + shortened(value_at(value, deepest.context))
                                    + " is not acceptable: " + deepest.description};
}

namespace {

/// `names`: the keys are names of properties, not words of a schema.
bool finds_pattern(const nlohmann::json& schema, bool names) {
  if (!schema.is_structured()) {
    return false;
  }
  for (const auto& [key, inner] : schema.items()) {
    const auto word = schema.is_object() && !names;
    if ((word && (key == "pattern" || key == "patternProperties"))
        || finds_pattern(inner, word && key == "properties")) {
      return true;
    }
  }
  return false;
}

} // namespace

bool has_pattern(const nlohmann::json& schema) {
  return finds_pattern(schema, false);
}

} // namespace belay
