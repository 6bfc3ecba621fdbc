// A power cut at any instant: images of what the disk may hold then, each opened and checked.
//
// BELAY_POWER_CUT_IMAGES sets how many images are made.
#include "tests/faults/disk.hpp"
#include "tests/faults/workload.hpp"
#include "tests/support/scratch_directory.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

using namespace belay;
namespace disk = tests::disk;

namespace {

constexpr std::uint64_t sector_bytes = 512;

void put(std::string& file, std::uint64_t offset, std::string_view bytes) {
  if (file.size() < offset + bytes.size()) {
    file.resize(offset + bytes.size());
  }
  file.replace(offset, bytes.size(), bytes);
}

/// The files below one directory as the disk may hold them after a cut: what was synced, and of the
/// rest any part.
class image {
public:
  /// Something was done and the machine went on.
  void apply(const disk::record& x) {
    switch (x.kind) {
      case disk::what::write:
        if (x.synchronous) {
          put(files_[x.path].durable, x.offset, x.bytes);
        } else {
          files_[x.path].pending.push_back(x);
        }
        break;
      case disk::what::sync:
        for (const auto& write : files_[x.path].pending) {
          put(files_[x.path].durable, write.offset, write.bytes);
        }
        files_[x.path].pending.clear();
        // A directory: the names in it are on disk now.
        for (auto it = unsettled_.begin(); it != unsettled_.end();) {
          it = std::filesystem::path{it->first}.parent_path() == x.path ? unsettled_.erase(it)
                                                                        : std::next(it);
        }
        break;
      case disk::what::rename:
        files_[x.target] = files_[x.path];
        files_.erase(x.path);
        unsettled_[x.target] = true;
        break;
      case disk::what::unlink:
        removed_[x.path] = true;
        break;
    }
    if (x.kind == disk::what::rename) {
      removed_.erase(x.target);
    }
  }

  /// Writes one possible state into a directory. `last` was in flight when the power went.
  void write(const std::filesystem::path& from, const std::filesystem::path& to,
             const disk::record& last, std::mt19937_64& random) const {
    const auto mode = random() % 5;
    for (const auto& [path, file] : files_) {
      const auto name = std::filesystem::relative(path, from);
      const auto data = name == "belay.mdb";
      if (std::filesystem::is_directory(path) || (!data && name.extension() == ".new")) {
        continue;
      }
      const auto loose = unsettled_.count(path) != 0 || removed_.count(path) != 0;
      if (!data && loose && random() % 2 == 0) {
        continue; // Its name was not on disk, or its removal was.
      }
      auto bytes = file.durable;
      auto pending = file.pending;
      if (last.kind == disk::what::write && last.path == path) {
        pending.push_back(last);
      }
      for (std::size_t i = 0; i < pending.size(); ++i) {
        const auto newest = i + 1 == pending.size();
        for (std::uint64_t at = 0; at < pending[i].bytes.size(); at += sector_bytes) {
          const auto kept = mode == 0 || (mode == 1 && newest) || (mode >= 3 && random() % 2 == 0);
          if (kept) {
            put(bytes, pending[i].offset + at,
                std::string_view{pending[i].bytes}.substr(at, sector_bytes));
          }
        }
      }
      std::filesystem::create_directories((to / name).parent_path());
      std::ofstream{to / name, std::ios::binary} << bytes;
    }
  }

private:
  struct file_state {
    std::string durable;
    std::vector<disk::record> pending;
  };

  std::map<std::string, file_state> files_;
  std::map<std::string, bool> unsettled_;
  std::map<std::string, bool> removed_;
};

std::filesystem::path fast_place(const std::filesystem::path& otherwise) {
  std::string pattern = "/dev/shm/belay-images-XXXXXX";
  return mkdtemp(pattern.data()) == nullptr ? otherwise : std::filesystem::path{pattern};
}

} // namespace

TEST_CASE("power cut: whatever part of the unsynced is lost, nothing acknowledged is",
          "[faults][power-cut]") {
  const char* wanted = std::getenv("BELAY_POWER_CUT_IMAGES"); // NOLINT: one thread
  const std::size_t images = wanted == nullptr ? 320 : std::strtoull(wanted, nullptr, 10);
  constexpr std::uint64_t seed = 4'711;
  const tests::scratch_directory scratch;
  storage::options options;
  options.directory = scratch.path() / "data";
  options.size_max_bytes = 256U << 20;
  std::filesystem::create_directories(options.directory);
  const auto root = std::filesystem::canonical(options.directory);

  // The run: what the disk was told, and after which record what was acknowledged.
  disk::start_recording(root.string());
  std::vector<std::pair<std::size_t, tests::acknowledgements>> answered;
  {
    storage::store store{options};
    tests::workload work{seed, "p"};
    for (int i = 0; i < 250; ++i) {
      answered.emplace_back(0, work.step(store));
      answered.back().first = disk::recorded();
    }
  }
  const auto log = disk::stop_recording();
  REQUIRE(log.size() > 500);
  REQUIRE(std::any_of(log.begin(), log.end(), [](const auto& x) { return x.synchronous; }));
  REQUIRE(std::any_of(log.begin(), log.end(),
                      [](const auto& x) { return x.kind == disk::what::rename; }));

  std::mt19937_64 random{seed};
  std::vector<std::size_t> cuts(images);
  for (auto& cut : cuts) {
    cut = random() % log.size();
  }
  std::sort(cuts.begin(), cuts.end());
  const auto place = fast_place(scratch.path() / "images");
  image state;
  tests::acknowledgements known;
  std::size_t applied = 0;
  std::size_t heard = 0;
  std::size_t opened = 0;
  for (std::size_t number = 0; number < cuts.size(); ++number) {
    for (; applied < cuts[number]; ++applied) {
      state.apply(log[applied]);
    }
    for (; heard < answered.size() && answered[heard].first <= cuts[number]; ++heard) {
      for (const auto& [id, x] : answered[heard].second) {
        known[id] = x;
      }
    }
    const auto target = place / std::to_string(number);
    std::filesystem::create_directories(target);
    state.write(root, target, log[cuts[number]], random);
    INFO("image " << number << " of seed " << seed << ", cut at record " << cuts[number]);
    try {
      auto again = options;
      again.directory = target;
      const storage::store store{again};
      ++opened;
      for (const auto& finding : store.check()) {
        FAIL_CHECK(finding);
      }
      for (const auto& loss : tests::missing(store, known)) {
        FAIL_CHECK(loss);
      }
    } catch (const storage::error& x) {
      // Before its first commit a store is nothing yet.
      if (!known.empty()) {
        FAIL_CHECK(x.what());
      }
    }
    std::filesystem::remove_all(target);
  }
  std::filesystem::remove_all(place);
  CHECK(opened > images * 9 / 10);
  WARN("images: " << images << ", opened: " << opened << ", records: " << log.size());
}
