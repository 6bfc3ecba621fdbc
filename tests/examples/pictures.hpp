// A folder of pictures for the tests of the album.
#pragma once

#include "examples/album/picture.hpp"
#include "examples/common/files.hpp"

#include <map>

namespace belay::tests {

/// A picture with colours of its own for each number.
inline std::string numbered_png(std::uint32_t number, std::uint32_t width, std::uint32_t height) {
  examples::picture x{width, height, {}};
  for (std::uint32_t row = 0; row < height; ++row) {
    for (std::uint32_t column = 0; column < width; ++column) {
      for (const auto colour : {column + number, row * number, number * 40, 255U}) {
        x.rgba.push_back(static_cast<std::uint8_t>(colour));
      }
    }
  }
  return examples::to_png(x);
}

/// Writes pictures 00.png, 01.png and so on.
inline void
write_pictures(const std::filesystem::path& folder, std::uint32_t count, std::uint32_t width) {
  std::filesystem::create_directories(folder);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto name = std::to_string(i) + ".png";
    name.insert(0, name.size() < 6 ? 6 - name.size() : 0, '0');
    examples::write_file(folder / name, numbered_png(i, width, width * 3 / 4));
  }
}

/// The files below a folder, by path, with their hashes. Empty when there is no folder.
inline std::map<std::string, std::string> files_below(const std::filesystem::path& folder) {
  std::map<std::string, std::string> found;
  std::error_code none;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{folder, none}) {
    if (entry.is_regular_file()) {
      found.emplace(entry.path().lexically_relative(folder).string(),
                    examples::sha256(examples::read_file(entry.path())));
    }
  }
  return found;
}

} // namespace belay::tests
