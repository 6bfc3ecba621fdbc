#include "actors/gate/tls_context.hpp"

#include "actors/gate/certificate_files.hpp"
#include "actors/gate/refusals.hpp"

#include <arpa/inet.h>
#include <array>
#include <openssl/err.h>
#include <stdexcept>

namespace belay::gates {

namespace {

/// Verifies our own certificate as a peer would.
std::optional<std::string> verify(X509_STORE* authorities, X509* certificate, role what) {
  const openssl::store_context check{X509_STORE_CTX_new()};
  if (!check || X509_STORE_CTX_init(check.get(), authorities, certificate, nullptr) != 1) {
    return openssl::take_error("out of memory");
  }
  X509_STORE_CTX_set_purpose(check.get(),
                             is_node(what) ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(check.get()) == 1) {
    return std::nullopt;
  }
  ERR_clear_error();
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()));
}

std::optional<refusal> use(SSL_CTX* to, const tls_files& files, X509* certificate, EVP_PKEY* key) {
  if (SSL_CTX_load_verify_file(to, files.authority.c_str()) != 1) {
    return bad_file(files.authority, "holds no certificates in PEM form ("
                                       + openssl::take_error("no reason given") + ")");
  }
  if (SSL_CTX_use_certificate(to, certificate) != 1) {
    return bad_file(files.certificate, openssl::take_error("cannot be used"));
  }
  if (X509_check_private_key(certificate, key) != 1 || SSL_CTX_use_PrivateKey(to, key) != 1) {
    ERR_clear_error();
    return bad_file(files.key, "is not the key of " + files.certificate.string());
  }
  return std::nullopt;
}

openssl::context make_context() {
  openssl::context x{SSL_CTX_new(TLS_method())};
  // TLS 1.3 only: both ends are belay. No tickets: see the header.
  if (!x || SSL_CTX_set_min_proto_version(x.get(), TLS1_3_VERSION) != 1
      || SSL_CTX_set_num_tickets(x.get(), 0) != 1) {
    throw std::runtime_error{"OpenSSL cannot set TLS up: "
                             + openssl::take_error("no reason given")};
  }
  SSL_CTX_set_session_cache_mode(x.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(x.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // Idle connections give their buffers back: some 34 KiB each (SSL_CTX_set_mode(3)).
  SSL_CTX_set_mode(x.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  return x;
}

} // namespace

tls_files tls_files_in(const std::filesystem::path& directory) {
  return {directory / "ca.pem", directory / "cert.pem", directory / "key.pem"};
}

checked<std::shared_ptr<const tls_context>> tls_context::load(const tls_files& files) {
  const auto authority = load_certificate(files.authority);
  if (!authority) {
    return authority.why();
  }
  const auto certificate = load_certificate(files.certificate);
  if (!certificate) {
    return certificate.why();
  }
  const auto key = load_key(files.key);
  if (!key) {
    return key.why();
  }
  auto who = identity_of(**certificate);
  if (!who) {
    return bad_file(files.certificate, who.why().text);
  }
  auto x = std::make_shared<tls_context>();
  x->context_ = make_context();
  x->own_ = *who;
  if (auto no = use(x->context_.get(), files, certificate->get(), key->get())) {
    return *no;
  }
  if (const auto why
      = verify(SSL_CTX_get_cert_store(x->context_.get()), certificate->get(), who->what)) {
    return bad_file(files.certificate, "is not good for " + files.authority.string() + ": " + *why);
  }
  return std::shared_ptr<const tls_context>{std::move(x)};
}

std::optional<refusal>
check_node_certificate(const tls_context& context, const std::filesystem::path& file) {
  const auto& own = context.own();
  if (is_node(own.what)) {
    return std::nullopt;
  }
  return bad_file(file, "'" + own.name + "' has the role " + std::string{to_string(own.what)}
                          + ", expected worker or admin: only they may be connected to");
}

tls_session::tls_session(std::shared_ptr<const tls_context> context)
  : context_{std::move(context)} {
  attach();
  SSL_set_accept_state(session_.get());
}

tls_session::tls_session(std::shared_ptr<const tls_context> context, const std::string& host)
  : context_{std::move(context)} {
  attach();
  SSL_set_connect_state(session_.get());
  auto* const rules = SSL_get0_param(session_.get());
  // Our certificates have their names among the SANs; a common name is never a host.
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
                                           | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const auto set = openssl::is_ip(host)
                     ? X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str())
                     : X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size());
  if (set != 1
      || (!openssl::is_ip(host) && SSL_set_tlsext_host_name(session_.get(), host.c_str()) != 1)) {
    throw std::runtime_error{"OpenSSL cannot check the host '" + host
                             + "': " + openssl::take_error("no reason given")};
  }
}

