// Reads a registration as a user writes it, field by field.
#include "messages/did_you_mean.hpp"
#include "messages/json_strict.hpp"
#include "messages/registration_stored.hpp"
#include "messages/time.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace belay {

namespace {

using nlohmann::json;

/// Thrown inside this file only: the first field that is not acceptable.
struct field_error {
  std::string text;
};

[[noreturn]] void fail(const std::string& field, const json& value, const std::string& expected) {
  throw field_error{bad_value(field, value, expected).text};
}

void only_keys(const json& object, const std::string& field,
               const std::vector<std::string>& known) {
  if (!object.is_object()) {
    fail(field, object, "an object");
  }
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw field_error{(field.empty() ? "" : field + ": ") + "unknown key " + shortened(json(key))
                        + suggestion(key, known)};
    }
  }
}

void read_text(const json& object, const char* key, const std::string& field, std::string& to) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return;
  }
  if (!found->is_string()) {
    fail(field, *found, "a string");
  }
  to = found->get<std::string>();
}

/// Reads a whole number; the bounds themselves are `validate`'s, so that they stand in one place.
template <class Number>
void read_number(const json& object, const char* key, const std::string& field,
                 const std::string& expected, Number& to) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return;
  }
  if (!found->is_number_integer()) {
    fail(field, *found, expected);
  }
  if (found->is_number_unsigned()
      && found->get<std::uint64_t>()
           > static_cast<std::uint64_t>(std::numeric_limits<Number>::max())) {
    fail(field, *found, expected);
  }
  const auto value = found->get<std::int64_t>();
  if (value < static_cast<std::int64_t>(std::numeric_limits<Number>::min())
      || value > static_cast<std::int64_t>(std::numeric_limits<Number>::max())) {
    fail(field, *found, expected);
  }
  to = static_cast<Number>(value);
}

void read_workflow(json& input, registration& x) {
  only_keys(input, "input", {"type", "workflow", "version", "args"});
  if (!input.contains("workflow") || !input["workflow"].is_string()) {
    fail("input.workflow", input.value("workflow", json{}), "the name of a workflow");
  }
  std::uint32_t version = 1;
  read_number(input, "version", "input.version", "a whole number from 1", version);
  if (version == 0) {
    fail("input.version", json(version), "a whole number from 1");
  }
  input["version"] = version;
  if (!input.contains("args")) {
    input["args"] = json::object();
  }
  x.kind = workflow_kind(input["workflow"].get<std::string>(), version);
}

void read_input(const json& text, registration& x) {
  const auto found = text.find("input");
  if (found == text.end()) {
    throw field_error{
      "input: missing, expected an object such as {\"type\": \"tool_call\", \"tool\": "
      "\"exec\", \"args\": {\"argv\": [\"true\"]}}"};
  }
  auto input = *found;
  if (!input.is_object()) {
    fail("input", input, "an object");
  }
  const auto type = input.value("type", json{});
  if (type == "tool_call") {
    only_keys(input, "input", {"type", "tool", "args"});
    if (!input.contains("tool") || !input["tool"].is_string()) {
      fail("input.tool", input.value("tool", json{}), "the name of a tool");
    }
    if (!input.contains("args")) {
      input["args"] = json::object();
    }
    if (!input["args"].is_object()) {
      fail("input.args", input["args"], "an object");
    }
    x.kind = input["tool"].get<std::string>();
  } else if (type == "external") {
    only_keys(input, "input", {"type", "metadata"});
    if (!input.contains("metadata")) {
      input["metadata"] = nullptr;
    }
    x.kind = "external";
  } else if (type == "workflow") {
    read_workflow(input, x);
  } else if (type == "engine" || type == "session_turn") {
    fail("input.type", type, "tool_call, workflow or external; this version does not offer others");
  } else {
    fail("input.type", type, "tool_call, workflow or external");
  }
  x.input = input.dump();
}

void read_retry(const json& text, retry_policy& x) {
  const auto found = text.find("retry");
  if (found == text.end()) {
    return;
  }
  only_keys(*found, "retry", {"attempts", "backoff_ms", "factor", "backoff_max_ms"});
  read_number(*found, "attempts", "retry.attempts", "a whole number from 1 to 1000", x.attempts);
  read_number(*found, "backoff_ms", "retry.backoff_ms", "a whole number of milliseconds",
              x.backoff_ms);
  // Who asks for a longer pause than the usual longest one, and says no more, means it.
  x.backoff_max_ms = std::max(x.backoff_max_ms, x.backoff_ms);
  read_number(*found, "backoff_max_ms", "retry.backoff_max_ms", "a whole number of milliseconds",
              x.backoff_max_ms);
  if (const auto factor = found->find("factor"); factor != found->end()) {
    const auto value = factor->is_number() ? factor->get<double>() : -1.0;
    if (!(value >= 1.0 && value <= 100.0)) {
      fail("retry.factor", *factor, "a number from 1 to 100");
    }
    x.factor_permille = static_cast<std::uint32_t>(std::llround(value * 1'000.0));
  }
}

void read_labels(const json& text, registration& x) {
  const auto found = text.find("labels");
  if (found == text.end()) {
    return;
  }
  if (!found->is_object()) {
    fail("labels", *found, "an object of strings");
  }
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) {
      // Escaped and short, but without its quotes.
      const auto shown = shortened(json(key));
      fail("labels." + shown.substr(1, shown.size() - 2), value, "a string");
    }
    x.labels[key] = value.get<std::string>();
  }
}

