#include "app/exit_code.hpp"

namespace belay::app {

exit_code exit_code_of(outcome_kind kind) {
  switch (kind) {
    case outcome_kind::success:
      return exit_code::success;
    case outcome_kind::failure:
      return exit_code::failure;
    case outcome_kind::cancelled:
      return exit_code::cancelled;
    case outcome_kind::abandoned:
      return exit_code::abandoned;
  }
  return exit_code::failure;
}

exit_code exit_code_of(const refusal& no) {
  switch (no.code) {
    case ec::timed_out:
      return exit_code::timed_out;
    case ec::shutting_down:
    case ec::protocol_mismatch:
      return exit_code::unreachable;
    case ec::outcome_unknown:
      return exit_code::fault;
    default:
      return exit_code::usage;
  }
}

} // namespace belay::app
