#include "examples/common/files.hpp"
#include "examples/crawl/crawl.hpp"

#include <algorithm>

namespace examples {

using belay::failure;
using belay::failure_class;
using belay::json;
namespace fs = std::filesystem;

namespace {

/// Returns the paths below `root`, as bytes, sorted.
std::vector<std::string> paths_below(const fs::path& root, const std::function<bool()>& stopped) {
  std::error_code error;
  std::vector<std::string> paths;
  fs::recursive_directory_iterator at{root, fs::directory_options::skip_permission_denied, error};
  for (; !error && at != fs::recursive_directory_iterator{}; at.increment(error)) {
    if (stopped()) {
      throw failure{failure_class::external, "stopped", "asked to stop"};
    }
    std::error_code gone;
    if (fs::is_regular_file(at->symlink_status(gone))) {
      paths.push_back(at->path().lexically_relative(root).string());
    }
  }
  if (error) {
    throw failure{failure_class::invalid_request, "no_folder",
                  "cannot list '" + root.string() + "': " + error.message()};
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// A line as sha256sum writes and checks it.
std::string line_of(const std::string& hash, const std::string& path) {
  std::string escaped;
  for (const auto letter : path) {
    if (letter == '\\') {
      escaped += "\\\\";
    } else if (letter == '\n') {
      escaped += "\\n";
    } else if (letter == '\r') {
      escaped += "\\r";
    } else {
      escaped += letter;
    }
  }
  return (escaped == path ? "" : "\\") + hash + "  " + escaped + "\n";
}

} // namespace

json list_tree_schema() {
  return json::parse(R"({
    "type": "object",
    "required": ["root", "work", "parts"],
    "additionalProperties": false,
    "properties": {
      "root": {"type": "string", "pattern": "^/"},
      "work": {"type": "string", "pattern": "^/"},
      "parts": {"type": "integer", "minimum": 1}}})");
}

json list_tree(belay::running::tool_context& context, const json& args) {
  const fs::path root{args.at("root").get<std::string>()};
  const fs::path work{args.at("work").get<std::string>()};
  const auto paths = paths_below(root, [&context] { return context.cancelled(); });
  const auto parts_max = args.at("parts").get<std::size_t>();
  const auto files_in_part = std::max<std::size_t>((paths.size() + parts_max - 1) / parts_max, 1);
  std::string list;
  auto cuts = json::array({0});
  for (std::size_t i = 0; i < paths.size(); ++i) {
    list += paths[i];
    list += '\0';
    if ((i + 1) % files_in_part == 0 || i + 1 == paths.size()) {
      cuts.push_back(list.size());
    }
  }
  write_file(work / "list", list);
  return {{"files", paths.size()}, {"cuts", std::move(cuts)}};
}

json hash_part_schema() {
  return json::parse(R"({
    "type": "object",
    "required": ["root", "work", "part", "from", "to"],
    "additionalProperties": false,
    "properties": {
      "root": {"type": "string", "pattern": "^/"},
      "work": {"type": "string", "pattern": "^/"},
      "part": {"type": "integer", "minimum": 0},
      "from": {"type": "integer", "minimum": 0},
      "to": {"type": "integer", "minimum": 0}}})");
}

json hash_part(belay::running::tool_context& context, const json& args) {
  const fs::path root{args.at("root").get<std::string>()};
  const fs::path work{args.at("work").get<std::string>()};
  const auto from = args.at("from").get<std::size_t>();
  const auto list = read_file(work / "list", from, args.at("to").get<std::size_t>() - from);
  std::string lines;
  std::size_t bytes = 0;
  std::size_t unreadable = 0;
  for (std::size_t at = 0; at < list.size();) {
    const auto end = list.find('\0', at);
    const auto path = list.substr(at, end - at);
    at = end + 1;
    try {
      const auto hashed = hash_file(root / path, [&context] { return context.cancelled(); });
      lines += line_of(hashed.sha256, path);
      bytes += hashed.bytes;
    } catch (const failure& x) {
      if (x.code != "unreadable") {
        throw;
      }
      ++unreadable;
    }
  }
  write_file(work / args.at("part").dump(), lines);
  return {{"sha256", sha256(lines)}, {"bytes", bytes}, {"unreadable", unreadable}};
}

} // namespace examples
