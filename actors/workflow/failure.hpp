// What workflow code throws and catches.
#pragma once

#include "messages/outcome.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace belay {

using json = nlohmann::json;

/// A failure of a step, a tool, a child or the workflow itself. Thrown out of an await; when it
/// leaves the workflow it becomes the workflow's outcome.
struct failure : std::runtime_error {
  failure(failure_class failed, std::string stable_code, const std::string& message,
          bool may_retry = false, json what_is_known = nullptr)
    : std::runtime_error{message},
      kind{failed},
      code{std::move(stable_code)},
      retryable{may_retry},
      value(std::move(what_is_known)) {}

  failure_class kind;
  /// Stable, for programs: "exit_status", "child_cancelled".
  std::string code;
  /// Whether another attempt may succeed. Only then is a retry policy asked.
  bool retryable;
  json value;
};

/// Thrown out of one wait after the process was asked to stop. What is awaited afterwards works as
/// usual, so that a handler can undo what was done; let it pass and the process ends `cancelled`.
struct cancellation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace workflows {

/// Returns the outcome of code that ended with this exception.
[[nodiscard]] outcome outcome_of(const std::exception_ptr& error);

/// Returns the value of a success; throws what an await of any other outcome throws. `who` begins
/// the codes of cancelled and abandoned ones: "child", "call".
[[nodiscard]] json value_or_throw(const json& outcome_text, const std::string& who);

} // namespace workflows

} // namespace belay
