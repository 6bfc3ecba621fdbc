// Certificates of a private authority: who somebody is, and what for.
//
// A certificate of ours (X.509 v3, EC P-256) carries
//   subject CN       the name
//   URI SAN          belay:role:ROLE, exactly one
//   DNS and IP SANs  the name, and the hosts under which it may be connected to (nodes only)
//   key usage        TLS client; of roles that run nodes also TLS server
// The role is a URI because a SAN is what TLS libraries and other authorities let one set freely:
// a subject field would be taken for a name, and an extension of our own would need a number. It is
// in the certificate so that nobody has to keep a list of names on every node.
#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct x509_st;

namespace belay::gates {

/// What the bearer of a certificate may do; each includes those before it, except that only
/// `worker` and `admin` are nodes.
enum class role : std::uint8_t {
  /// May look.
  read,
  /// May also start, cancel and signal.
  operate,
  /// Runs processes: a worker node.
  worker,
  /// Everything.
  admin,
};

[[nodiscard]] std::string_view to_string(role x);
[[nodiscard]] std::optional<role> role_from(std::string_view name);

/// Returns whether a role may do what another one may.
[[nodiscard]] constexpr bool includes(role has, role needed) {
  return has >= needed;
}

/// Returns whether a bearer may be connected to.
[[nodiscard]] bool is_node(role x);

/// Who a certificate says its bearer is.
struct identity {
  std::string name;
  role what = role::read;

  friend bool operator==(const identity&, const identity&) = default;
};

struct certificate_view {
  std::string name;
  /// None in the authority's own certificate.
  std::optional<role> what;
  std::vector<std::string> hosts;
  std::string issuer;
  bool is_authority = false;
  timestamp_ms valid_from = 0;
  timestamp_ms valid_until = 0;
  /// SHA-256 of the certificate, in hexadecimal.
  std::string fingerprint;
};

struct authority_request {
  std::string name = "belay authority";
  std::int64_t days = 3'650;
  timestamp_ms now = 0;
};

struct certificate_request {
  std::string name;
  role what = role::read;
  /// DNS names and IP addresses beside the name; of nodes only.
  std::vector<std::string> hosts;
  std::int64_t days = 365;
  timestamp_ms now = 0;
};

inline constexpr std::int64_t days_max = 36'500;

/// Makes an authority in a directory: ca.pem and ca-key.pem. Refuses (`bad_request`) a directory
/// that has one, or that others may enter; nothing is ever overwritten.
[[nodiscard]] std::optional<refusal>
make_authority(const std::filesystem::path& directory, const authority_request& request);

/// Makes a key and a certificate signed by the authority: ca.pem, cert.pem and key.pem in `to`.
/// Refuses (`bad_request`) like `make_authority`, and a certificate that would outlive its
/// authority.
[[nodiscard]] std::optional<refusal>
issue_certificate(const std::filesystem::path& authority, const std::filesystem::path& to,
                  const certificate_request& request);

/// Says what is in a certificate file. Refuses (`bad_request`) what is none.
[[nodiscard]] checked<certificate_view> read_certificate(const std::filesystem::path& file);

/// Returns who the bearer of a verified certificate is. Refuses one without a name or with another
/// number of roles than one.
[[nodiscard]] checked<identity> identity_of(const x509_st& certificate);

} // namespace belay::gates
