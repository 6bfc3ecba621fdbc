// What the benchmarks share: the disk's own speed, and medians.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

namespace belay::bench {

using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

/// Reads an argument of the program, a number from `least`. Ends the program with 2 when it is not.
inline double number_argument(int argc, char** argv, int at, double otherwise, double least = 1) {
  if (argc <= at) {
    return otherwise;
  }
  char* end = nullptr;
  const auto number = std::strtod(argv[at], &end);
  if (end == argv[at] || *end != '\0' || !(number >= least)) {
    std::fprintf(stderr, "argument %d: '%s' is not acceptable, expected a number from %g\n", at,
                 argv[at], least);
    std::exit(2);
  }
  return number;
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

/// Returns the median seconds of one 4 KiB overwrite in place and fdatasync in this directory.
inline double raw_sync_seconds(const std::filesystem::path& directory, int count = 500) {
  const auto path = directory / "raw";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string page(4'096, 'x');
  std::vector<double> times;
  for (int i = 0; i < count + 10; ++i) {
    const auto start = clock::now();
    if (pwrite(fd, page.data(), page.size(), 0) != static_cast<ssize_t>(page.size())
        || fdatasync(fd) != 0) {
      throw std::runtime_error{"raw write failed"};
    }
    if (i >= 10) {
      times.push_back(seconds_since(start));
    }
  }
  close(fd);
  std::filesystem::remove(path);
  return median(times);
}

/// A directory below the working directory (a real disk, not /tmp on tmpfs), gone at the end.
class bench_directory {
public:
  bench_directory() {
    auto pattern = (std::filesystem::current_path() / "bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error{"mkdtemp"};
    }
    path_ = pattern;
  }

  ~bench_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  bench_directory(const bench_directory&) = delete;
  bench_directory& operator=(const bench_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }

private:
  std::filesystem::path path_;
};

} // namespace belay::bench
