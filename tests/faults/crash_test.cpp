// A program killed at any instant: what it was told is done is done.
#include "tests/faults/workload.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace belay;

namespace {

/// Applies batches for ever and says after each what was acknowledged.
[[noreturn]] void child(const storage::options& options, std::uint64_t round, int out) {
  try {
    storage::store store{options};
    tests::workload work{round, "r" + std::to_string(round) + "-"};
    for (;;) {
      std::string text;
      for (const auto& [id, x] : work.step(store)) {
        text += id + " " + std::to_string(x.seq) + " " + (x.finished ? "1" : "0") + " "
                + (x.pruned ? "1" : "0") + " " + std::to_string(x.entries) + " "
                + std::to_string(x.attachments) + "\n";
      }
      if (!text.empty() && write(out, text.data(), text.size()) < 0) {
        _exit(2);
      }
    }
  } catch (const std::exception&) {
    _exit(3);
  }
}

} // namespace

TEST_CASE("crash: killed two hundred times, nothing acknowledged is missing",
          "[faults][crash][s5-A1]") {
  constexpr std::uint64_t rounds = 200;
  const tests::scratch_directory scratch;
  storage::options options;
  options.directory = scratch.path() / "data";
  tests::acknowledgements known;
  std::mt19937_64 random{20'261};
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    std::array<int, 2> pipe_ends{};
    REQUIRE(pipe(pipe_ends.data()) == 0);
    const auto pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      close(pipe_ends[0]);
      child(options, round, pipe_ends[1]);
    }
    close(pipe_ends[1]);
    // So many answers, then a moment that nobody chose.
    std::string heard;
    std::array<char, 4'096> chunk{};
    const auto enough = random() % 8'000;
    while (heard.size() < enough) {
      const auto count = read(pipe_ends[0], chunk.data(), chunk.size());
      if (count <= 0) {
        break;
      }
      heard.append(chunk.data(), static_cast<std::size_t>(count));
    }
    const auto moment
      = std::chrono::steady_clock::now() + std::chrono::microseconds{random() % 700};
    while (std::chrono::steady_clock::now() < moment) {
    }
    REQUIRE(kill(pid, SIGKILL) == 0);
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFSIGNALED(status)); // Not ended by itself: it found no fault.
    for (;;) {
      const auto count = read(pipe_ends[0], chunk.data(), chunk.size());
      if (count <= 0) {
        break;
      }
      heard.append(chunk.data(), static_cast<std::size_t>(count));
    }
    close(pipe_ends[0]);
    heard.resize(heard.rfind('\n') == std::string::npos ? 0 : heard.rfind('\n') + 1);
    std::istringstream lines{heard};
    for (std::string id; lines >> id;) {
      auto& x = known[id];
      lines >> x.seq >> x.finished >> x.pruned >> x.entries >> x.attachments;
    }
    if (round % 20 == 0) {
      const storage::store store{options};
      INFO("after round " << round);
      for (const auto& finding : store.check()) {
        FAIL_CHECK(finding);
      }
      for (const auto& loss : tests::missing(store, known)) {
        FAIL_CHECK(loss);
      }
    }
  }
  CHECK(known.size() > rounds);
  WARN("kills: " << rounds << ", acknowledged processes: " << known.size());
}
