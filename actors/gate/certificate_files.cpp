#include "actors/gate/certificate_files.hpp"

#include "actors/gate/refusals.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <openssl/pem.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace belay::gates {

namespace {

/// Chosen: a chain of a few certificates is some 10 KiB.
constexpr std::size_t file_bytes_max = 1U << 20;

checked<std::string> read_pem(const std::filesystem::path& file) {
  struct stat found {};
  if (stat(file.c_str(), &found) != 0) {
    return bad_file(file,
                    "cannot be read, expected a PEM file: " + std::string{std::strerror(errno)});
  }
  if (!S_ISREG(found.st_mode)) {
    return bad_file(file, "cannot be read, expected a PEM file: it is no regular file");
  }
  std::ifstream in{file, std::ios::binary};
  if (!in) {
    return bad_file(file,
                    "cannot be read, expected a PEM file: " + std::string{std::strerror(errno)});
  }
  std::string text(file_bytes_max, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

/// A key with a passphrase is refused instead of asking for it on a terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

std::optional<refusal> write_one(const std::filesystem::path& path, const new_file& file) {
  constexpr mode_t secret_mode = 0600;
  constexpr mode_t open_mode = 0644;
  const int out = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                       file.is_secret ? secret_mode : open_mode);
  if (out < 0) {
    return bad_file(path, errno == EEXIST ? "is there already, and nothing is overwritten"
                                          : "cannot be made: " + std::string{std::strerror(errno)});
  }
  const auto written = write(out, file.text.data(), file.text.size());
  const auto good = written == static_cast<ssize_t>(file.text.size()) && fsync(out) == 0;
  const auto why = std::string{std::strerror(errno)};
  close(out);
  if (!good) {
    unlink(path.c_str());
    return bad_file(path, "cannot be written: " + why);
  }
  return std::nullopt;
}

} // namespace

std::optional<refusal>
write_new(const std::filesystem::path& directory, const std::vector<new_file>& files) {
  constexpr mode_t directory_mode = 0700;
  constexpr mode_t others = 0077;
  if (mkdir(directory.c_str(), directory_mode) != 0 && errno != EEXIST) {
    return bad_file(directory, "cannot be made: " + std::string{std::strerror(errno)});
  }
  struct stat found {};
  if (stat(directory.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    return bad_file(directory, "is there already and no directory");
  }
  if ((found.st_mode & others) != 0) {
    return bad_file(directory, "others may enter it, expected mode 0700");
  }
  for (const auto& file : files) {
    struct stat old {};
    if (lstat((directory / file.name).c_str(), &old) == 0) {
      return bad_file(directory / file.name, "is there already, and nothing is overwritten");
    }
  }
  for (auto it = files.begin(); it != files.end(); ++it) {
    if (auto no = write_one(directory / it->name, *it)) {
      for (auto made = files.begin(); made != it; ++made) {
        unlink((directory / made->name).c_str());
      }
      return no;
    }
  }
  return std::nullopt;
}

checked<openssl::certificate> load_certificate(const std::filesystem::path& file) {
  const auto text = read_pem(file);
  if (!text) {
    return text.why();
  }
  const openssl::buffer from{BIO_new_mem_buf(text->data(), static_cast<int>(text->size()))};
  openssl::certificate x{PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr)};
  if (!x) {
    return bad_file(file, "holds no certificate in PEM form ("
                            + openssl::take_error("no reason given") + ")");
  }
  return x;
}

checked<openssl::key> load_key(const std::filesystem::path& file) {
  const auto text = read_pem(file);
  if (!text) {
    return text.why();
  }
  struct stat found {};
  if (stat(file.c_str(), &found) != 0 || (found.st_mode & S_IROTH) != 0) {
    return bad_file(file, "any user of this machine may read it, expected mode 0600");
  }
  const openssl::buffer from{BIO_new_mem_buf(text->data(), static_cast<int>(text->size()))};
  openssl::key x{PEM_read_bio_PrivateKey(from.get(), nullptr, no_passphrase, nullptr)};
  if (!x) {
    return bad_file(file, "holds no private key in PEM form without a passphrase ("
                            + openssl::take_error("no reason given") + ")");
  }
  return x;
}

std::string contents_of(BIO& buffer) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(&buffer, &data);
  return size > 0 ? std::string{data, static_cast<std::size_t>(size)} : std::string{};
}

std::string ip_text(const std::string& bytes) {
  constexpr std::size_t v4_bytes = 4;
  constexpr std::size_t v6_bytes = 16;
  if (bytes.size() != v4_bytes && bytes.size() != v6_bytes) {
    return "?";
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const auto family = bytes.size() == v4_bytes ? AF_INET : AF_INET6;
  inet_ntop(family, bytes.data(), text.data(), static_cast<socklen_t>(text.size()));
  return text.data();
}

std::string hex(const std::string& bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4U];
    text += digits[byte & 0xFU];
  }
  return text;
}

} // namespace belay::gates
