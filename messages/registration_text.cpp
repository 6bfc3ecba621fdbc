// A registration as JSON text, and back from what is stored.
#include "messages/registration_stored.hpp"
#include "messages/time.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace belay {

namespace {

/// What was said beyond the defaults; what was not said leaves no trace in the hash.
void add_optional(const registration& x, nlohmann::json& text) {
  const auto given = [&text](const char* key, const std::string& value) {
    if (!value.empty()) {
      text[key] = value;
    }
  };
  if (x.due_at != 0) {
    text["due"] = format_time(x.due_at);
  }
  if (x.attempts_max != 0) {
    text["attempts_max"] = x.attempts_max;
  }
  for (const auto& one : x.event_types) {
    nlohmann::json declared{{"type", one.name}};
    if (one.schema != "true") {
      declared["schema"] = nlohmann::json::parse(one.schema);
    }
    if (!one.wake.empty()) {
      declared["wake"] = nlohmann::json::parse(one.wake);
    }
    text["events"].push_back(std::move(declared));
  }
  if (!x.parent.empty()) {
    text["parent"] = {{"id", x.parent}, {"close", to_string(x.close)}};
  }
  if (!x.observers.empty()) {
    text["observers"] = x.observers;
  }
  if (x.originator != "host" || !x.caused_by.empty()) {
    text["origin"]["by"] = x.originator;
    if (!x.caused_by.empty()) {
      text["origin"]["cause"] = nlohmann::json::parse(x.caused_by);
    }
  }
  given("wake", x.wake_session);
  given("label", x.label);
  given("definition", x.definition);
  given("concurrency_key", x.concurrency_key);
}

} // namespace

nlohmann::json to_json_value(const registration& x) {
  // Member by member: a list in braces is built of copies, and each registering comes through here.
  auto text = nlohmann::json::object();
  text["id"] = x.id;
  text["input"] = nlohmann::json::parse(x.input);
  text["queue"] = x.queue;
  text["priority"] = x.priority;
  text["timeout_ms"] = x.timeout_ms;
  text["rule"] = to_string(x.rule);
  text["labels"] = x.labels;
  auto& retry = text["retry"];
  retry["attempts"] = x.retry.attempts;
  retry["backoff_ms"] = x.retry.backoff_ms;
  retry["backoff_max_ms"] = x.retry.backoff_max_ms;
  if (x.retry.factor_permille % 1'000 == 0) {
    retry["factor"] = x.retry.factor_permille / 1'000;
  } else {
    retry["factor"] = x.retry.factor_permille / 1'000.0;
  }
  add_optional(x, text);
  return text;
}

std::string canonical_text(const registration& x) {
  return to_json_value(x).dump();
}

registration registration_from_canonical(std::string_view text) {
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded()) {
    throw std::invalid_argument{"a stored registration is not JSON"};
  }
  auto result = parse_stored_registration(parsed);
  if (!result) {
    throw std::invalid_argument{"a stored registration is damaged: " + result.why().text};
  }
  return std::move(*result);
}

} // namespace belay
