// The tools of the album: plain functions that know nothing of journals.
#include "examples/album/album.hpp"
#include "examples/album/picture.hpp"
#include "examples/common/files.hpp"

#include <algorithm>

namespace examples {

using belay::json;
namespace fs = std::filesystem;

json list_pictures_schema() {
  return json::parse(R"({
    "type": "object",
    "required": ["source"],
    "additionalProperties": false,
    "properties": {"source": {"type": "string", "pattern": "^/"}}})");
}

json list_pictures(const json& args) {
  const fs::path source{args.at("source").get<std::string>()};
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator at{source, error}; !error && at != fs::directory_iterator{};
       at.increment(error)) {
    if (at->is_regular_file() && at->path().extension() == ".png") {
      names.push_back(at->path().filename().string());
    }
  }
  if (error) {
    throw belay::failure{belay::failure_class::invalid_request, "no_folder",
                         "cannot list '" + source.string() + "': " + error.message()};
  }
  std::sort(names.begin(), names.end());
  return names;
}

json make_thumbnail_schema() {
  return json::parse(R"({
    "type": "object",
    "required": ["from", "to", "width"],
    "additionalProperties": false,
    "properties": {
      "from": {"type": "string", "pattern": "^/"},
      "to": {"type": "string", "pattern": "^/"},
      "width": {"type": "integer", "minimum": 1}}})");
}

json make_thumbnail(const json& args) {
  const fs::path to{args.at("to").get<std::string>()};
  const auto whole = read_png(args.at("from").get<std::string>());
  const auto small = scaled_down(whole, args.at("width").get<std::uint32_t>());
  const auto bytes = to_png(small);
  write_file(to, bytes);
  return {{"name", to.filename().string()},
          {"width", small.width},
          {"height", small.height},
          {"bytes", bytes.size()},
          {"sha256", sha256(bytes)}};
}

} // namespace examples
