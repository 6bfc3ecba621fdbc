// The log as a test reads it.
#pragma once

#include "actors/log.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>
#include <vector>

namespace belay::tests {

/// Sends the log to a file of its own; afterwards it is quiet and on stderr again.
class captured_log {
public:
  explicit captured_log(log::options opts) : file_{std::tmpfile()} {
    REQUIRE(file_ != nullptr);
    opts.stream = file_;
    log::init(opts);
  }

  ~captured_log() {
    log::init({.level_min = log::level::warn});
    std::fclose(file_);
  }

  captured_log(const captured_log&) = delete;
  captured_log& operator=(const captured_log&) = delete;

  [[nodiscard]] std::vector<std::string> lines() const {
    log::flush();
    std::rewind(file_);
    std::vector<std::string> result(1);
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) {
      if (c == '\n') {
        result.emplace_back();
      } else {
        result.back() += static_cast<char>(c);
      }
    }
    CHECK(result.back().empty());
    result.pop_back();
    return result;
  }

private:
  std::FILE* file_;
};

} // namespace belay::tests
