// The page that shows an album.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace examples {

/// Returns the HTML page of an album; `pictures` as `make_thumbnail` describes them.
std::string album_page(const std::string& title, const nlohmann::json& pictures);

} // namespace examples
