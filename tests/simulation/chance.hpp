// Chance that is the same for the same seed, whatever the standard library.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>

namespace belay::simulation {

class chance {
public:
  explicit chance(std::uint64_t seed) : engine_{seed * 0x9E3779B97F4A7C15U + 1} {}

  /// Returns a number below `bound`.
  std::uint64_t below(std::uint64_t bound) {
    return engine_() % bound;
  }
  /// Whether something that happens in so many of 100 cases does.
  bool percent(std::uint64_t share) {
    return below(100) < share;
  }
  template <class T>
  T one_of(std::initializer_list<T> all) {
    return *(all.begin() + below(all.size()));
  }

private:
  std::mt19937_64 engine_;
};

} // namespace belay::simulation
