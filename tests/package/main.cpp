// A program of a user's: the belay command line with a tool and a workflow.
#include "app/embedding.hpp"

#include <filesystem>

using namespace std::chrono_literals;
using belay::json;

json list_files(const json& args) {
  std::vector<std::string> names;
  for (const auto& x : std::filesystem::directory_iterator{args.at("dir").get<std::string>()}) {
    names.push_back(x.path().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string now_text() {
  return std::to_string(std::time(nullptr));
}

belay::task<json> thumbnail_album(belay::workflow& wf, json album) {
  auto files = co_await wf.call("list_files", {{"dir", album["dir"]}});
  std::vector<belay::child> made;
  for (auto& f : files) {
    made.push_back(co_await wf.start("exec", {{"argv", {"cat", f}}}));
  }
  for (auto& c : made) {
    co_await c;
  }
  auto ok = co_await wf.wait_signal("approved", 24h);
  auto stamp = co_await wf.step("stamp", [] { return now_text(); });
  co_await wf.sleep(10ms);
  co_return {{"files", files.size()}, {"approved", ok.has_value()}};
}

int main(int argc, char** argv) {
  const auto schema = json::parse(R"({"type": "object", "required": ["dir"]})");
  belay::embedding node;
  node.tool("list_files", schema, list_files)
    .workflow("thumbnail_album", thumbnail_album, {.version = 1});
  return node.run(argc, argv);
}
