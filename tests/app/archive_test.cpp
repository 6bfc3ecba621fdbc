// Archives of a data directory: what comes out of them, and who may read it.
#include "app/archive.hpp"

#include "tests/support/open_umask.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <stdexcept>

using namespace belay;

namespace {

using std::filesystem::perms;

perms mode_of(const std::filesystem::path& path) {
  return std::filesystem::status(path).permissions();
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("archive: it and all that comes out of it are their owner's alone", "[app][archive]") {
  const tests::open_umask all;
  const tests::scratch_directory directory;
  const auto from = directory.path() / "from";
  std::filesystem::create_directories(from / "blobs" / "ab");
  std::ofstream{from / "belay.mdb"} << "data";
  std::ofstream{from / "blobs" / "ab" / "abc"} << "blob";
  const auto tar = directory.path() / "tar";
  app::write_archive(from, tar);
  const auto file_mode = perms::owner_read | perms::owner_write;
  CHECK(mode_of(tar) == file_mode);
  const auto to = directory.path() / "new" / "to";
  app::read_archive(tar, to);
  for (const auto& folder : {to, to / "blobs", to / "blobs" / "ab"}) {
    CHECK(mode_of(folder) == perms::owner_all);
  }
  for (const auto& file : {to / "belay.mdb", to / "blobs" / "ab" / "abc"}) {
    CHECK(mode_of(file) == file_mode);
  }
  CHECK(content_of(to / "belay.mdb") == "data");
  CHECK(content_of(to / "blobs" / "ab" / "abc") == "blob");
  CHECK_THROWS_AS(app::write_archive(from, tar), std::runtime_error); // It is there.
}
