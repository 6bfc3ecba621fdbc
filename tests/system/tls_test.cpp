// belay tls as a person uses it.
#include "tests/support/program.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace belay;
using tests::run_belay;

namespace {

struct authority_fixture {
  authority_fixture() {
    REQUIRE(run_belay({"tls", "init", ca}).code == 0);
  }

  void says(const std::vector<std::string>& arguments, const std::string& what) const {
    const auto got = run_belay(arguments);
    CAPTURE(got.err, what);
    CHECK(got.code == 2);
    CHECK(got.out.empty());
    CHECK(got.err.find(what) != std::string::npos);
  }

  tests::scratch_directory scratch;
  std::string ca = (scratch.path() / "ca").string();
};

} // namespace

TEST_CASE_METHOD(authority_fixture, "tls: an authority, a certificate, and what is in it",
                 "[system][cli][tls]") {
  const auto made = run_belay(
    {"tls", "issue", ca, "db", "--role", "admin", "--host", "db.example", "--host", "10.0.0.7"});
  CHECK(made.code == 0);
  CHECK(made.out == ca + "/db: ca.pem, cert.pem and key.pem for --tls\n");
  const auto shown = run_belay({"tls", "show", ca + "/db/cert.pem"});
  CHECK(shown.code == 0);
  CHECK(shown.out.find("name         db\nrole         admin\n"
                       "hosts        db, localhost, 127.0.0.1, ::1, db.example, 10.0.0.7\nissuer   "
                       "    belay authority\n")
        == 0);
  const auto described
    = nlohmann::json::parse(run_belay({"tls", "show", "-o", "json", ca + "/ca.pem"}).out);
  CHECK(described.at("role") == "authority");
  CHECK(described.at("hosts").empty());
  const auto out = (scratch.path() / "anna").string();
  CHECK(run_belay({"tls", "issue", ca, "anna", "--role", "read", "--days", "7", "--out", out, "-q"})
          .out.empty());
  CHECK(std::filesystem::exists(out + "/ca.pem"));
  CHECK(std::filesystem::exists(out + "/key.pem"));
}

TEST_CASE_METHOD(authority_fixture, "tls: mistakes end with 2 and leave nothing behind",
                 "[system][cli][tls]") {
  says({"tls", "init", ca}, "ca-key.pem: is there already, and nothing is overwritten");
  says({"tls", "init", ca + "2", "--days", "0"}, "--days: '0' is not acceptable");
  says({"tls", "issue", ca, "a/b", "--role", "read"}, "NAME: 'a/b' is not acceptable");
  says({"tls", "issue", ca, "a", "--role", "root"}, "--role: 'root' is not acceptable, expected");
  says({"tls", "issue", ca, "a"}, "--role is required");
  says({"tls", "issue", ca, "a", "--role", "read", "--host", "h"}, "only worker and admin");
  says({"tls", "issue", ca, "a", "--role", "worker", "--host", "a b"}, "--host: 'a b'");
  says({"tls", "issue", ca, "a", "--role", "read", "--days", "9999"},
       "which the authority has left");
  says({"tls", "issue", ca + "2", "a", "--role", "read"}, "ca2/ca.pem: cannot be read");
  says({"tls", "show", ca}, "cannot be read");
  says({"tls", "show", ca + "/ca-key.pem"}, "holds no certificate");
  says({"tls"}, "A subcommand is required");
  CHECK_FALSE(std::filesystem::exists(ca + "/a"));
  REQUIRE(run_belay({"tls", "issue", ca, "a", "--role", "read"}).code == 0);
  says({"tls", "issue", ca, "a", "--role", "read"}, "a/ca.pem: is there already");
  std::ofstream{ca + "/ca-key.pem"} << "x";
  says({"tls", "issue", ca, "b", "--role", "read"}, "ca-key.pem: holds no private key");
}
