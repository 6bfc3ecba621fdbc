#include "messages/selector.hpp"

#include "messages/json_strict.hpp"

#include <nlohmann/json.hpp>

namespace belay {

namespace {

using nlohmann::json;

/// Selectors inside templates inside templates: no deeper than this.
constexpr int depth_max = 8;

bool has_only(const json& object, std::initializer_list<const char*> keys) {
  if (object.size() != keys.size()) {
    return false;
  }
  return std::all_of(keys.begin(), keys.end(),
                     [&object](const char* key) { return object.contains(key); });
}

std::optional<json::json_pointer> pointer_of(const json& selector) {
  try {
    return json::json_pointer{selector.at("pointer").get<std::string>()};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::optional<refusal> validate(const std::string& field, const json& selector, int depth) {
  const auto* forms = "payload, pointer, const, template or present (a selector)";
  if (!selector.is_object() || !selector.contains("type") || !selector["type"].is_string()
      || depth > depth_max) {
    return bad_value(field, selector, forms);
  }
  const auto type = selector["type"].get<std::string>();
  if (type == "payload" && has_only(selector, {"type"})) {
    return std::nullopt;
  }
  if (type == "const" && has_only(selector, {"type", "value"})) {
    return std::nullopt;
  }
  if ((type == "pointer" || type == "present") && has_only(selector, {"type", "pointer"})) {
    return pointer_of(selector) ? std::nullopt
                                : std::optional{bad_value(field + ".pointer", selector["pointer"],
                                                          "a JSON pointer such as /a/b")};
  }
  if (type == "template" && has_only(selector, {"type", "template", "fields"})
      && selector["template"].is_string() && selector["fields"].is_object()) {
    for (const auto& [name, inner] : selector["fields"].items()) {
      if (auto no = validate(field + ".fields." + shortened(json(name)), inner, depth + 1)) {
        return no;
      }
    }
    return std::nullopt;
  }
  return bad_value(field, selector, forms);
}

} // namespace

std::optional<refusal> validate_selector(const std::string& field, const json& selector) {
  return validate(field, selector, 0);
}

checked<json> select(const json& selector, const json& payload) {
  const auto type = selector.at("type").get<std::string>();
  if (type == "payload") {
    return payload;
  }
  if (type == "const") {
    return selector.at("value");
  }
  if (type == "template") {
    auto text = selector.at("template").get<std::string>();
    for (const auto& [name, inner] : selector.at("fields").items()) {
      auto value = select(inner, payload);
      if (!value) {
        return value;
      }
      const auto mark = "{" + name + "}";
      const auto with = text_of(*value);
      for (auto at = text.find(mark); at != std::string::npos;
           at = text.find(mark, at + with.size())) {
        text.replace(at, mark.size(), with);
      }
    }
    return json(text);
  }
  const auto pointer = *pointer_of(selector);
  const auto found = [&] {
    try {
      return payload.contains(pointer);
    } catch (const json::exception&) {
      return false; // An index that is no number, and the like: it leads nowhere.
    }
  }();
  if (type == "present") {
    return json(found);
  }
  if (!found) {
    return refusal{ec::bad_request,
                   "payload: nothing stands at " + selector.at("pointer").get<std::string>()};
  }
  return payload.at(pointer);
}

bool truthy(const json& value) {
  if (value.is_null()) {
    return false;
  }
  if (value.is_boolean()) {
    return value.get<bool>();
  }
  if (value.is_string()) {
    return !value.get_ref<const std::string&>().empty();
  }
  return value.is_number() || !value.empty();
}

std::string text_of(const json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string default_wake_input(const json& payload) {
  for (const auto* key : {"text", "value"}) {
    if (payload.is_object() && payload.contains(key)) {
      return text_of(payload[key]);
    }
  }
  return text_of(payload);
}

} // namespace belay