void read_rule(const json& text, std::optional<recovery_rule> fallback, registration& x) {
  const auto found = text.find("rule");
  if (found == text.end()) {
    if (!fallback) {
      throw field_error{"rule: missing, expected rerunnable, owner_bound or externally_owned"};
    }
    x.rule = *fallback;
    return;
  }
  const auto rule
    = found->is_string() ? recovery_rule_from(found->get<std::string>()) : std::nullopt;
  if (!rule) {
    fail("rule", *found, "rerunnable, owner_bound or externally_owned");
  }
  x.rule = *rule;
}

void read_due(const json& text, registration& x) {
  const auto found = text.find("due");
  if (found == text.end()) {
    return;
  }
  const auto at = found->is_string() ? parse_time(found->get<std::string>()) : std::nullopt;
  if (!at) {
    fail("due", *found, "a time such as 2026-12-01T03:00:00Z");
  }
  x.due_at = *at;
}

void read_events(const json& text, registration& x) {
  const auto found = text.find("events");
  if (found == text.end()) {
    return;
  }
  if (!found->is_array()) {
    fail("events", *found, "a list of {\"type\": NAME, \"schema\": {...}, \"wake\": {...}}");
  }
  for (std::size_t i = 0; i < found->size(); ++i) {
    const auto& one = (*found)[i];
    const auto field = "events[" + std::to_string(i) + "]";
    only_keys(one, field, {"type", "schema", "wake"});
    event_type declared;
    if (!one.contains("type")) {
      throw field_error{field + ".type: missing, expected the name of an event type"};
    }
    read_text(one, "type", field + ".type", declared.name);
    if (one.contains("schema")) {
      declared.schema = one["schema"].dump();
    }
    if (one.contains("wake")) {
      declared.wake = one["wake"].dump();
    }
    x.event_types.push_back(std::move(declared));
  }
}

void read_parent(const json& text, registration& x) {
  const auto found = text.find("parent");
  if (found == text.end()) {
    return;
  }
  only_keys(*found, "parent", {"id", "close"});
  read_text(*found, "id", "parent.id", x.parent);
  if (x.parent.empty()) {
    throw field_error{"parent.id: missing, expected the id of a process"};
  }
  std::string close = "cancel";
  read_text(*found, "close", "parent.close", close);
  const auto policy = close_policy_from(close);
  if (!policy) {
    fail("parent.close", json(close), "cancel, abandon or await");
  }
  x.close = *policy;
}

void read_observers(const json& text, registration& x) {
  const auto found = text.find("observers");
  if (found == text.end()) {
    return;
  }
  if (!found->is_array()) {
    fail("observers", *found, "a list of session ids");
  }
  for (const auto& one : *found) {
    if (!one.is_string()) {
      fail("observers", one, "a session id");
    }
    x.observers.push_back(one.get<std::string>());
  }
}

void read_origin(const json& text, registration& x) {
  const auto found = text.find("origin");
  if (found == text.end()) {
    return;
  }
  only_keys(*found, "origin", {"by", "cause"});
  read_text(*found, "by", "origin.by", x.originator);
  if (const auto cause = found->find("cause"); cause != found->end()) {
    if (!cause->is_object()) {
      fail("origin.cause", *cause, "an object");
    }
    x.caused_by = cause->dump();
  }
}

/// Reads every field; `check` says what else is wrong with what was read.
template <class Check>
checked<registration>
read_checked(const json& text, std::optional<recovery_rule> default_rule, Check check) {
  try {
    if (!text.is_object()) {
      throw field_error{"a registration: " + shortened(text)
                        + " is not acceptable, expected an object"};
    }
    only_keys(text, "",
              {"id", "input", "queue", "priority", "due", "timeout_ms", "retry", "rule", "labels",
               "attempts_max", "events", "parent", "wake", "observers", "origin", "label",
               "definition", "concurrency_key", "traceparent"});
    registration x;
    read_text(text, "id", "id", x.id);
    read_text(text, "queue", "queue", x.queue);
    read_input(text, x);
    read_number(text, "priority", "priority", "a whole number from -1000 to 1000", x.priority);
    read_number(text, "timeout_ms", "timeout_ms", "a whole number of milliseconds", x.timeout_ms);
    read_due(text, x);
    read_retry(text, x.retry);
    read_rule(text, default_rule, x);
    read_labels(text, x);
    read_number(text, "attempts_max", "attempts_max", "a whole number", x.attempts_max);
    read_events(text, x);
    read_parent(text, x);
    read_text(text, "wake", "wake", x.wake_session);
    read_observers(text, x);
    read_origin(text, x);
    read_text(text, "label", "label", x.label);
    read_text(text, "definition", "definition", x.definition);
    read_text(text, "concurrency_key", "concurrency_key", x.concurrency_key);
    read_text(text, "traceparent", "traceparent", x.traceparent);
    auto named = x;
    if (named.id.empty() && !text.contains("id")) {
      named.id = "x"; // The caller makes an id; everything else is checked here.
    }
    if (auto no = check(named)) {
      return *no;
    }
    return x;
  } catch (const field_error& x) {
    return refusal{ec::bad_request, x.text};
  }
}

} // namespace

checked<registration>
parse_registration(const json& text, std::optional<recovery_rule> default_rule,
                   const registration_limits& limits) {
  return read_checked(text, default_rule,
                      [&limits](const registration& x) { return validate(x, limits); });
}

checked<registration> parse_stored_registration(const json& text) {
  return read_checked(text, std::nullopt, validate_stored);
}

registration_limits widest_limits() {
  registration_limits limits;
  // The ends of registration.input_max and registration.labels_max (app/configuration_keys.cpp).
  limits.input_bytes_max = 64U << 20U;
  limits.labels_max = 1'024;
  return limits;
}

} // namespace belay
