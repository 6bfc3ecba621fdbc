#include "messages/upkeep.hpp"

#include "messages/names.hpp"

namespace belay {

namespace {

constexpr name_table<authority, 3> authorities{{
  {authority::external_owner, "external-owner"},
  {authority::workflow_key, "workflow-key"},
  {authority::reconciled_abandon, "reconciled-abandon"},
}};

} // namespace

std::string to_string(authority by) {
  return name_of(authorities, by);
}

std::optional<authority> authority_from(std::string_view name) {
  return value_of(authorities, name);
}

} // namespace belay
