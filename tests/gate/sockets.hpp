// Peers that do not speak as they should: bare TCP and bare TLS.
#pragma once

#include "actors/gate/openssl.hpp"
#include "actors/gate/tls_context.hpp"

#include <arpa/inet.h>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace belay::tests {

inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    count += entry.path().empty() ? 0 : 1;
  }
  return count;
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A connection that blocks, for half a minute at most.
class bare_socket {
public:
  explicit bare_socket(std::uint16_t port)
    : socket_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    const timeval patience{30, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const auto to = loopback(port);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  }

  ~bare_socket() {
    close(socket_);
  }

  bare_socket(const bare_socket&) = delete;
  bare_socket& operator=(const bare_socket&) = delete;

  void send(const std::string& bytes) {
    // The other side may have closed already: what was sent is lost then.
    static_cast<void>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }

  void end() {
    shutdown(socket_, SHUT_WR);
  }

  /// Reads until there are so many bytes, or the end.
  std::string read(std::size_t size) {
    std::string bytes;
    std::array<char, 4'096> piece{};
    while (bytes.size() < size) {
      const auto got = recv(socket_, piece.data(), std::min(piece.size(), size - bytes.size()), 0);
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        FAIL("the other side neither says anything nor closes");
      }
      if (got <= 0) {
        break;
      }
      bytes.append(piece.data(), static_cast<std::size_t>(got));
    }
    return bytes;
  }

  std::string read_to_end() {
    return read(SIZE_MAX);
  }

  [[nodiscard]] int get() const {
    return socket_;
  }

private:
  int socket_;
};

/// A TLS client that believes every server.
class bare_tls {
public:
  explicit bare_tls(std::uint16_t port, const gates::tls_files* files = nullptr,
                    int version_max = TLS1_3_VERSION)
    : socket_{port}, context_{SSL_CTX_new(TLS_client_method())}, session_{} {
    SSL_CTX_set_max_proto_version(context_.get(), version_max);
    if (files != nullptr) {
      REQUIRE(
        SSL_CTX_use_certificate_file(context_.get(), files->certificate.c_str(), SSL_FILETYPE_PEM)
        == 1);
      REQUIRE(SSL_CTX_use_PrivateKey_file(context_.get(), files->key.c_str(), SSL_FILETYPE_PEM)
              == 1);
    }
    session_.reset(SSL_new(context_.get()));
    SSL_set_fd(session_.get(), socket_.get());
    connected_ = SSL_connect(session_.get()) == 1;
  }

  [[nodiscard]] bool connected() const {
    return connected_;
  }

  /// Returns the SHA-256 of the certificate that the server has shown, in hexadecimal.
  [[nodiscard]] std::string shown_fingerprint() const {
    constexpr const char* digits = "0123456789abcdef";
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    const auto* const shown = SSL_get0_peer_certificate(session_.get());
    REQUIRE(shown != nullptr);
    REQUIRE(X509_digest(shown, EVP_sha256(), bytes.data(), &size) == 1);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += digits[bytes[i] >> 4U];
      text += digits[bytes[i] & 0xFU];
    }
    return text;
  }

  void send(const std::string& bytes) {
    SSL_write(session_.get(), bytes.data(), static_cast<int>(bytes.size()));
  }

  /// Reads until there are so many bytes; returns them, or the alert or error that came instead.
  std::string read(std::size_t size) {
    std::string bytes;
    std::array<char, 4'096> piece{};
    while (bytes.size() < size) {
      const auto got = SSL_read(session_.get(), piece.data(),
                                static_cast<int>(std::min(piece.size(), size - bytes.size())));
      if (got <= 0) {
        return gates::openssl::take_error("closed");
      }
      bytes.append(piece.data(), static_cast<std::size_t>(got));
    }
    return bytes;
  }

private:
  bare_socket socket_;
  gates::openssl::context context_;
  gates::openssl::session session_;
  bool connected_ = false;
};

} // namespace belay::tests
