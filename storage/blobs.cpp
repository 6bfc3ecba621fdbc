#include "storage/blobs.hpp"

#include "storage/file_mode.hpp"
#include "storage/store.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace belay::storage {

namespace {

/// Of a SHA-256.
constexpr std::size_t hash_digits = 64;

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path) {
  const auto full = errno == ENOSPC || errno == EDQUOT;
  throw error{full ? error_kind::full : error_kind::fault,
              what + " " + path.string() + ": " + std::strerror(errno)};
}

/// A file descriptor that is closed at the end of its scope.
class descriptor {
public:
  descriptor(const std::filesystem::path& path, int flags)
    : fd_{::open(path.c_str(), flags | O_CLOEXEC, file_mode)}, path_{path} {
    if (fd_ < 0) {
      fail("open", path_);
    }
  }

  ~descriptor() {
    close(fd_);
  }

  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  void write_all(std::string_view text) const {
    while (!text.empty()) {
      const auto count = write(fd_, text.data(), text.size());
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0) {
        fail("write", path_);
      }
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  void sync() const {
    if (fsync(fd_) != 0) {
      fail("fsync", path_);
    }
  }

private:
  int fd_;
  const std::filesystem::path& path_;
};

void sync_folder(const std::filesystem::path& path) {
  const descriptor folder{path, O_RDONLY | O_DIRECTORY};
  folder.sync();
}

void make_folder(const std::filesystem::path& path) {
  if (mkdir(path.c_str(), folder_mode) == 0) {
    sync_folder(path.parent_path());
  } else if (errno != EEXIST) {
    fail("mkdir", path);
  }
}

} // namespace

stored_text blob_store::put(std::string_view text) const {
  if (text.size() <= inline_bytes_max_) {
    return {false, std::string{text}};
  }
  auto name = hash_hex(text);
  const auto folder = root_ / name.substr(0, 2);
  const auto path = folder / name;
  struct stat present {};
  if (stat(path.c_str(), &present) == 0
      && static_cast<std::size_t>(present.st_size) == text.size()) {
    sync_folder(folder); // A crash may have come between the naming and this.
    return {true, std::move(name)};
  }
  make_folder(root_);
  make_folder(folder);
  const auto fresh = folder / (name + ".new");
  {
    const descriptor file{fresh, O_WRONLY | O_CREAT | O_TRUNC};
    file.write_all(text);
    file.sync();
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    fail("rename", fresh);
  }
  sync_folder(folder);
  return {true, std::move(name)};
}

std::string blob_store::get(const stored_text& x) const {
  if (!x.in_file) {
    return x.content;
  }
  const auto path = root_ / x.content.substr(0, 2) / x.content;
  std::ifstream in{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in.good() && !in.eof()) {
    throw error{error_kind::fault, "cannot read " + path.string()};
  }
  if (hash_hex(text) != x.content) {
    throw error{error_kind::fault,
                path.string() + " is damaged: its content does not match its name"};
  }
  return text;
}

void blob_store::remove(const std::string& name) const {
  std::error_code ignored;
  std::filesystem::remove(root_ / name.substr(0, 2) / name, ignored);
}

std::size_t blob_store::folder_of(const std::string& name) {
  return std::stoul(name.substr(0, 2), nullptr, 16);
}

std::vector<std::string> blob_store::names_in(std::size_t folder) const {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::string prefix{digits.at(folder / digits.size()), digits.at(folder % digits.size())};
  std::vector<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator one{root_ / prefix, failed};
       !failed && one != std::filesystem::directory_iterator{}; one.increment(failed)) {
    auto name = one->path().filename().string();
    if (name.size() == hash_digits && name.find_first_not_of(digits) == std::string::npos
        && name.compare(0, prefix.size(), prefix) == 0) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

} // namespace belay::storage
