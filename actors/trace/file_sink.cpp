#include "actors/trace/file_sink.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace belay::tracing {

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error{errno, std::generic_category(), what};
}

} // namespace

file_sink::file_sink(std::filesystem::path path, std::uint64_t bytes_max)
  : path_{std::move(path)}, bytes_max_{bytes_max} {
  open();
}

file_sink::~file_sink() {
  close();
}

std::string file_sink::name() const {
  return path_.string();
}

void file_sink::open() {
  constexpr mode_t mode = 0640; // Ids and errors of processes are not for everybody.
  fd_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, mode);
  struct stat found {};
  if (fd_ < 0 || fstat(fd_, &found) != 0) {
    fail("open");
  }
  size_ = static_cast<std::uint64_t>(found.st_size);
  char last = '\n';
  if (size_ > 0 && pread(fd_, &last, 1, found.st_size - 1) == 1 && last != '\n') {
    append("\n"); // A killed program left half a line: ours begins a new one.
  }
}

void file_sink::close() {
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

void file_sink::rotate() {
  auto old = path_;
  old += ".1";
  if (rename(path_.c_str(), old.c_str()) != 0) {
    fail("rename");
  }
  close();
  open();
}

void file_sink::append(const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const auto count = ::write(fd_, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      const auto why = errno;
      static_cast<void>(!ftruncate(fd_, static_cast<off_t>(size_))); // No half line stays.
      errno = why;
      fail("write");
    }
    done += static_cast<std::size_t>(count);
  }
  size_ += text.size();
}

sent file_sink::write(const std::string& line, const std::function<bool()>& /*hurry*/) {
  const auto text = line + "\n";
  if (text.size() > bytes_max_) {
    return {delivery::refused, "a batch of " + std::to_string(text.size())
                                 + " bytes is larger than the file may be (trace.file_max)"};
  }
  try {
    if (fd_ < 0) {
      open();
    }
    if (size_ + text.size() > bytes_max_) {
      rotate();
    }
    append(text);
    return {};
  } catch (const std::system_error& x) {
    return {delivery::refused, x.what()};
  }
}

} // namespace belay::tracing
