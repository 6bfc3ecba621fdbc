#include "examples/crawl/crawl.hpp"

#include "examples/common/files.hpp"

#include <algorithm>

namespace examples {

using belay::json;
using belay::task;
using belay::workflow;
namespace fs = std::filesystem;

namespace {

/// Where things are: the tree, the manifest, and the folder of what is not finished.
struct crawl_paths {
  fs::path root;
  fs::path manifest;
  fs::path work;
};

crawl_paths paths_from(const json& args, const belay::process_id& id) {
  crawl_paths x;
  x.root = fs::path{args.at("root").get<std::string>()}.lexically_normal();
  x.manifest = fs::path{args.at("manifest").get<std::string>()}.lexically_normal();
  x.work = x.manifest.string() + ".work-" + sha256(id).substr(0, 16);
  const auto beside = x.manifest.lexically_relative(x.root);
  if (*beside.begin() != "..") {
    throw belay::failure{belay::failure_class::invalid_request, "manifest_in_tree",
                         "the manifest would be a file of the tree: choose a place outside"};
  }
  return x;
}

/// Joins the parts to the manifest and returns its hash. What a child has said about its part must
/// hold.
std::string write_manifest(const crawl_paths& at, const std::vector<json>& parts) {
  std::string manifest;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto lines = read_file(at.work / std::to_string(i));
    if (sha256(lines) != parts[i].at("sha256")) {
      throw belay::failure{belay::failure_class::external, "part_changed",
                           "part " + std::to_string(i) + " is not what its child has written"};
    }
    manifest += lines;
  }
  write_file(at.manifest, manifest);
  return sha256(manifest);
}

std::size_t sum(const std::vector<json>& parts, const char* of) {
  std::size_t result = 0;
  for (const auto& one : parts) {
    result += one.at(of).get<std::size_t>();
  }
  return result;
}

/// Starts a child for each part and waits for all.
task<std::vector<json>> hash_tree(workflow& wf, const crawl_paths& at, const json& cuts) {
  std::vector<belay::child> children;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    children.push_back(co_await wf.start("crawl.hash", {{"root", at.root.string()},
                                                        {"work", at.work.string()},
                                                        {"part", i},
                                                        {"from", cuts[i]},
                                                        {"to", cuts[i + 1]}}));
  }
  wf.set_status({{"stage", "hashing"}, {"children", children.size()}});
  co_return co_await when_all(std::move(children));
}

} // namespace

json crawl_schema() {
  return json::parse(R"({
    "type": "object",
    "required": ["root", "manifest"],
    "additionalProperties": false,
    "properties": {
      "root": {"type": "string", "pattern": "^/"},
      "manifest": {"type": "string", "pattern": "^/"},
      "children": {"type": "integer", "minimum": 1, "maximum": 10000}}})");
}

task<json> crawl(workflow& wf, json args) {
  const auto at = paths_from(args, wf.id());
  wf.set_status({{"stage", "listing"}});
  const auto found = co_await wf.call("crawl.list", {{"root", at.root.string()},
                                                     {"work", at.work.string()},
                                                     {"parts", args.value("children", 1'000)}});
  const auto parts = co_await hash_tree(wf, at, found.at("cuts"));
  const auto write = [&] { return write_manifest(at, parts); };
  const auto hash = co_await wf.step("manifest", write);
  // A step of its own: the parts go when the journal has the manifest's hash, and not before.
  const auto tidy = [&at] { fs::remove_all(at.work); };
  co_await wf.step("tidy", tidy);
  wf.set_status({{"stage", "done"}});
  co_return json{{"sha256", hash},
                 {"files", found.at("files")},
                 {"bytes", sum(parts, "bytes")},
                 {"unreadable", sum(parts, "unreadable")}};
}

} // namespace examples
