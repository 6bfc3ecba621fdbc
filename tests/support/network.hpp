// A network of this test alone: hosts in network namespaces, joined by a router that can drop what
// it should pass on.
#pragma once

#include "tests/support/scratch_directory.hpp"

#include <string>
#include <vector>

namespace belay::tests {

/// Needs root and `ip` (iproute2). Ends with all its namespaces; the programs that run in them must
/// have ended before.
class network {
public:
  /// Whether this machine lets us make one.
  [[nodiscard]] static bool possible();

  explicit network(int hosts);
  ~network();
  network(const network&) = delete;
  network& operator=(const network&) = delete;

  /// Returns a host's address, 10.77.HOST.2.
  [[nodiscard]] std::string address(int host) const;

  /// Returns a program that is `program` on that host: the same process, in the host's namespace.
  [[nodiscard]] std::string on(int host, const std::string& program) const;

  /// Drops every packet to and from a host, without a word to anybody; and lets them pass again.
  void cut(int host) const;
  void heal(int host) const;

private:
  [[nodiscard]] std::string name(int host) const;
  [[nodiscard]] std::string router() const;

  scratch_directory scratch_;
  std::string prefix_;
  int hosts_;
};

} // namespace belay::tests
