// The album on a node for tests: approved, rejected, forgotten, cancelled, and through a crash at
// each commit.
#include "examples/album/album.hpp"

#include "tests/examples/pictures.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/testing_node.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <sys/inotify.h>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;

namespace {

/// Counts how often a file of this name was put into a folder.
class arrivals {
public:
  arrivals(const std::filesystem::path& folder, std::string name)
    : watch_{inotify_init1(IN_CLOEXEC | IN_NONBLOCK)}, name_{std::move(name)} {
    std::filesystem::create_directories(folder);
    // The same event twice in a row would be one: what was created before is between them.
    REQUIRE(inotify_add_watch(watch_, folder.c_str(), IN_MOVED_TO | IN_CREATE) >= 0);
  }
  ~arrivals() {
    close(watch_);
  }
  arrivals(const arrivals&) = delete;
  arrivals& operator=(const arrivals&) = delete;

  [[nodiscard]] int count() const {
    int found = 0;
    alignas(inotify_event) std::array<char, 65'536> room{};
    for (auto size = read(watch_, room.data(), room.size()); size > 0;
         size = read(watch_, room.data(), room.size())) {
      for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
        inotify_event one{};
        std::memcpy(&one, room.data() + at, sizeof one);
        found += (one.mask & IN_MOVED_TO) != 0 && name_ == room.data() + at + sizeof one ? 1 : 0;
        at += sizeof one + one.len;
      }
    }
    return found;
  }

private:
  int watch_;
  std::string name_;
};

/// Three pictures and one that is none.
struct album_fixture {
  album_fixture() {
    tests::write_pictures(source, 3, 64);
    examples::write_file(source / "broken.png", "no picture");
    node
      .tool(
        "album.list",
        [this](const json& args) {
          check_not_recorded("album.list");
          return examples::list_pictures(args);
        },
        examples::list_pictures_schema())
      .tool(
        "album.thumbnail",
        [this](const json& args) {
          check_not_ended(args);
          return examples::make_thumbnail(args);
        },
        examples::make_thumbnail_schema())
      .workflow("album", examples::album, 1, examples::album_schema());
  }

  void start() {
    node.start_workflow("a", "album",
                        {{"source", source.string()}, {"target", target.string()}, {"width", 16}});
  }

  /// A call whose end is in the journal is not made again.
  void check_not_recorded(const std::string& name) {
    for (const auto& entry : node.journal("a")) {
      CHECK_FALSE((entry.name == name && entry.done != 0));
    }
  }

  /// A child that has its outcome is not run again.
  void check_not_ended(const json& args) {
    for (const auto& x : node.all()) {
      if (x.kind == "album.thumbnail" && node.outcome_of(x.id)) {
        CHECK(json::parse(x.registration_json).at("input").at("args") != args);
      }
    }
  }

  [[nodiscard]] json result() const {
    return tests::success_of(node, "a");
  }

  tests::scratch_directory scratch;
  std::filesystem::path source = scratch.path() / "pictures";
  std::filesystem::path target = scratch.path() / "album";
  testing::node node;
};

} // namespace

TEST_CASE("album: approved, it has a page, thumbnails and a manifest", "[examples][album]") {
  album_fixture x;
  x.start();
  x.node.advance(2s);
  const auto waiting = x.node.get("a");
  CHECK(waiting.state == process_state::waiting);
  const auto status = json::parse(waiting.status_json);
  CHECK(status.at("stage") == "waiting for approval");
  CHECK(status.at("pictures") == 3);
  CHECK(tests::files_below(x.target).size() == 3);
  REQUIRE(x.node.signal("a", "approved", {{"ok", true}}));
  x.node.run();
  const auto result = x.result();
  CHECK(result.at("published") == true);
  CHECK(result.at("pictures") == 3);
  CHECK(result.at("skipped").at(0).at("name") == "broken.png");
  CHECK(tests::files_below(x.target).size() == 4);
  const auto page = examples::read_file(x.target / "index.html");
  CHECK(page.find("thumbs/02.png") != std::string::npos);
  const auto thumb = examples::read_png(x.target / "thumbs" / "01.png");
  CHECK(thumb.width == 16);
  CHECK(thumb.height == 12);
  const auto ended = x.node.get("a");
  REQUIRE(ended.attachments.size() == 1);
  CHECK(ended.attachments.front().name == "manifest.json");
  CHECK(ended.attachments.front().ref == result.at("manifest"));
  tests::require_sound(x.node);
}

