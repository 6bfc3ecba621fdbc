#include "app/version.hpp"

#include "actors/about.hpp"
#include "messages/membership.hpp"
#include "storage/about.hpp"

#include <nlohmann/json.hpp>

namespace belay::app {

std::string version() {
  return program_version;
}

nlohmann::json version_json() {
  return {{"version", version()},
          {"commit", commit()},
          {"commit_date", commit_date()},
          {"protocol", actors::registry_protocol()},
          {"store_format", storage::store_format()},
          {"build_type", BELAY_BUILD_TYPE},
          {"compiler", BELAY_COMPILER},
          {"durability", storage::durability_text()},
          {"caf", actors::caf_version()},
          {"lmdb", storage::lmdb_version()},
          {"openssl", actors::openssl_version()}};
}

std::string version_text() {
  const auto x = version_json();
  const auto text = [&x](const char* key) { return x.at(key).get<std::string>(); };
  return "belay " + text("version") + " (commit " + text("commit") + ", registry protocol "
         + x.at("protocol").dump() + ", store format " + x.at("store_format").dump() + ")\n"
         + "build: " + text("build_type") + ", " + text("compiler") + "\n"
         + "durability: " + text("durability") + "\n" + "libraries: CAF " + text("caf") + ", LMDB "
         + text("lmdb") + ", OpenSSL " + text("openssl");
}

} // namespace belay::app