void tls_session::attach() {
  session_.reset(SSL_new(&context_->get()));
  in_ = BIO_new(BIO_s_mem());
  out_ = BIO_new(BIO_s_mem());
  if (!session_ || in_ == nullptr || out_ == nullptr) {
    BIO_free(in_);
    BIO_free(out_);
    throw std::runtime_error{"OpenSSL cannot begin a session: "
                             + openssl::take_error("out of memory")};
  }
  // An empty buffer means "later", not the end.
  BIO_set_mem_eof_return(in_, -1);
  SSL_set_bio(session_.get(), in_, out_);
}

std::string tls_session::failure(int result) const {
  const auto code = SSL_get_error(session_.get(), result);
  const auto verdict = SSL_get_verify_result(session_.get());
  if (verdict != X509_V_OK) {
    ERR_clear_error();
    return std::string{"certificate not accepted: "} + X509_verify_cert_error_string(verdict);
  }
  return code == SSL_ERROR_SSL ? openssl::take_error("broken TLS")
                               : openssl::take_error("the peer has gone");
}

std::optional<std::string> tls_session::receive(std::string_view wire, std::string& plain) {
  constexpr std::size_t piece_bytes = 16'384; // One TLS record (RFC 8446, 5.1).
  std::array<char, piece_bytes> piece;
  ERR_clear_error();
  if (!wire.empty()
      && BIO_write(in_, wire.data(), static_cast<int>(wire.size()))
           != static_cast<int>(wire.size())) {
    return openssl::take_error("out of memory");
  }
  if (!is_established()) {
    const auto result = SSL_do_handshake(session_.get());
    if (result != 1) {
      if (SSL_get_error(session_.get(), result) == SSL_ERROR_WANT_READ) {
        return std::nullopt;
      }
      return failure(result);
    }
  }
  for (;;) {
    const auto size = SSL_read(session_.get(), piece.data(), static_cast<int>(piece.size()));
    if (size > 0) {
      plain.append(piece.data(), static_cast<std::size_t>(size));
      continue;
    }
    switch (SSL_get_error(session_.get(), size)) {
      case SSL_ERROR_WANT_READ:
        return std::nullopt;
      case SSL_ERROR_ZERO_RETURN:
        closed_by_peer_ = true;
        return std::nullopt;
      default:
        return failure(size);
    }
  }
}

std::optional<std::string> tls_session::send(std::string_view plain) {
  ERR_clear_error();
  // A buffer in memory takes everything.
  if (!plain.empty()
      && SSL_write(session_.get(), plain.data(), static_cast<int>(plain.size())) <= 0) {
    return "cannot encrypt: " + openssl::take_error("out of memory");
  }
  return std::nullopt;
}

void tls_session::close() {
  ERR_clear_error();
  if (is_established()) {
    SSL_shutdown(session_.get());
    ERR_clear_error();
  }
}

std::string tls_session::take_output() {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(out_, &data);
  std::string bytes = size > 0 ? std::string{data, static_cast<std::size_t>(size)} : std::string{};
  static_cast<void>(BIO_reset(out_));
  return bytes;
}

bool tls_session::is_established() const {
  return SSL_is_init_finished(session_.get()) == 1;
}

checked<identity> tls_session::peer() const {
  const auto* const certificate = SSL_get0_peer_certificate(session_.get());
  if (certificate == nullptr) {
    return refusal{ec::bad_request, "the peer has shown no certificate"};
  }
  return identity_of(*certificate);
}

} // namespace belay::gates
