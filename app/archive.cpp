#include "app/archive.hpp"

#include "storage/file_mode.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

namespace belay::app {

namespace {

using storage::file_mode;
using storage::folder_mode;

constexpr std::size_t chunk_bytes = 1U << 16;

template <class Handle>
[[noreturn]] void fail(const Handle& from, const std::filesystem::path& file) {
  const auto* why = archive_error_string(from.get());
  throw std::runtime_error{file.string() + ": " + (why == nullptr ? "unknown fault" : why)};
}

[[noreturn]] void fail_call(const std::string& what, const std::filesystem::path& file) {
  throw std::runtime_error{what + " " + file.string() + ": " + std::strerror(errno)};
}

using writer = std::unique_ptr<archive, decltype(&archive_write_free)>;
using archive_reader = std::unique_ptr<archive, decltype(&archive_read_free)>;
using archive_item = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

void add_file(const writer& out, const std::filesystem::path& directory,
              const std::filesystem::path& file, const std::filesystem::path& target) {
  const archive_item head{archive_entry_new(), archive_entry_free};
  archive_entry_set_pathname(head.get(),
                             std::filesystem::relative(file, directory).generic_string().c_str());
  archive_entry_set_size(head.get(), static_cast<la_int64_t>(std::filesystem::file_size(file)));
  archive_entry_set_filetype(head.get(), AE_IFREG);
  archive_entry_set_perm(head.get(), file_mode);
  if (archive_write_header(out.get(), head.get()) != ARCHIVE_OK) {
    fail(out, target);
  }
  std::ifstream in{file, std::ios::binary};
  std::array<char, chunk_bytes> chunk{};
  while (in.read(chunk.data(), chunk.size()) || in.gcount() > 0) {
    if (archive_write_data(out.get(), chunk.data(), static_cast<std::size_t>(in.gcount())) < 0) {
      fail(out, target);
    }
  }
  if (!in.eof()) {
    fail_call("read", file);
  }
}

/// Makes a directory that only its owner may look into, whatever the umask and the archive say, and
/// those above it that are missing.
void make_private_folder(const std::filesystem::path& folder) {
  if (folder.has_parent_path() && !std::filesystem::exists(folder.parent_path())) {
    make_private_folder(folder.parent_path());
  }
  if (mkdir(folder.c_str(), folder_mode) == 0) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  } else if (errno != EEXIST) {
    fail_call("make", folder);
  }
}

} // namespace

void make_private_file(const std::filesystem::path& file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode);
  const auto made = fd >= 0 && fchmod(fd, file_mode) == 0;
  if (fd >= 0) {
    close(fd);
  }
  if (!made) {
    fail_call("make", file);
  }
}

void sync_path(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0) {
    fail_call("fsync", path);
  }
  close(fd);
}

void write_archive(const std::filesystem::path& directory, const std::filesystem::path& file) {
  make_private_file(file);
  {
    const writer out{archive_write_new(), archive_write_free};
    archive_write_set_format_pax_restricted(out.get());
    if (archive_write_open_filename(out.get(), file.c_str()) != ARCHIVE_OK) {
      fail(out, file);
    }
    for (const auto& one : std::filesystem::recursive_directory_iterator{directory}) {
      if (one.is_regular_file()) {
        add_file(out, directory, one.path(), file);
      }
    }
    if (archive_write_close(out.get()) != ARCHIVE_OK) {
      fail(out, file);
    }
  }
  sync_path(file);
}

void read_archive(const std::filesystem::path& file, const std::filesystem::path& directory) {
  const archive_reader in{archive_read_new(), archive_read_free};
  archive_read_support_format_tar(in.get());
  if (archive_read_open_filename(in.get(), file.c_str(), chunk_bytes) != ARCHIVE_OK) {
    fail(in, file);
  }
  make_private_folder(directory);
  archive_entry* head = nullptr;
  for (;;) {
    const auto code = archive_read_next_header(in.get(), &head);
    if (code == ARCHIVE_EOF) {
      break;
    }
    if (code != ARCHIVE_OK) {
      fail(in, file);
    }
    const auto* name = archive_entry_pathname(head);
    const auto inside = std::filesystem::path{name == nullptr ? "" : name}.lexically_normal();
    if (inside.empty() || inside.is_absolute() || *inside.begin() == "..") {
      throw std::runtime_error{file.string() + ": holds a name that leads out of the directory"};
    }
    const auto target = directory / inside;
    make_private_folder(target.parent_path());
    make_private_file(target);
    std::ofstream out{target, std::ios::binary};
    std::array<char, chunk_bytes> chunk{};
    la_ssize_t count = 0;
    while ((count = archive_read_data(in.get(), chunk.data(), chunk.size())) > 0) {
      out.write(chunk.data(), count);
    }
    if (count < 0) {
      fail(in, file);
    }
    out.close();
    if (!out) {
      fail_call("write", target);
    }
    sync_path(target);
  }
  sync_path(directory);
}

} // namespace belay::app
