#include "messages/outcome_input.hpp"

#include "messages/did_you_mean.hpp"
#include "messages/json_strict.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay {

namespace {

std::optional<refusal> check_keys(const nlohmann::json& text, bool failure) {
  const std::vector<std::string> all{"type", "value", "message", "class", "code", "retryable"};
  for (const auto& [key, value] : text.items()) {
    const auto found = std::find(all.begin(), all.end(), key);
    if (found == all.end()) {
      return refusal{ec::bad_request,
                     "unknown key " + nlohmann::json(key).dump() + suggestion(key, all)};
    }
    if (!failure && found - all.begin() > 2) {
      return refusal{ec::bad_request, key + ": only a failure has one"};
    }
  }
  return std::nullopt;
}

/// Reads a member that is a text, if it is there. Returns the refusal, if any.
std::optional<refusal> read_text(const nlohmann::json& text, const char* key, std::string& into) {
  const auto found = text.find(key);
  if (found == text.end()) {
    return std::nullopt;
  }
  if (!found->is_string()) {
    return bad_value(key, *found, "a text");
  }
  into = found->get<std::string>();
  return std::nullopt;
}

std::optional<refusal> read_failure(const nlohmann::json& text, outcome& x) {
  x.code = "failed";
  x.failed = failure_class::external;
  if (auto no = read_text(text, "code", x.code)) {
    return no;
  }
  if (const auto found = text.find("class"); found != text.end()) {
    const auto named = found->is_string() ? failure_class_from(found->get<std::string>())
                                          : std::optional<failure_class>{};
    if (!named || *named == failure_class::none) {
      return bad_value(
        "class", *found,
        "invalid_request, unavailable, permission_denied, timeout, execution, external, "
        "resource_limit or internal");
    }
    x.failed = *named;
  }
  if (const auto found = text.find("retryable"); found != text.end()) {
    if (!found->is_boolean()) {
      return bad_value("retryable", *found, "true or false");
    }
    x.retryable = found->get<bool>();
  }
  return std::nullopt;
}

} // namespace

checked<outcome> parse_outcome(const nlohmann::json& text) {
  constexpr const char* types = "success, failure, cancelled or abandoned";
  if (!text.is_object()) {
    return bad_value("outcome", text, R"(an object such as {"type": "success", "value": 1})");
  }
  const auto type = text.find("type");
  if (type == text.end()) {
    return refusal{ec::bad_request, std::string{"type: missing, expected "} + types};
  }
  const auto kind = type->is_string() ? outcome_kind_from(type->get<std::string>())
                                      : std::optional<outcome_kind>{};
  if (!kind) {
    return bad_value("type", *type, types);
  }
  if (auto no = check_keys(text, *kind == outcome_kind::failure)) {
    return *no;
  }
  outcome x;
  x.kind = *kind;
  if (const auto value = text.find("value"); value != text.end()) {
    x.value = value->dump();
  }
  if (auto no = read_text(text, "message", x.message)) {
    return *no;
  }
  if (*kind == outcome_kind::failure) {
    if (auto no = read_failure(text, x)) {
      return *no;
    }
  }
  return x;
}

} // namespace belay
