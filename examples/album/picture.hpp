// Pictures in memory, read and written by libpng's simplified interface.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace examples {

struct picture {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  /// Red, green, blue and alpha, a byte each, row by row from the top.
  std::vector<std::uint8_t> rgba;
};

/// Reads a PNG file. Throws a `belay::failure` with the code "bad_picture" on one that is broken or
/// too large to be looked at.
picture read_png(const std::filesystem::path& path);

/// Returns the picture as a PNG file. The same picture gives the same bytes.
std::string to_png(const picture& x);

/// Returns the picture no wider than `width_max`, each pixel the mean of those that it stands for.
picture scaled_down(const picture& x, std::uint32_t width_max);

} // namespace examples
