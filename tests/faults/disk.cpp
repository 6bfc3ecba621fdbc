#include "tests/faults/disk.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace belay::tests::disk {

namespace {

struct state {
  bool recording = false;
  std::string directory;
  std::vector<record> log;
  fault failing = fault::none;
  int countdown = 0;
  int failures = 0;
  std::string suffix;
  std::uint64_t calls = 0;
};

state& now() {
  static state x;
  return x;
}

std::string path_of(int fd) {
  std::array<char, 4'096> text{};
  const auto link = "/proc/self/fd/" + std::to_string(fd);
  const auto length = readlink(link.c_str(), text.data(), text.size());
  return length < 0 ? std::string{} : std::string{text.data(), static_cast<std::size_t>(length)};
}

bool below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0;
}

bool ends_with(const std::string& path, const std::string& suffix) {
  return path.size() >= suffix.size()
         && path.compare(path.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool is_write(fault x) {
  return x == fault::write_error || x == fault::write_short || x == fault::write_full;
}

/// Whether this call fails.
bool strikes(bool write, const std::string& path) {
  auto& x = now();
  const auto matches
    = x.failing != fault::none && is_write(x.failing) == write && ends_with(path, x.suffix);
  if (!matches || --x.countdown > 0) {
    return false;
  }
  ++x.failures;
  return true;
}

bool watched() {
  return now().recording || now().failing != fault::none;
}

} // namespace

void start_recording(const std::string& directory) {
  now().directory = directory;
  now().log.clear();
  now().recording = true;
}

std::vector<record> stop_recording() {
  now().recording = false;
  return std::move(now().log);
}

std::size_t recorded() {
  return now().log.size();
}

void fail_from(fault kind, int nth, const std::string& suffix) {
  now().failing = kind;
  now().countdown = nth;
  now().failures = 0;
  now().suffix = suffix;
}

void heal() {
  now().failing = fault::none;
}

int failed() {
  return now().failures;
}

std::uint64_t seen() {
  return now().calls;
}

/// What a write goes through; `raw` does it.
template <class Raw>
ssize_t written(int fd, std::uint64_t offset, const std::string& bytes, Raw raw) {
  ++now().calls;
  if (!watched()) {
    return raw();
  }
  const auto path = path_of(fd);
  if (strikes(true, path)) {
    if (now().failing == fault::write_short && bytes.size() > 1) {
      return static_cast<ssize_t>(
        syscall(SYS_pwrite64, fd, bytes.data(), bytes.size() / 2, offset));
    }
    errno = now().failing == fault::write_error ? EIO : ENOSPC;
    return -1;
  }
  const auto result = raw();
  if (result > 0 && now().recording && below(path, now().directory)) {
    const auto flags = fcntl(fd, F_GETFL);
    now().log.push_back({what::write, path, "", offset,
                         bytes.substr(0, static_cast<std::size_t>(result)),
                         flags >= 0 && (flags & O_DSYNC) != 0});
  }
  return result;
}

int synced(int fd, long number) {
  ++now().calls;
  if (!watched()) {
    return static_cast<int>(syscall(number, fd));
  }
  const auto path = path_of(fd);
  if (strikes(false, path)) {
    errno = EIO;
    return -1;
  }
  const auto result = static_cast<int>(syscall(number, fd));
  if (result == 0 && now().recording && below(path + "/", now().directory)) {
    now().log.push_back({what::sync, path, "", 0, "", false});
  }
  return result;
}

} // namespace belay::tests::disk

// -- the stand-ins --------------------------------------------------------------------------------

namespace here = belay::tests::disk;

extern "C" {

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return here::written(
    fd, static_cast<std::uint64_t>(offset), std::string{static_cast<const char*>(data), size},
    [&] { return static_cast<ssize_t>(syscall(SYS_pwrite64, fd, data, size, offset)); });
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return pwrite(fd, data, size, offset);
}

ssize_t write(int fd, const void* data, size_t size) {
  const auto offset = here::watched() ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : 0;
  return here::written(fd, offset < 0 ? 0 : static_cast<std::uint64_t>(offset),
                       here::watched() ? std::string{static_cast<const char*>(data), size}
                                       : std::string{},
                       [&] { return static_cast<ssize_t>(syscall(SYS_write, fd, data, size)); });
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  std::string bytes;
  if (here::watched()) {
    for (int i = 0; i < count; ++i) {
      bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
  }
  const auto offset = here::watched() ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : 0;
  return here::written(fd, offset < 0 ? 0 : static_cast<std::uint64_t>(offset), bytes,
                       [&] { return static_cast<ssize_t>(syscall(SYS_writev, fd, parts, count)); });
}

int fdatasync(int fd) {
  return here::synced(fd, SYS_fdatasync);
}

int fsync(int fd) {
  return here::synced(fd, SYS_fsync);
}

int rename(const char* from, const char* to) noexcept {
  const auto result = static_cast<int>(syscall(SYS_rename, from, to));
  if (result == 0 && here::now().recording && here::below(from, here::now().directory)) {
    here::now().log.push_back({here::what::rename, from, to, 0, "", false});
  }
  return result;
}

int remove(const char* path) noexcept {
  auto result = static_cast<int>(syscall(SYS_unlink, path));
  if (result != 0 && (errno == EISDIR || errno == EPERM)) {
    result = static_cast<int>(syscall(SYS_rmdir, path));
  }
  if (result == 0 && here::now().recording && here::below(path, here::now().directory)) {
    here::now().log.push_back({here::what::unlink, path, "", 0, "", false});
  }
  return result;
}

} // extern "C"
