// A workflow as a node offers it: name, version, schema, code.
#pragma once

#include "actors/workflow/workflow.hpp"

namespace belay {

struct workflow_definition {
  /// Letters, digits, '_', '.' and '-'.
  std::string name;
  /// A worker claims the versions that it offers, and no others.
  std::uint32_t version = 1;
  /// JSON schema (draft 7, without `$ref`; `format` is not checked) of the arguments.
  json schema = true;
  workflow_function code;
};

} // namespace belay
