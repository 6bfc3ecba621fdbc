#include "messages/registration.hpp"

#include "messages/json_strict.hpp"
#include "messages/names.hpp"
#include "messages/registration_stored.hpp"
#include "messages/schema.hpp"
#include "messages/selector.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

namespace belay {

namespace {

constexpr name_table<recovery_rule, 3> rules{{
  {recovery_rule::rerunnable, "rerunnable"},
  {recovery_rule::owner_bound, "owner_bound"},
  {recovery_rule::externally_owned, "externally_owned"},
}};

constexpr name_table<close_policy, 3> policies{{
  {close_policy::cancel, "cancel"},
  {close_policy::abandon, "abandon"},
  {close_policy::await, "await"},
}};

constexpr std::int32_t priority_max = 1'000;
constexpr std::uint32_t attempts_max = 1'000;
/// Of runs, interrupted ones included.
constexpr std::uint32_t attempts_bound = 1'000'000;
constexpr duration_ms backoff_first_max = 24LL * 3'600 * 1'000;
constexpr duration_ms backoff_longest_max = 7LL * 24 * 3'600 * 1'000;
constexpr std::uint32_t factor_permille_max = 100'000;

refusal out_of_range(const std::string& field, std::int64_t value, std::int64_t low,
                     std::int64_t high, const std::string& what) {
  return bad_field(field, std::to_string(value),
                   what + " from " + std::to_string(low) + " to " + std::to_string(high));
}

bool is_name(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max
         && std::all_of(text.begin(), text.end(), [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                     || c == '_' || c == '.' || c == '-';
            });
}

std::optional<refusal>
check_name(const std::string& field, const std::string& text, std::size_t bytes_max) {
  if (is_name(text, bytes_max)) {
    return std::nullopt;
  }
  return bad_field(field, shortened(text),
                   "1 to " + std::to_string(bytes_max) + " letters, digits, '_', '.' or '-'");
}

std::optional<refusal> check_input(const registration& x, const registration_limits& limits) {
  if (x.input.size() > limits.input_bytes_max) {
    return bad_field("input", std::to_string(x.input.size()) + " bytes",
                     "at most " + std::to_string(limits.input_bytes_max) + " bytes of JSON text");
  }
  auto parsed = parse_json_strict(x.input);
  if (!parsed) {
    return refusal{ec::bad_request, "input: " + parsed.why().text};
  }
  const auto& input = *parsed;
  const auto type = input.is_object() ? input.value("type", nlohmann::json{}) : nlohmann::json{};
  if (type == "tool_call") {
    const auto shaped = input.size() == 3 && input.contains("tool") && input["tool"].is_string()
                        && input.contains("args") && input["args"].is_object()
                        && input["tool"] == x.kind;
    if (!shaped) {
      return bad_field("input", shortened(input),
                       R"({"type": "tool_call", "tool": NAME, "args": {...}})");
    }
    if (auto no = check_name("input.tool", x.kind, limits.name_bytes_max)) {
      return no;
    }
  } else if (type == "workflow") {
    const auto shaped = input.size() == 4 && input.contains("workflow")
                        && input["workflow"].is_string() && input.contains("args")
                        && input.contains("version") && input["version"].is_number_unsigned()
                        && input["version"] > 0 && input["version"] <= UINT32_MAX
                        && workflow_kind(input["workflow"].get<std::string>(),
                                         input["version"].get<std::uint32_t>())
                             == x.kind;
    if (!shaped) {
      return bad_field("input", shortened(input),
                       R"({"type": "workflow", "workflow": NAME, "version": 1, "args": ...})");
    }
    if (auto no = check_name("input.workflow", input["workflow"], limits.name_bytes_max)) {
      return no;
    }
  } else if (type == "external") {
    if (input.size() != 2 || !input.contains("metadata") || x.kind != "external") {
      return bad_field("input", shortened(input), R"({"type": "external", "metadata": ...})");
    }
  } else {
    return bad_field("input.type", shortened(type), "tool_call, workflow or external");
  }
  const auto external = type == "external";
  if (!external && x.rule == recovery_rule::externally_owned) {
    return bad_field("rule", "externally_owned with an input of type " + type.get<std::string>(),
                     "rerunnable or owner_bound; externally_owned is for external inputs");
  }
  if (external && x.rule == recovery_rule::owner_bound) {
    return bad_field("rule", "owner_bound with an input of type external",
                     "externally_owned, or rerunnable (it then ends at once with its metadata)");
  }
  if (input.dump() != x.input) {
    return refusal{ec::bad_request, "input: not in canonical form (sorted keys, no white space)"};
  }
  return std::nullopt;
}

std::optional<refusal> check_retry(const retry_policy& x) {
  if (x.attempts < 1 || x.attempts > attempts_max) {
    return out_of_range("retry.attempts", x.attempts, 1, attempts_max, "a whole number");
  }
  if (x.backoff_ms < 0 || x.backoff_ms > backoff_first_max) {
    return out_of_range("retry.backoff_ms", x.backoff_ms, 0, backoff_first_max, "milliseconds");
  }
  if (x.backoff_max_ms < 0 || x.backoff_max_ms > backoff_longest_max) {
    return out_of_range("retry.backoff_max_ms", x.backoff_max_ms, 0, backoff_longest_max,
                        "milliseconds");
  }
  if (x.factor_permille < 1'000 || x.factor_permille > factor_permille_max) {
    return bad_field("retry.factor", nlohmann::json(x.factor_permille / 1'000.0).dump(),
                     "a number from 1 to 100");
  }
  return std::nullopt;
}

std::optional<refusal> check_labels(const registration& x, const registration_limits& limits) {
  if (x.labels.size() > limits.labels_max) {
    return bad_field("labels", std::to_string(x.labels.size()) + " labels",
                     "at most " + std::to_string(limits.labels_max));
  }
  for (const auto& [key, value] : x.labels) {
    if (auto no = check_name("labels", key, limits.label_bytes_max)) {
      return no;
    }
    if (value.size() > limits.label_bytes_max || !is_plain_text(value)) {
      return bad_field("labels." + key, shortened(value),
                       "at most " + std::to_string(limits.label_bytes_max)
                         + " bytes of UTF-8 without control characters");
    }
  }
  return std::nullopt;
}

std::optional<refusal>
check_event_type(const std::string& field, const event_type& x, bool stored) {
  if (auto no = check_event_name(field + ".type", x.name)) {
    return no;
  }
  const auto schema = parse_json_strict(x.schema);
  if (!schema) {
    return refusal{ec::bad_request, field + ".schema: " + schema.why().text};
  }
  if (schema->dump() != x.schema) {
    return refusal{ec::bad_request, field + ".schema: not in canonical form"};
  }
  if (!stored) {
    if (auto no = validate_schema(field + ".schema", *schema)) {
      return no;
    }
  }
  if (x.wake.empty()) {
    return std::nullopt;
  }
  const auto wake = parse_json_strict(x.wake);
  if (!wake || !wake->is_object() || wake->dump() != x.wake) {
    return refusal{ec::bad_request, field + ".wake: not an object in canonical form"};
  }
  for (const auto& [key, selector] : wake->items()) {
    if (key != "input" && key != "when") {
      return refusal{ec::bad_request, field + ".wake: unknown key " + shortened(nlohmann::json(key))
                                        + ", expected input or when"};
    }
    if (auto no = validate_selector(field + ".wake." + key, selector)) {
      return no;
    }
  }
  return std::nullopt;
}

std::optional<refusal>
check_event_types(const registration& x, const registration_limits& limits, bool stored) {
  if (x.event_types.size() > limits.event_types_max) {
    return bad_field("events", std::to_string(x.event_types.size()) + " event types",
                     "at most " + std::to_string(limits.event_types_max));
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < x.event_types.size(); ++i) {
    const auto& one = x.event_types[i];
    const auto field = "events[" + std::to_string(i) + "]";
    for (std::size_t j = 0; j < i; ++j) {
      if (x.event_types[j].name == one.name) {
        return bad_field(field + ".type", shortened(one.name), "each event type once");
      }
    }
    bytes += one.schema.size() + one.wake.size();
    if (bytes > limits.input_bytes_max) {
      return bad_field("events", std::to_string(bytes) + " bytes",
                       "at most " + std::to_string(limits.input_bytes_max) + " bytes of schemas");
    }
    if (auto no = check_event_type(field, one, stored)) {
      return no;
    }
  }
  return std::nullopt;
}

std::optional<refusal> check_sessions(const registration& x, const registration_limits& limits) {
  if (!x.wake_session.empty()) {
    if (auto no = validate_session("wake", x.wake_session, limits)) {
      return no;
    }
  }
  if (x.observers.size() > limits.observers_max) {
    return bad_field("observers", std::to_string(x.observers.size()) + " sessions",
                     "at most " + std::to_string(limits.observers_max));
  }
  for (std::size_t i = 0; i < x.observers.size(); ++i) {
    if (auto no = validate_session("observers", x.observers[i], limits)) {
      return no;
    }
    if (std::find(x.observers.begin(), x.observers.begin() + static_cast<std::ptrdiff_t>(i),
                  x.observers[i])
        != x.observers.begin() + static_cast<std::ptrdiff_t>(i)) {
      return bad_field("observers", shortened(x.observers[i]), "each session once");
    }
  }
  return validate_session("origin.by", x.originator, limits);
}

std::optional<refusal> check_provenance(const registration& x, const registration_limits& limits) {
  if (!x.caused_by.empty()) {
    const auto cause = parse_json_strict(x.caused_by);
    if (!cause || !cause->is_object() || x.caused_by.size() > limits.input_bytes_max
        || cause->dump() != x.caused_by) {
      return refusal{ec::bad_request, "origin.cause: not a JSON object in canonical form"};
    }
  }
  for (const auto& [field, text] :
       {std::pair{"label", &x.label}, std::pair{"definition", &x.definition},
        std::pair{"concurrency_key", &x.concurrency_key}}) {
    if (text->size() > limits.label_bytes_max || !is_plain_text(*text)) {
      return bad_field(field, shortened(*text),
                       "at most " + std::to_string(limits.label_bytes_max)
                         + " bytes of UTF-8 without control characters");
    }
  }
  if (!x.traceparent.empty() && !is_traceparent(x.traceparent)) {
    return bad_field("traceparent", shortened(x.traceparent),
                     "a W3C trace context such as "
                     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  }
  if (x.attempts_max > attempts_bound) {
    return out_of_range("attempts_max", x.attempts_max, 0, attempts_bound, "a whole number");
  }
  if (x.parent.empty()) {
    return std::nullopt;
  }
  if (close_policy_from(to_string(x.close)) != x.close) {
    return bad_field("parent.close", "none", "cancel, abandon or await");
  }
  if (x.parent == x.id) {
    return bad_field("parent.id", shortened(x.parent), "another process");
  }
  return validate_process_id(x.parent, limits);
}

} // namespace

std::optional<refusal> check_event_name(const std::string& field, const std::string& name) {
  // As long as a queue's name, twice: "signal." and a name.
  constexpr std::size_t bytes_max = 128;
  const auto named = !name.empty() && name.size() <= bytes_max
                     && std::all_of(name.begin(), name.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                                 || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                        });
  if (!named || name.rfind("process.", 0) == 0) {
    return bad_field(field, shortened(name.substr(0, bytes_max)),
                     "1 to 128 letters, digits, '_', '.' or '-' that do not begin with process.");
  }
  if (name.rfind("signal.", 0) == 0
      && (name.size() == 7 || name.find('.', 7) != std::string::npos)) {
    return bad_field(field, shortened(name), "signal. and a name of letters, digits, '_' or '-'");
  }
  return std::nullopt;
}

std::string to_string(close_policy policy) {
  return name_of(policies, policy);
}

std::optional<close_policy> close_policy_from(std::string_view name) {
  return value_of(policies, name);
}

std::optional<refusal> validate_session(const std::string& field, std::string_view session,
                                        const registration_limits& limits) {
  auto no = validate_process_id(session, limits);
  if (no) {
    no->text.replace(0, 2, field); // Instead of "id".
  }
  return no;
}

std::string to_string(recovery_rule rule) {
  return name_of(rules, rule);
}

std::optional<recovery_rule> recovery_rule_from(std::string_view name) {
  return value_of(rules, name);
}

std::optional<refusal> validate_process_id(std::string_view id, const registration_limits& limits) {
  if (id.find_first_not_of(" \t\n\r\v\f") == std::string_view::npos) {
    return bad_field("id", "a blank id",
                     "a name of 1 to " + std::to_string(limits.id_bytes_max) + " bytes");
  }
  if (id.size() > limits.id_bytes_max) {
    return bad_field("id", "one of " + std::to_string(id.size()) + " bytes",
                     "at most " + std::to_string(limits.id_bytes_max) + " bytes");
  }
  if (!is_plain_text(id)) {
    return bad_field("id", shortened(std::string{id}), "UTF-8 text without control characters");
  }
  if (id.front() == ' ' || id.back() == ' ') {
    return bad_field("id", shortened(std::string{id}), "no white space at either end");
  }
  return std::nullopt;
}

std::optional<refusal>
validate_queue_name(const std::string& name, const registration_limits& limits) {
  return check_name("queue", name, limits.name_bytes_max);
}

bool is_traceparent(std::string_view text) {
  // Version 00 has exactly these places; later ones begin with them and may go on after a dash
  // (W3C Trace Context, sections 3.2.2 and 4.3).
  constexpr std::size_t length = 55;
  constexpr std::size_t length_max = 512;
  constexpr std::size_t trace_at = 3;
  constexpr std::size_t trace_digits = 32;
  constexpr std::size_t span_at = 36;
  constexpr std::size_t span_digits = 16;
  if (text.size() < length || text.size() > length_max || text.starts_with("ff")) {
    return false;
  }
  if (text.size() > length && (text.starts_with("00") || text[length] != '-')) {
    return false;
  }
  for (std::size_t i = 0; i < length; ++i) {
    const auto dash = i == trace_at - 1 || i == span_at - 1 || i == span_at + span_digits;
    const auto digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (dash ? text[i] != '-' : !digit) {
      return false;
    }
  }
  const auto rest = text.substr(length);
  return std::all_of(rest.begin(), rest.end(), [](char c) { return c > ' ' && c <= '~'; })
         && text.substr(trace_at, trace_digits).find_first_not_of('0') != std::string_view::npos
         && text.substr(span_at, span_digits).find_first_not_of('0') != std::string_view::npos;
}

namespace {

/// `stored`: its schemas were accepted before, by rules that may have been other ones.
std::optional<refusal>
check_all(const registration& x, const registration_limits& limits, bool stored) {
  if (auto no = validate_process_id(x.id, limits)) {
    return no;
  }
  if (auto no = validate_queue_name(x.queue, limits)) {
    return no;
  }
  if (recovery_rule_from(to_string(x.rule)) != x.rule) {
    return bad_field("rule", "none", "rerunnable, owner_bound or externally_owned");
  }
  if (x.priority < -priority_max || x.priority > priority_max) {
    return out_of_range("priority", x.priority, -priority_max, priority_max, "a whole number");
  }
  if (x.due_at < 0 || x.due_at > timestamp_max) {
    return out_of_range("due", x.due_at, 0, timestamp_max, "milliseconds since 1970");
  }
  if (x.timeout_ms < 0 || x.timeout_ms > limits.timeout_ms_max) {
    return out_of_range("timeout_ms", x.timeout_ms, 0, limits.timeout_ms_max,
                        "a whole number of milliseconds");
  }
  if (auto no = check_retry(x.retry)) {
    return no;
  }
  if (auto no = check_labels(x, limits)) {
    return no;
  }
  if (auto no = check_event_types(x, limits, stored)) {
    return no;
  }
  if (auto no = check_sessions(x, limits)) {
    return no;
  }
  if (auto no = check_provenance(x, limits)) {
    return no;
  }
  return check_input(x, limits);
}

} // namespace

std::optional<refusal> validate(const registration& x, const registration_limits& limits) {
  return check_all(x, limits, false);
}

std::optional<refusal> validate_stored(const registration& x) {
  constexpr auto any = std::numeric_limits<std::size_t>::max();
  registration_limits limits;
  limits.id_bytes_max = any;
  limits.name_bytes_max = any;
  limits.input_bytes_max = any;
  limits.labels_max = any;
  limits.label_bytes_max = any;
  limits.event_types_max = any;
  limits.observers_max = any;
  limits.timeout_ms_max = std::numeric_limits<duration_ms>::max();
  return check_all(x, limits, true);
}

bool is_plain_text(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7F; })) {
    return true;
  }
  const auto quoted = nlohmann::json(std::string{text});
  try {
    static_cast<void>(quoted.dump()); // Throws on anything that is not UTF-8.
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto c1
      = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || c1) {
      return false;
    }
  }
  return true;
}

} // namespace belay
