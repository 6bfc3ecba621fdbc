#include "storage/ballast.hpp"

#include "storage/file_mode.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace belay::storage {

namespace {} // namespace

ballast::ballast(std::filesystem::path file, std::uint64_t bytes, std::uint64_t spare_bytes)
  : file_{std::move(file)}, bytes_{bytes}, spare_bytes_{spare_bytes} {
  if (bytes_ == 0) {
    give_up();
    given_up_ = false;
    return;
  }
  std::error_code none;
  if (std::filesystem::file_size(file_, none) != bytes_) {
    static_cast<void>(make());
  }
}

bool ballast::give_up() {
  const std::lock_guard lock{mutex_};
  std::error_code none;
  const auto was = std::filesystem::remove(file_, none);
  given_up_ = given_up_ || was;
  return was;
}

bool ballast::missed() {
  const std::lock_guard lock{mutex_};
  if (given_up_) {
    given_up_ = !make();
  }
  return given_up_;
}

bool ballast::make() const {
  struct statvfs fs {};
  if (statvfs(file_.parent_path().c_str(), &fs) != 0
      || static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize < bytes_ + spare_bytes_) {
    return false;
  }
  const int fd = open(file_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, file_mode);
  if (fd < 0) {
    return false;
  }
  // Not posix_fallocate: where the file system cannot set room aside that would write zeros.
  const auto made = fallocate(fd, 0, 0, static_cast<off_t>(bytes_)) == 0;
  close(fd);
  if (!made) {
    unlink(file_.c_str());
  }
  return made;
}

} // namespace belay::storage
