// Worlds of random workflows with random faults on the test scheduler: each seed is one world, and
// the same one every time.
//
//     BELAY_SEED=123        only this one
//     BELAY_SEEDS=2000      how many (default)
//     BELAY_FIRST_SEED=1    the first of them (default)
#include "tests/simulation/simulation.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

using namespace belay;

namespace {

constexpr std::uint64_t parts = 4;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const auto* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe): one thread
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_part(std::uint64_t part) {
  const auto only = number_from("BELAY_SEED", 0);
  const auto first = only != 0 ? only : number_from("BELAY_FIRST_SEED", 1);
  const auto count = only != 0 ? 1 : number_from("BELAY_SEEDS", 2'000);
  const auto failures_max = number_from("BELAY_FAILURES_MAX", 3);
  std::uint64_t failures = 0;
  std::uint64_t worlds = 0;
  for (auto seed = first; seed < first + count && failures < failures_max; ++seed) {
    if (seed % parts != part) {
      continue;
    }
    const auto result = simulation::simulate(seed);
    ++worlds;
    if (result.findings.empty()) {
      continue;
    }
    ++failures;
    std::string text;
    for (const auto& one : result.findings) {
      text += one + "\n";
    }
    FAIL_CHECK("seed " << seed << ":\n"
                       << text << "\nThe world:\n"
                       << simulation::plan_of(seed) << result.standing << "\nAgain:\n  BELAY_SEED="
                       << seed << " " << std::filesystem::read_symlink("/proc/self/exe").string()
                       << " \"" << Catch::getResultCapture().getCurrentTestName() << "\"");
  }
  CHECK((worlds > 0 || count < parts));
}

} // namespace

TEST_CASE("simulation: random worlds keep every promise (part 1 of 4)", "[simulation]") {
  run_part(0);
}

TEST_CASE("simulation: random worlds keep every promise (part 2 of 4)", "[simulation]") {
  run_part(1);
}

TEST_CASE("simulation: random worlds keep every promise (part 3 of 4)", "[simulation]") {
  run_part(2);
}

TEST_CASE("simulation: random worlds keep every promise (part 4 of 4)", "[simulation]") {
  run_part(3);
}
