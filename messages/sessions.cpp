#include "messages/sessions.hpp"

#include "messages/names.hpp"
#include "messages/waiting.hpp"

namespace belay {

namespace {

constexpr name_table<wake_state, 5> wake_states{{
  {wake_state::pending, "pending"},
  {wake_state::taken, "taken"},
  {wake_state::delivered, "delivered"},
  {wake_state::undeliverable, "undeliverable"},
  {wake_state::discarded, "discarded"},
}};

constexpr name_table<wait_kind, 5> wait_kinds{{
  {wait_kind::none, "none"},
  {wait_kind::signal, "signal"},
  {wait_kind::timer, "timer"},
  {wait_kind::child, "child"},
  {wait_kind::closing, "closing"},
}};

} // namespace

std::string to_string(wake_state state) {
  return name_of(wake_states, state);
}

std::string to_string(wait_kind kind) {
  return name_of(wait_kinds, kind);
}

std::string wake_text(const wake& x) {
  return "A process has something to say\nprocess: " + x.process
         + "\nevent: " + std::to_string(x.seq) + " " + x.event_type + "\n\n" + x.input + "\n";
}

} // namespace belay
