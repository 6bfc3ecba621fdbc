#include "examples/common/files.hpp"

#include "actors/workflow/failure.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace examples {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw belay::failure{belay::failure_class::external, "file",
                       what + " '" + path.string() + "': " + std::strerror(errno), true};
}

/// An open file, closed with the scope.
struct open_file {
  explicit open_file(int handle) : number{handle} {}
  ~open_file() {
    if (number >= 0) {
      close(number);
    }
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;

  int number;
};

void write_all(const open_file& file, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const auto count = write(file.number, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) {
      fail("cannot write", path);
    }
    bytes.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
}

void sync_folder(const fs::path& folder) {
  const open_file opened{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (opened.number < 0 || fsync(opened.number) != 0) {
    fail("cannot sync", folder);
  }
}

class sha256_context {
public:
  sha256_context() : context_{EVP_MD_CTX_new(), EVP_MD_CTX_free} {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
      throw std::runtime_error{"OpenSSL offers no SHA-256"};
    }
  }

  void add(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += digits[digest.at(i) >> 4U];
      text += digits[digest.at(i) & 15U];
    }
    return text;
  }

private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

} // namespace

void write_file(const fs::path& path, std::string_view bytes) {
  const auto folder = path.parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  auto unfinished
    = (folder / (std::string{unfinished_prefix} + path.filename().string() + "-XXXXXX")).string();
  const open_file file{mkostemp(unfinished.data(), O_CLOEXEC)};
  if (file.number < 0) {
    fail("cannot write", path);
  }
  try {
    write_all(file, bytes, path);
    if (fchmod(file.number, 0644) != 0 || fsync(file.number) != 0
        || rename(unfinished.c_str(), path.c_str()) != 0) {
      fail("cannot write", path);
    }
  } catch (...) {
    unlink(unfinished.c_str());
    throw;
  }
  sync_folder(folder);
}

std::string read_file(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::string bytes{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad()) {
    fail("cannot read", path);
  }
  return bytes;
}

std::string read_file(const fs::path& path, std::size_t offset, std::size_t count) {
  std::ifstream in{path, std::ios::binary};
  std::string bytes(count, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(bytes.data(), static_cast<std::streamsize>(count));
  if (!in) {
    fail("cannot read", path);
  }
  return bytes;
}

void remove_file(const fs::path& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    fail("cannot remove", path);
  }
}

void remove_unfinished(const fs::path& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator{folder, none}) {
    if (entry.path().filename().string().starts_with(unfinished_prefix)) {
      remove_file(entry.path());
    }
  }
}

std::string sha256(std::string_view bytes) {
  sha256_context context;
  context.add(bytes);
  return context.hex();
}

hashed_file hash_file(const fs::path& path, const std::function<bool()>& stopped) {
  const open_file file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  sha256_context context;
  hashed_file result;
  std::array<char, 65'536> room{};
  for (;;) {
    if (stopped()) {
      throw belay::failure{belay::failure_class::external, "stopped", "asked to stop"};
    }
    const auto count = file.number < 0 ? -1 : read(file.number, room.data(), room.size());
    if (count < 0) {
      throw belay::failure{belay::failure_class::external, "unreadable",
                           "cannot read '" + path.string() + "': " + std::strerror(errno)};
    }
    if (count == 0) {
      result.sha256 = context.hex();
      return result;
    }
    context.add({room.data(), static_cast<std::size_t>(count)});
    result.bytes += static_cast<std::size_t>(count);
  }
}

} // namespace examples
