#include "actors/gate/certificates.hpp"

#include "actors/gate/certificate_files.hpp"
#include "actors/gate/openssl.hpp"
#include "actors/gate/refusals.hpp"

#include <algorithm>
#include <array>
#include <openssl/rand.h>
#include <stdexcept>

namespace belay::gates {

namespace {

constexpr std::int64_t second_ms = 1'000;
constexpr std::int64_t day_ms = 24LL * 3'600 * second_ms;
/// Chosen: clocks of machines that know no time server differ by minutes.
constexpr std::int64_t clock_skew_ms = 5 * 60 * second_ms;

constexpr std::string_view role_prefix = "belay:role:";
constexpr std::array<std::string_view, 4> role_names{"read", "operate", "worker", "admin"};

/// RFC 5280, ub-common-name.
constexpr std::size_t authority_name_max = 64;
/// RFC 1035: a label of a DNS name, which a certificate's name also is.
constexpr std::size_t name_max = 63;
/// Chosen: one machine's names and addresses.
constexpr std::size_t hosts_max = 64;

/// Throws when OpenSSL fails at what needs no input of anybody: only memory can be short.
void must(bool worked, const char* what) {
  if (!worked) {
    throw std::runtime_error{std::string{"OpenSSL cannot "} + what + ": "
                             + openssl::take_error("no reason given")};
  }
}

bool is_word(std::string_view text, std::size_t max) {
  const auto is_letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= max && is_letter_or_digit(text.front())
         && is_letter_or_digit(text.back()) && std::all_of(text.begin(), text.end(), [&](char c) {
              return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_';
            });
}

std::optional<refusal> check_days(std::int64_t days) {
  if (days < 1 || days > days_max) {
    return bad_option("--days", std::to_string(days),
                      "a whole number from 1 to " + std::to_string(days_max));
  }
  return std::nullopt;
}

std::optional<refusal> check_request(const certificate_request& x) {
  if (!is_word(x.name, name_max)) {
    return bad_option(
      "NAME", x.name,
      "1 to 63 letters, digits, '.', '-' and '_', with a letter or digit at both ends");
  }
  if (!x.hosts.empty() && !is_node(x.what)) {
    return bad_option("--host", x.hosts.front(),
                      "none for the role " + std::string{to_string(x.what)}
                        + ": only worker and admin are connected to");
  }
  if (x.hosts.size() > hosts_max) {
    return bad_option("--host", std::to_string(x.hosts.size()) + " hosts", "64 at most");
  }
  for (const auto& host : x.hosts) {
    const auto last = host.substr(host.rfind('.') + 1); // Of a name never a number alone.
    const auto is_number = last.find_first_not_of("0123456789") == std::string::npos;
    if (!openssl::is_ip(host) && (!is_word(host, host_name_max) || is_number)) {
      return bad_option("--host", host, "a DNS name or an IP address");
    }
  }
  return check_days(x.days);
}

openssl::key make_key() {
  openssl::key key{EVP_EC_gen("P-256")};
  must(key != nullptr, "make a key");
  return key;
}

/// Returns a certificate that lacks its extensions and signature.
openssl::certificate
make_blank(const std::string& name, EVP_PKEY& key, timestamp_ms from, timestamp_ms until) {
  constexpr int serial_bits = 128; // RFC 5280: 20 bytes at most; random, so nothing is counted.
  openssl::certificate made{X509_new()};
  const openssl::number serial{BN_new()};
  must(made && serial
         && BN_rand(serial.get(), serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
         && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get())) != nullptr
         && X509_set_version(made.get(), X509_VERSION_3) == 1
         && ASN1_TIME_set(X509_getm_notBefore(made.get()), from / second_ms) != nullptr
         && ASN1_TIME_set(X509_getm_notAfter(made.get()), until / second_ms) != nullptr
         && X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(name.data()),
                                       static_cast<int>(name.size()), -1, 0)
              == 1
         && X509_set_pubkey(made.get(), &key) == 1,
       "fill in a certificate");
  return made;
}

void extend(X509& made, X509& issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, &issuer, &made, nullptr, nullptr, 0);
  const openssl::extension x{X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str())};
  must(x && X509_add_ext(&made, x.get(), -1) == 1, "extend a certificate");
}

