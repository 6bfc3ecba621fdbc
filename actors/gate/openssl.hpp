// OpenSSL's objects as owners, and its errors as text.
#pragma once

#include <memory>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string>

namespace belay::gates::openssl {

template <auto Free>
struct freer {
  template <class T>
  void operator()(T* x) const {
    Free(x);
  }
};

using key = std::unique_ptr<EVP_PKEY, freer<EVP_PKEY_free>>;
using certificate = std::unique_ptr<X509, freer<X509_free>>;
using extension = std::unique_ptr<X509_EXTENSION, freer<X509_EXTENSION_free>>;
using number = std::unique_ptr<BIGNUM, freer<BN_free>>;
using buffer = std::unique_ptr<BIO, freer<BIO_free_all>>;
using names = std::unique_ptr<GENERAL_NAMES, freer<GENERAL_NAMES_free>>;
using ip_address = std::unique_ptr<ASN1_OCTET_STRING, freer<ASN1_OCTET_STRING_free>>;
using store_context = std::unique_ptr<X509_STORE_CTX, freer<X509_STORE_CTX_free>>;
using context = std::unique_ptr<SSL_CTX, freer<SSL_CTX_free>>;
using session = std::unique_ptr<SSL, freer<SSL_free>>;

/// Takes this thread's queue of errors and returns the first one's reason; the given text if the
/// queue is empty.
[[nodiscard]] std::string take_error(const std::string& otherwise);

/// Whether the text is an IP address as certificates have them.
[[nodiscard]] bool is_ip(const std::string& text);

} // namespace belay::gates::openssl
