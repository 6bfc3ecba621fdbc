// How a process ended: written exactly once, never changed.
#pragma once

#include "messages/ids.hpp"

#include <nlohmann/json_fwd.hpp>
#include <optional>

namespace belay {

/// The four ends of a process. Stored: append, never reorder.
enum class outcome_kind : std::uint8_t {
  success = 1,
  failure = 2,
  cancelled = 3,
  abandoned = 4,
};

[[nodiscard]] std::string to_string(outcome_kind kind);
[[nodiscard]] std::optional<outcome_kind> outcome_kind_from(std::string_view name);

/// What kind of thing went wrong. Stored: append, never reorder.
enum class failure_class : std::uint8_t {
  none = 0,
  invalid_request = 1,
  unavailable = 2,
  permission_denied = 3,
  timeout = 4,
  execution = 5,
  external = 6,
  resource_limit = 7,
  internal = 8,
};

[[nodiscard]] std::string to_string(failure_class kind);
[[nodiscard]] std::optional<failure_class> failure_class_from(std::string_view name);

/// The recorded end of a process.
struct outcome {
  outcome_kind kind = outcome_kind::success;
  /// The result as JSON text: of a success its value, otherwise what is known (for example an exit
  /// code and captured output). Never empty; "null" when there is nothing to say.
  std::string value = "null";
  /// Of a failure: what went wrong, by class, by a stable code, and in words.
  failure_class failed = failure_class::none;
  std::string code;
  std::string message;
  /// Of a failure: whether another attempt may succeed. Only then is the retry policy asked.
  bool retryable = false;

  friend bool operator==(const outcome&, const outcome&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, outcome& x) {
  using inspection::field;
  return inspection::object(f, "outcome", field("kind", x.kind), field("value", x.value),
                            field("failed", x.failed), field("code", x.code),
                            field("message", x.message), field("retryable", x.retryable));
}

/// Makes the outcomes that the house itself writes.
[[nodiscard]] outcome make_success(std::string value_json);
[[nodiscard]] outcome make_failure(failure_class failed, std::string code, std::string message,
                                   bool retryable, std::string value_json = "null");
[[nodiscard]] outcome make_cancelled(std::string message, std::string value_json = "null");
[[nodiscard]] outcome make_abandoned(std::string message);

/// Renders an outcome as the JSON that is stored and shown:
/// `{"type": "failure", "class": ..., "code": ..., "message": ..., "value": ...}`.
[[nodiscard]] nlohmann::json to_json_value(const outcome& x);

/// Reads back what `to_json_value` wrote. Throws `std::invalid_argument` on anything else.
[[nodiscard]] outcome outcome_from_json(const nlohmann::json& text);

} // namespace belay