std::string subject_names(const certificate_request& x) {
  // Words and addresses were checked: none of them has a comma.
  auto text = "URI:" + std::string{role_prefix} + std::string{to_string(x.what)};
  if (is_node(x.what)) {
    text += ",DNS:" + x.name;
    // Programs of the node's own machine reach it there.
    text += ",DNS:localhost,IP:127.0.0.1,IP:::1";
    for (const auto& host : x.hosts) {
      if (host == "localhost" || host == "127.0.0.1" || host == "::1") {
        continue;
      }
      text += (openssl::is_ip(host) ? ",IP:" : ",DNS:") + host;
    }
  }
  return text;
}

void sign(X509& made, EVP_PKEY& key) {
  must(X509_sign(&made, &key, EVP_sha256()) > 0, "sign a certificate");
}

std::string pem_of(X509& x) {
  const openssl::buffer to{BIO_new(BIO_s_mem())};
  must(to && PEM_write_bio_X509(to.get(), &x) == 1, "write a certificate");
  return contents_of(*to);
}

std::string pem_of(EVP_PKEY& x) {
  const openssl::buffer to{BIO_new(BIO_s_secmem())};
  must(to && PEM_write_bio_PrivateKey(to.get(), &x, nullptr, nullptr, 0, nullptr, nullptr) == 1,
       "write a key");
  return contents_of(*to);
}

timestamp_ms time_of(const ASN1_TIME* x) {
  std::tm parts{};
  return ASN1_TIME_to_tm(x, &parts) == 1 ? static_cast<timestamp_ms>(timegm(&parts)) * second_ms
                                         : 0;
}

std::string common_name(const X509_NAME* from) {
  const auto at = X509_NAME_get_index_by_NID(from, NID_commonName, -1);
  if (at < 0) {
    return {};
  }
  unsigned char* text = nullptr;
  const auto size
    = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(from, at)));
  std::string result
    = size > 0 ? std::string{reinterpret_cast<char*>(text), static_cast<std::size_t>(size)}
               : std::string{};
  OPENSSL_free(text);
  return result;
}

std::string text_of(const ASN1_STRING* x) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(x)),
          static_cast<std::size_t>(ASN1_STRING_length(x))};
}

/// What the SANs say: roles as they are written, and hosts.
struct subject_words {
  std::vector<std::string> roles;
  std::vector<std::string> hosts;
};

subject_words words_of(const X509& x) {
  subject_words words;
  const openssl::names all{
    static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&x, NID_subject_alt_name, nullptr, nullptr))};
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const auto* const one = sk_GENERAL_NAME_value(all.get(), i);
    if (one->type == GEN_URI) {
      const auto text = text_of(one->d.uniformResourceIdentifier);
      if (text.starts_with(role_prefix)) {
        words.roles.push_back(text.substr(role_prefix.size()));
      }
    } else if (one->type == GEN_DNS) {
      words.hosts.push_back(text_of(one->d.dNSName));
    } else if (one->type == GEN_IPADD) {
      words.hosts.push_back(ip_text(text_of(one->d.iPAddress)));
    }
  }
  return words;
}

} // namespace

std::string_view to_string(role x) {
  return role_names[static_cast<std::size_t>(x)];
}

std::optional<role> role_from(std::string_view name) {
  const auto* const found = std::find(role_names.begin(), role_names.end(), name);
  if (found == role_names.end()) {
    return std::nullopt;
  }
  return static_cast<role>(found - role_names.begin());
}

bool is_node(role x) {
  return x == role::worker || x == role::admin;
}

