#include "messages/outcome.hpp"

#include "messages/names.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace belay {

namespace {

constexpr name_table<outcome_kind, 4> kinds{{
  {outcome_kind::success, "success"},
  {outcome_kind::failure, "failure"},
  {outcome_kind::cancelled, "cancelled"},
  {outcome_kind::abandoned, "abandoned"},
}};

constexpr name_table<failure_class, 9> classes{{
  {failure_class::none, "none"},
  {failure_class::invalid_request, "invalid_request"},
  {failure_class::unavailable, "unavailable"},
  {failure_class::permission_denied, "permission_denied"},
  {failure_class::timeout, "timeout"},
  {failure_class::execution, "execution"},
  {failure_class::external, "external"},
  {failure_class::resource_limit, "resource_limit"},
  {failure_class::internal, "internal"},
}};

} // namespace

std::string to_string(outcome_kind kind) {
  return name_of(kinds, kind);
}

std::optional<outcome_kind> outcome_kind_from(std::string_view name) {
  return value_of(kinds, name);
}

std::string to_string(failure_class kind) {
  return name_of(classes, kind);
}

std::optional<failure_class> failure_class_from(std::string_view name) {
  return value_of(classes, name);
}

outcome make_success(std::string value_json) {
  outcome x;
  x.value = std::move(value_json);
  return x;
}

outcome make_failure(failure_class failed, std::string code, std::string message, bool retryable,
                     std::string value_json) {
  outcome x;
  x.kind = outcome_kind::failure;
  x.value = std::move(value_json);
  x.failed = failed;
  x.code = std::move(code);
  x.message = std::move(message);
  x.retryable = retryable;
  return x;
}

outcome make_cancelled(std::string message, std::string value_json) {
  outcome x;
  x.kind = outcome_kind::cancelled;
  x.value = std::move(value_json);
  x.message = std::move(message);
  return x;
}

outcome make_abandoned(std::string message) {
  outcome x;
  x.kind = outcome_kind::abandoned;
  x.message = std::move(message);
  return x;
}

nlohmann::json to_json_value(const outcome& x) {
  nlohmann::json text{{"type", to_string(x.kind)}, {"value", nlohmann::json::parse(x.value)}};
  if (!x.message.empty()) {
    text["message"] = x.message;
  }
  if (x.kind == outcome_kind::failure) {
    text["class"] = to_string(x.failed);
    text["code"] = x.code;
    text["retryable"] = x.retryable;
  }
  return text;
}

outcome outcome_from_json(const nlohmann::json& text) {
  try {
    const auto kind = outcome_kind_from(text.at("type").get<std::string>());
    if (!kind) {
      throw std::invalid_argument{"type"};
    }
    outcome x;
    x.kind = *kind;
    x.value = text.at("value").dump();
    x.message = text.value("message", std::string{});
    if (*kind == outcome_kind::failure) {
      const auto failed = failure_class_from(text.at("class").get<std::string>());
      if (!failed) {
        throw std::invalid_argument{"class"};
      }
      x.failed = *failed;
      x.code = text.at("code").get<std::string>();
      x.retryable = text.at("retryable").get<bool>();
    }
    return x;
  } catch (const std::exception& x) {
    throw std::invalid_argument{std::string{"not an outcome: "} + x.what()};
  }
}

} // namespace belay
