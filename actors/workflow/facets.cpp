#include "actors/workflow/facets.hpp"

#include <array>
#include <utility>

namespace belay {

std::string to_string(durability tier) {
  return tier == durability::durable ? "durable" : "in_memory";
}

std::optional<refusal> check_facets(durability effects, const facets& stores) {
  if (effects != durability::durable) {
    return std::nullopt;
  }
  const std::array named{
    std::pair{"attachment_store", stores.attachment_store},
    std::pair{"process_env_store", stores.process_env_store},
    std::pair{"session_store", stores.session_store},
    std::pair{"process_registry", stores.process_registry},
    std::pair{"trigger_store", stores.trigger_store},
  };
  for (const auto& [name, tier] : named) {
    if (tier && *tier != durability::durable) {
      return refusal{ec::bad_request, std::string{"durable_store_required:"} + name
                                        + ": durable effects need a durable " + name
                                        + ", this one is " + to_string(*tier)};
    }
  }
  return std::nullopt;
}

} // namespace belay