std::optional<refusal>
make_authority(const std::filesystem::path& directory, const authority_request& request) {
  if (request.name.empty() || request.name.size() > authority_name_max
      || !std::all_of(request.name.begin(), request.name.end(),
                      [](char c) { return c >= ' ' && c <= '~'; })) {
    return bad_option("--name", request.name, "1 to 64 printable ASCII characters");
  }
  if (auto no = check_days(request.days)) {
    return no;
  }
  const auto key = make_key();
  const auto made = make_blank(request.name, *key, request.now - clock_skew_ms,
                               request.now + request.days * day_ms);
  must(X509_set_issuer_name(made.get(), X509_get_subject_name(made.get())) == 1, "name an issuer");
  extend(*made, *made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  extend(*made, *made, NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(*made, *made, NID_subject_key_identifier, "hash");
  sign(*made, *key);
  return write_new(directory,
                   {{"ca-key.pem", pem_of(*key), true}, {"ca.pem", pem_of(*made), false}});
}

std::optional<refusal>
issue_certificate(const std::filesystem::path& authority, const std::filesystem::path& to,
                  const certificate_request& request) {
  if (auto no = check_request(request)) {
    return no;
  }
  const auto issuer = load_certificate(authority / "ca.pem");
  if (!issuer) {
    return issuer.why();
  }
  const auto issuer_key = load_key(authority / "ca-key.pem");
  if (!issuer_key) {
    return issuer_key.why();
  }
  if (X509_check_private_key(issuer->get(), issuer_key->get()) != 1) {
    static_cast<void>(openssl::take_error("")); // Empties the queue.
    return refusal{ec::bad_request,
                   (authority / "ca-key.pem").string() + ": is not the key of ca.pem beside it"};
  }
  const auto until = request.now + request.days * day_ms;
  const auto end = time_of(X509_get0_notAfter(issuer->get()));
  if (until > end) {
    return bad_option("--days", std::to_string(request.days),
                      "at most "
                        + std::to_string(std::max<std::int64_t>(0, (end - request.now) / day_ms))
                        + ", which the authority has left");
  }
  const auto key = make_key();
  const auto made = make_blank(request.name, *key, request.now - clock_skew_ms, until);
  must(X509_set_issuer_name(made.get(), X509_get_subject_name(issuer->get())) == 1,
       "name an issuer");
  extend(*made, **issuer, NID_basic_constraints, "critical,CA:FALSE");
  extend(*made, **issuer, NID_key_usage, "critical,digitalSignature");
  extend(*made, **issuer, NID_ext_key_usage,
         is_node(request.what) ? "serverAuth,clientAuth" : "clientAuth");
  extend(*made, **issuer, NID_authority_key_identifier, "keyid:always");
  extend(*made, **issuer, NID_subject_alt_name, subject_names(request));
  sign(*made, **issuer_key);
  return write_new(to, {{"ca.pem", pem_of(**issuer), false},
                        {"cert.pem", pem_of(*made), false},
                        {"key.pem", pem_of(*key), true}});
}

checked<certificate_view> read_certificate(const std::filesystem::path& file) {
  const auto loaded = load_certificate(file);
  if (!loaded) {
    return loaded.why();
  }
  const auto& x = **loaded;
  const auto words = words_of(x);
  certificate_view view;
  view.name = common_name(X509_get_subject_name(&x));
  view.issuer = common_name(X509_get_issuer_name(&x));
  if (words.roles.size() == 1) {
    view.what = role_from(words.roles.front());
  }
  view.hosts = words.hosts;
  view.is_authority = X509_check_ca(loaded->get()) > 0;
  view.valid_from = time_of(X509_get0_notBefore(&x));
  view.valid_until = time_of(X509_get0_notAfter(&x));
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned int size = 0;
  must(X509_digest(&x, EVP_sha256(), hash.data(), &size) == 1, "hash a certificate");
  view.fingerprint = hex({reinterpret_cast<const char*>(hash.data()), size});
  return view;
}

checked<identity> identity_of(const x509_st& certificate) {
  const auto name = common_name(X509_get_subject_name(&certificate));
  if (!is_word(name, name_max)) {
    return refusal{ec::bad_request, "the certificate has no name that belay takes"};
  }
  const auto roles = words_of(certificate).roles;
  const auto what = roles.size() == 1 ? role_from(roles.front()) : std::nullopt;
  if (!what) {
    return refusal{ec::bad_request, "the certificate of '" + name + "' has "
                                      + (roles.size() > 1 ? "several roles" : "no role")
                                      + ", expected one URI belay:role:read, operate, worker or "
                                        "admin"};
  }
  return identity{name, *what};
}

} // namespace belay::gates
