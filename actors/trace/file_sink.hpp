// Spans as lines of a file that stays bounded.
#pragma once

#include "actors/trace/sink.hpp"

#include <filesystem>

namespace belay::tracing {

/// Appends lines to a file, for one program at a time. A line that would make the file larger than
/// `bytes_max` goes to a new one; the old one is FILE.1 then, and what was FILE.1 is gone. A line
/// that cannot be written in full (a full disk) is taken back and `refused`.
class file_sink : public sink {
public:
  /// Throws `std::system_error` when the file cannot be opened.
  file_sink(std::filesystem::path path, std::uint64_t bytes_max);
  ~file_sink() override;

  sent write(const std::string& line, const std::function<bool()>& hurry) override;
  [[nodiscard]] std::string name() const override;

private:
  void open();
  void close();
  void rotate();
  void append(const std::string& text);

  std::filesystem::path path_;
  std::uint64_t bytes_max_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

} // namespace belay::tracing
