#include "messages/journal.hpp"

#include "messages/names.hpp"

namespace belay {

namespace {

constexpr name_table<effect_kind, 11> effect_kinds{{
  {effect_kind::step, "step"},
  {effect_kind::call, "call"},
  {effect_kind::start, "start"},
  {effect_kind::child, "child"},
  {effect_kind::signal, "signal"},
  {effect_kind::timer, "timer"},
  {effect_kind::emit, "emit"},
  {effect_kind::now, "now"},
  {effect_kind::patch, "patch"},
  {effect_kind::attach, "attach"},
  {effect_kind::cancel, "cancel"},
}};

} // namespace

std::string to_string(effect_kind kind) {
  return name_of(effect_kinds, kind);
}

} // namespace belay
