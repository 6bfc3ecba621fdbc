#include "actors/workflow/failure.hpp"

namespace belay::workflows {

outcome outcome_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const failure& x) {
    // Invalid UTF-8 is replaced: a failure is never lost for its text.
    const auto value = x.value.dump(-1, ' ', false, json::error_handler_t::replace);
    return make_failure(x.kind, x.code, x.what(), x.retryable, value);
  } catch (const cancellation& x) {
    return make_cancelled(x.what());
  } catch (const std::exception& x) {
    return make_failure(failure_class::execution, "exception", x.what(), false);
  } catch (...) {
    return make_failure(failure_class::execution, "exception", "not a std::exception", false);
  }
}

json value_or_throw(const json& outcome_text, const std::string& who) {
  if (outcome_text.is_object() && outcome_text.value("type", "") == "success") {
    return outcome_text.at("value");
  }
  outcome ended;
  try {
    ended = outcome_from_json(outcome_text);
  } catch (const std::invalid_argument& x) {
    throw failure{failure_class::internal, "bad_result", x.what()};
  }
  auto value = json::parse(ended.value);
  if (ended.kind == outcome_kind::failure) {
    throw failure{ended.failed, ended.code, ended.message, ended.retryable, std::move(value)};
  }
  throw failure{failure_class::execution, who + "_" + to_string(ended.kind),
                ended.message.empty() ? "the " + who + " was " + to_string(ended.kind)
                                      : ended.message,
                false, std::move(value)};
}

} // namespace belay::workflows
