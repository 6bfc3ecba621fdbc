#include "messages/schema.hpp"

#include "messages/json_strict.hpp"

// Without this valijson ends the program on a schema that it does not understand (exceptions.hpp).
#define VALIJSON_USE_EXCEPTIONS 1

#include <algorithm>
#include <array>
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

/// Words whose members are schemas by any name.
constexpr std::array<std::string_view, 5> maps_of_schemas{"properties", "patternProperties",
                                                          "dependencies", "definitions", "$defs"};
/// Words whose content is a value, whatever it looks like.
constexpr std::array<std::string_view, 4> words_with_values{"const", "enum", "default", "examples"};

template <class Words>
bool is_one_of(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Whether validation can divide by it. Above INT64_MAX valijson takes a whole one for negative,
/// and the lowest number modulo -1 ends the program.
bool is_divisor(const nlohmann::json& x) {
  if (x.is_number_unsigned()) {
    return x.get<std::uint64_t>() > 0 && x.get<std::uint64_t>() <= INT64_MAX;
  }
  return x.is_number() && x.get<double>() > 0;
}

using pointer = nlohmann::json::json_pointer;

/// What of a schema is not accepted, and what would be.
struct objection {
  std::string what;
  std::string expected;
};

/// `names`: the keys are names of schemas, not words of one. `strict`: nobody may have the schema
/// look long or deep at a text.
std::optional<objection>
object_to(const nlohmann::json& schema, bool strict, const pointer& at = pointer{},
          bool names = false, std::size_t depth = 0) {
  if (!schema.is_structured()) {
    return std::nullopt;
  }
  if (++depth > json_depth_max) {
    return objection{"a schema nested deeper", std::to_string(json_depth_max) + " levels at most"};
  }
  for (const auto& [key, inner] : schema.items()) {
    const auto word = schema.is_object() && !names;
    const auto here = at / key;
    const auto said
      = [&here, &key = key] { return key + " at " + shortened(nlohmann::json(here.to_string())); };
    if (word
        && (key == "$ref"
            || (strict && (key == "format" || key == "pattern" || key == "patternProperties")))) {
      return objection{said(), strict
                                 ? "a schema without $ref, format, pattern and patternProperties"
                                 : "a schema without $ref"};
    }
    if (word && key == "multipleOf" && !is_divisor(inner)) {
      return objection{said() + " (" + shortened(inner) + ")",
                       "a number above 0 (a whole one up to 9223372036854775807)"};
    }
    if (word && is_one_of(words_with_values, key)) {
      continue;
    }
    if (auto no = object_to(inner, strict, here, word && is_one_of(maps_of_schemas, key), depth)) {
      return no;
    }
  }
  return std::nullopt;
}

/// Takes `format` out wherever it is a word: draft 7 lets it say something to readers only, while
/// valijson throws at what is no string and matches regular expressions against what is one.
void drop_format(nlohmann::json& schema, bool names = false) {
  if (!schema.is_structured()) {
    return;
  }
  const auto words = schema.is_object() && !names;
  if (words) {
    schema.erase("format");
  }
  for (const auto& [key, inner] : schema.items()) {
    if (!words || !is_one_of(words_with_values, key)) {
      drop_format(inner, words && is_one_of(maps_of_schemas, key));
    }
  }
}

} // namespace

struct json_schema::impl {
  valijson::Schema schema;
};

json_schema::json_schema(const nlohmann::json& text) : impl_{std::make_unique<impl>()} {
  if (!text.is_object() && !text.is_boolean()) {
    throw std::invalid_argument{"a schema is an object, true or false"};
  }
  if (const auto no = object_to(text, false)) {
    throw std::invalid_argument{no->what + " is not acceptable, expected " + no->expected};
  }
  // valijson knows no boolean schemas at the top; draft 7 says that these mean the same.
  auto plain = text.is_object()   ? text
               : text.get<bool>() ? nlohmann::json::object()
                                  : nlohmann::json{{"not", nlohmann::json::object()}};
  drop_format(plain);
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
  try {
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
  } catch (const std::exception& why) {
    // As of a regular expression that is none: valijson compiles it only here.
    return refusal{ec::bad_request, root + ": " + shortened(value)
                                      + " cannot be checked against its schema: " + why.what()};
  }
}

std::optional<refusal> validate_schema(const std::string& field, const nlohmann::json& schema) {
  if (const auto no = object_to(schema, true)) {
    return bad_field(field, no->what, no->expected);
  }
  try {
    static_cast<void>(json_schema{schema});
  } catch (const std::invalid_argument& why) {
    return bad_value(field, schema, std::string{"a JSON schema of draft 7 ("} + why.what() + ")");
  }
  return std::nullopt;
}

} // namespace belay
