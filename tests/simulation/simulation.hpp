// One simulated world: programs, outside events and faults, all from one seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace belay::simulation {

struct report {
  /// What was wrong; empty when all was well.
  std::vector<std::string> findings;
  /// Where everything stood then, for people.
  std::string standing;
  std::uint64_t commits = 0;
  std::uint64_t crashes = 0;
  std::uint64_t processes = 0;
};

/// The programs of a world and what happens to them, for people.
[[nodiscard]] std::string plan_of(std::uint64_t seed);

[[nodiscard]] report simulate(std::uint64_t seed);

} // namespace belay::simulation
