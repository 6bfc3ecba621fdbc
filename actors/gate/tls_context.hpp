// TLS 1.3 with certificates on both sides, over buffers instead of sockets.
//
// Neither side resumes a session: a certificate is looked at anew for each connection. There is no
// list of revoked certificates: issue them for a short time.
#pragma once

#include "actors/gate/certificates.hpp"
#include "actors/gate/openssl.hpp"

#include <memory>

namespace belay::gates {

/// The PEM files of one side.
struct tls_files {
  std::filesystem::path authority;
  std::filesystem::path certificate;
  std::filesystem::path key;
};

/// Returns ca.pem, cert.pem and key.pem in a directory.
[[nodiscard]] tls_files tls_files_in(const std::filesystem::path& directory);

/// What all connections of one side share. Immutable once made; from any thread.
class tls_context {
public:
  /// Refuses (`bad_request`) files that cannot be read, do not belong together, are of another
  /// authority, not valid now, or without a role: what a peer would refuse is said at the start.
  [[nodiscard]] static checked<std::shared_ptr<const tls_context>> load(const tls_files& files);

  [[nodiscard]] SSL_CTX& get() const {
    return *context_;
  }

  /// Who we are.
  [[nodiscard]] const identity& own() const {
    return own_;
  }

private:
  openssl::context context_;
  identity own_;
};

/// Refuses (`bad_request`) a certificate that nobody would connect to: its role is not a node's.
[[nodiscard]] std::optional<refusal>
check_node_certificate(const tls_context& context, const std::filesystem::path& file);

/// One connection's TLS. The caller moves the bytes.
class tls_session {
public:
  /// The listening side.
  explicit tls_session(std::shared_ptr<const tls_context> context);
  /// The connecting side; the certificate must be for this host (DNS name or IP address).
  tls_session(std::shared_ptr<const tls_context> context, const std::string& host);

  /// Takes bytes of the wire and appends what they say. Returns why the connection cannot go on.
  /// Afterwards `take_output` may have something to send, also in that case: the alert.
  [[nodiscard]] std::optional<std::string> receive(std::string_view wire, std::string& plain);

  /// Encrypts. Returns why that cannot be done. Requires `is_established`.
  [[nodiscard]] std::optional<std::string> send(std::string_view plain);

  /// Says good-bye: the peer can tell the end from a cut.
  void close();

  /// Returns the bytes to be sent.
  [[nodiscard]] std::string take_output();

  /// Whether both sides have proved who they are. (The connecting side learns only from the first
  /// bytes it gets whether the listening one has accepted its certificate.)
  [[nodiscard]] bool is_established() const;

  /// Whether the peer has said good-bye.
  [[nodiscard]] bool is_closed_by_peer() const {
    return closed_by_peer_;
  }

  /// Returns who the peer is. Requires `is_established`.
  [[nodiscard]] checked<identity> peer() const;

private:
  void attach();
  [[nodiscard]] std::string failure(int result) const;

  std::shared_ptr<const tls_context> context_;
  openssl::session session_;
  /// Owned by the session.
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  bool closed_by_peer_ = false;
};

} // namespace belay::gates
