#include "messages/process_view.hpp"

#include "messages/names.hpp"

namespace belay {

namespace {

constexpr name_table<process_state, 6> states{{
  {process_state::ready, "ready"},
  {process_state::running, "running"},
  {process_state::waiting, "waiting"},
  {process_state::quarantined, "quarantined"},
  {process_state::finished, "finished"},
  {process_state::external, "external"},
}};

} // namespace

std::string to_string(process_state state) {
  return name_of(states, state);
}

std::string state_word(const process_view& x, timestamp_ms now) {
  if (x.state == process_state::finished) {
    return to_string(x.ended);
  }
  if (x.state == process_state::ready && x.due_at > now) {
    return "delayed";
  }
  return to_string(x.state);
}

} // namespace belay
