#include "examples/album/picture.hpp"

#include "actors/workflow/failure.hpp"

#include <algorithm>
#include <array>
#include <png.h>

namespace examples {

namespace {

/// Most pixels of a picture: 64 million, which are 256 MiB in memory.
constexpr std::uint64_t pixels_max = 64'000'000;

/// libpng's handle; it frees what a failed call has left.
struct png_handle {
  png_handle() {
    image.version = PNG_IMAGE_VERSION;
  }
  ~png_handle() {
    png_image_free(&image);
  }
  png_handle(const png_handle&) = delete;
  png_handle& operator=(const png_handle&) = delete;

  png_image image{};
};

[[noreturn]] void bad_picture(const std::filesystem::path& path, const std::string& why) {
  throw belay::failure{belay::failure_class::invalid_request, "bad_picture",
                       "'" + path.filename().string() + "': " + why};
}

/// The mean of a rectangle of pixels, as four bytes.
std::array<std::uint8_t, 4> mean(const picture& x, std::uint32_t left, std::uint32_t right,
                                 std::uint32_t top, std::uint32_t bottom) {
  std::array<std::uint64_t, 4> sums{};
  for (auto row = top; row < bottom; ++row) {
    for (auto column = left; column < right; ++column) {
      const auto at = (std::size_t{row} * x.width + column) * 4;
      for (std::size_t channel = 0; channel < 4; ++channel) {
        sums.at(channel) += x.rgba[at + channel];
      }
    }
  }
  const auto count = std::uint64_t{right - left} * (bottom - top);
  std::array<std::uint8_t, 4> result{};
  std::transform(sums.begin(), sums.end(), result.begin(),
                 [count](auto sum) { return static_cast<std::uint8_t>(sum / count); });
  return result;
}

} // namespace

picture read_png(const std::filesystem::path& path) {
  png_handle handle;
  if (png_image_begin_read_from_file(&handle.image, path.c_str()) == 0) {
    bad_picture(path, handle.image.message);
  }
  picture x{handle.image.width, handle.image.height, {}};
  if (std::uint64_t{x.width} * x.height > pixels_max) {
    bad_picture(path, "more than " + std::to_string(pixels_max) + " pixels");
  }
  handle.image.format = PNG_FORMAT_RGBA;
  x.rgba.resize(PNG_IMAGE_SIZE(handle.image));
  if (png_image_finish_read(&handle.image, nullptr, x.rgba.data(), 0, nullptr) == 0) {
    bad_picture(path, handle.image.message);
  }
  return x;
}

std::string to_png(const picture& x) {
  png_handle handle;
  handle.image.width = x.width;
  handle.image.height = x.height;
  handle.image.format = PNG_FORMAT_RGBA;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(handle.image);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&handle.image, bytes.data(), &size, 0, x.rgba.data(), 0, nullptr)
      == 0) {
    throw std::runtime_error{std::string{"libpng: "} + handle.image.message};
  }
  bytes.resize(size);
  return bytes;
}

picture scaled_down(const picture& x, std::uint32_t width_max) {
  if (x.width <= width_max) {
    return x;
  }
  const auto height = std::max<std::uint64_t>(std::uint64_t{x.height} * width_max / x.width, 1);
  picture small{width_max, static_cast<std::uint32_t>(height), {}};
  small.rgba.reserve(std::size_t{small.width} * small.height * 4);
  const auto edge = [](std::uint64_t index, std::uint64_t from, std::uint64_t to) {
    return static_cast<std::uint32_t>(index * from / to);
  };
  for (std::uint32_t row = 0; row < small.height; ++row) {
    const auto top = edge(row, x.height, small.height);
    const auto bottom = std::max(edge(row + 1ULL, x.height, small.height), top + 1);
    for (std::uint32_t column = 0; column < small.width; ++column) {
      const auto left = edge(column, x.width, small.width);
      const auto right = std::max(edge(column + 1ULL, x.width, small.width), left + 1);
      const auto pixel = mean(x, left, right, top, bottom);
      small.rgba.insert(small.rgba.end(), pixel.begin(), pixel.end());
    }
  }
  return small;
}

} // namespace examples
