// What every actor does with a message it does not know, and with an exception.
#pragma once

#include "actors/log.hpp"
#include "messages/wire_error.hpp"

#include <caf/exit_reason.hpp>
#include <caf/message_view.hpp>
#include <caf/result.hpp>
#include <caf/sec.hpp>
#include <caf/type_erased_tuple.hpp>
#include <exception>
#include <string>

namespace belay::actors {

/// Installs the handlers that every actor has: an exception is logged and ends the actor with that
/// reason; an unknown message (another version's) is logged and answered with an error.
template <class Self>
void install_fault_handlers(Self* self, const char* component) {
  self->set_exception_handler([component](std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& x) {
      log::error(component, "actor.fault", {{"what", x.what()}}, "an exception ended the actor");
      return caf::make_error(ec::outcome_unknown, std::string{x.what()});
    } catch (...) {
      log::error(component, "actor.fault", {}, "an unknown exception ended the actor");
      return caf::make_error(ec::outcome_unknown, std::string{"unknown exception"});
    }
  });
  self->set_default_handler(
    [component](caf::scheduled_actor*, caf::message_view& view) -> caf::result<caf::message> {
      log::warn(component, "message.unknown", {{"content", view.content().stringify()}},
                "a message this actor does not know; does the peer run another version?");
      return caf::sec::unexpected_message;
    });
}

} // namespace belay::actors
