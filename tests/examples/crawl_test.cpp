// The crawl on a node for tests: more files than children, and a crash at each commit.
#include "examples/crawl/crawl.hpp"

#include "examples/common/files.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/testing_node.hpp"

#include <catch2/catch.hpp>

using namespace belay;
using namespace std::chrono_literals;

namespace {

struct crawl_fixture {
  crawl_fixture() {
    const auto write = [this](const std::string& name, const std::string& text) {
      examples::write_file(root / name, text);
    };
    write("b/two", "2");
    write("a", "1");
    write("b/empty", "");
    write("b/a line\nbreak", "3");
    write("c/d/e/deep", "4");
    std::filesystem::create_symlink(root / "a", root / "link");
    node.tool("crawl.list", in_context(examples::list_tree), examples::list_tree_schema())
      .tool("crawl.hash", in_context(examples::hash_part), examples::hash_part_schema())
      .workflow("crawl", examples::crawl, 1, examples::crawl_schema());
  }

  template <class F>
  static running::tool_function in_context(F function) {
    return [function](running::tool_context& context, const json& args) {
      return make_success(function(context, args).dump());
    };
  }

  void start() {
    node.start_workflow(
      "c", "crawl", {{"root", root.string()}, {"manifest", manifest.string()}, {"children", 2}});
  }

  [[nodiscard]] json result() const {
    return tests::success_of(node, "c");
  }

  tests::scratch_directory scratch;
  std::filesystem::path root = scratch.path() / "tree";
  std::filesystem::path manifest = scratch.path() / "manifest";
  testing::node node;
};

} // namespace

TEST_CASE("crawl: the manifest is sorted, and what sha256sum checks", "[examples][crawl]") {
  crawl_fixture x;
  x.start();
  x.node.run();
  const auto text = examples::read_file(x.manifest);
  const auto line = [](const std::string& content, const std::string& path) {
    return examples::sha256(content) + "  " + path + "\n";
  };
  CHECK(text
        == line("1", "a") + "\\" + line("3", R"(b/a line\nbreak)") + line("", "b/empty")
             + line("2", "b/two") + line("4", "c/d/e/deep"));
  CHECK(x.result()
        == json{{"sha256", examples::sha256(text)}, {"files", 5}, {"bytes", 4}, {"unreadable", 0}});
  CHECK(x.node.all().size() == 3);
  for (const auto& entry : std::filesystem::directory_iterator{x.scratch.path()}) {
    CHECK((entry.path() == x.root || entry.path() == x.manifest));
  }
}

TEST_CASE("crawl: an empty tree has an empty manifest", "[examples][crawl]") {
  crawl_fixture x;
  std::filesystem::remove_all(x.root);
  std::filesystem::create_directories(x.root);
  x.start();
  x.node.run();
  CHECK(x.result().at("sha256") == examples::sha256(""));
}

TEST_CASE("crawl: a manifest inside the tree is refused", "[examples][crawl]") {
  crawl_fixture x;
  x.manifest = x.root / "b" / "manifest";
  x.start();
  x.node.run();
  const auto ended = x.node.outcome_of("c");
  REQUIRE(ended);
  CHECK(ended->code == "manifest_in_tree");
}

TEST_CASE("crawl: through a crash at each commit it comes to the same",
          "[examples][crawl][crash]") {
  std::uint64_t commits = 0;
  std::string expected;
  {
    crawl_fixture calm;
    calm.start();
    calm.node.run();
    expected = calm.result().dump();
    commits = calm.node.commits();
  }
  REQUIRE(commits > 5);
  for (const auto where : {testing::crash_point::before, testing::crash_point::after}) {
    for (std::uint64_t n = 1; n <= commits; ++n) {
      INFO("commit " << n << (where == testing::crash_point::before ? " before" : " after"));
      crawl_fixture x;
      x.node.crash_at(n, where);
      x.start();
      x.start();
      x.node.advance(1min);
      CHECK(x.node.crashes() == 1);
      CHECK(x.result().dump() == expected);
      tests::require_sound(x.node);
    }
  }
}
