#include "messages/wire_error.hpp"

#include "messages/protocol.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace belay {

caf::error to_error(const refusal& no) {
  return caf::make_error(no.code, no.text);
}

refusal to_refusal(const caf::error& x) {
  if (!x) {
    return {ec::none, "no error"}; // CAF 0.17.6: an empty error has no category to ask for.
  }
  if (x.category() == caf::atom("belay")) {
    const auto code = static_cast<ec>(x.code());
    const auto& context = x.context();
    if (context.match_elements<std::string>()) {
      return {code, context.get_as<std::string>(0)};
    }
    return {code, describe(code)};
  }
  if (x == caf::sec::request_timeout) {
    return {ec::timed_out, "no answer in time"};
  }
  return {ec::shutting_down, "the node is gone or stopping (" + caf::to_string(x) + ")"};
}

void add_messages(caf::actor_system_config& config) {
  config.add_message_types<caf::id_block::belay_messages>();
  config.add_error_category(caf::atom("belay"),
                            [](std::uint8_t code, caf::atom_value, const caf::message& context) {
                              const auto kind = static_cast<ec>(code);
                              if (context.match_elements<std::string>()) {
                                return to_string(kind) + ": " + context.get_as<std::string>(0);
                              }
                              return to_string(kind) + ": " + describe(kind);
                            });
}

} // namespace belay