TEST_CASE("album: rejected or forgotten, nothing is left of it", "[examples][album]") {
  album_fixture x;
  x.start();
  x.node.advance(2s);
  REQUIRE(tests::files_below(x.target).size() == 3);
  SECTION("rejected") {
    REQUIRE(x.node.signal("a", "approved", {{"ok", false}}));
    x.node.run();
    CHECK(x.result().at("why") == "rejected");
  }
  SECTION("forgotten") {
    x.node.advance(7 * 24h);
    CHECK(x.result().at("why") == "nobody answered in time");
  }
  CHECK(x.result().at("published") == false);
  CHECK_FALSE(std::filesystem::exists(x.target));
  tests::require_sound(x.node);
}

TEST_CASE("album: a folder that is not there is a failure, and takes nothing with it",
          "[examples][album]") {
  album_fixture x;
  examples::write_file(x.target / "index.html", "another album");
  std::filesystem::remove_all(x.source);
  x.start();
  x.node.run();
  const auto ended = x.node.outcome_of("a");
  REQUIRE(ended);
  CHECK(ended->kind == outcome_kind::failure);
  CHECK(ended->code == "no_folder");
  CHECK(examples::read_file(x.target / "index.html") == "another album");
}

TEST_CASE("album: through a crash at each commit it comes to the same",
          "[examples][album][crash]") {
  const auto run = [](album_fixture& x) {
    x.start();
    x.start(); // As a client that had no answer does.
    x.node.advance(2s);
    static_cast<void>(x.node.signal("a", "approved", true, "k"));
    static_cast<void>(x.node.signal("a", "approved", true, "k"));
    x.node.advance(1min);
  };
  album_fixture calm;
  run(calm);
  const auto expected = calm.result();
  const auto files = tests::files_below(calm.target);
  const auto commits = calm.node.commits();
  REQUIRE(commits > 8);
  for (const auto where : {testing::crash_point::before, testing::crash_point::after}) {
    const auto before = where == testing::crash_point::before;
    int pages_twice = 0;
    for (std::uint64_t n = 1; n <= commits; ++n) {
      INFO("commit " << n << (before ? " before" : " after"));
      album_fixture x;
      const arrivals pages{x.target, "index.html"};
      x.node.crash_at(n, where);
      run(x);
      CHECK(x.node.crashes() == 1);
      CHECK(x.result() == expected);
      CHECK(tests::files_below(x.target) == files);
      const auto written = pages.count();
      CHECK((written == 1 || written == 2));
      pages_twice += written - 1;
      tests::require_sound(x.node);
    }
    // The step is run again where its entry was not on disk yet, and there only.
    CHECK(pages_twice == (before ? 1 : 0));
  }
}

TEST_CASE("album: cancelled, it takes back what it has made, through a crash at each commit",
          "[examples][album][cancel][crash]") {
  const auto run = [](album_fixture& x) {
    x.start();
    x.start();
    x.node.advance(2s);
    static_cast<void>(x.node.cancel("a"));
    static_cast<void>(x.node.cancel("a"));
    x.node.advance(1min);
  };
  album_fixture calm;
  run(calm);
  const auto commits = calm.node.commits();
  for (const auto where : {testing::crash_point::before, testing::crash_point::after}) {
    for (std::uint64_t n = 1; n <= commits; ++n) {
      INFO("commit " << n << (where == testing::crash_point::before ? " before" : " after"));
      album_fixture x;
      x.node.crash_at(n, where);
      run(x);
      const auto ended = x.node.outcome_of("a");
      REQUIRE(ended);
      CHECK(ended->kind == outcome_kind::cancelled);
      CHECK_FALSE(std::filesystem::exists(x.target));
      tests::require_sound(x.node);
    }
  }
}
