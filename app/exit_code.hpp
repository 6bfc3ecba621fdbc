// What the belay program's exit codes mean.
#pragma once

#include "messages/error.hpp"
#include "messages/outcome.hpp"

namespace belay::app {

/// Scripts rely on these: never change one.
enum class exit_code : int {
  success = 0,
  /// The process ended in a failure.
  failure = 1,
  /// Bad usage, or the input was refused.
  usage = 2,
  /// The process was cancelled.
  cancelled = 3,
  /// The process was abandoned.
  abandoned = 4,
  /// The time given ran out first.
  timed_out = 5,
  /// No node could be reached (EX_UNAVAILABLE of sysexits.h).
  unreachable = 69,
  /// Disk or store fault (EX_IOERR of sysexits.h).
  fault = 74,
};

/// Returns the code with which a command that waited for this outcome ends.
[[nodiscard]] exit_code exit_code_of(outcome_kind kind);

/// Returns the code with which a refused command ends.
[[nodiscard]] exit_code exit_code_of(const refusal& no);

} // namespace belay::app
