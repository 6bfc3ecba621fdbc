// The private authority: what it makes, and what it refuses to make.
#include "actors/gate/certificates.hpp"

#include "actors/gate/tls_context.hpp"
#include "tests/gate/authority.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <sys/stat.h>

using namespace belay;
using gates::certificate_request;
using gates::role;

namespace {

constexpr timestamp_ms day_ms = 24LL * 3'600 * 1'000;

unsigned mode_of(const std::filesystem::path& path) {
  struct stat found {};
  REQUIRE(stat(path.c_str(), &found) == 0);
  return found.st_mode & 0777U;
}

} // namespace

TEST_CASE("certificates: what is made says who it is for", "[gate][certificates]") {
  const tests::authority us;
  const auto files = us.issue({"node-1", role::worker, {"db.example", "10.0.0.7", "::1"}, 30});
  const auto x = gates::read_certificate(files.certificate);
  REQUIRE(x);
  CHECK(x->name == "node-1");
  CHECK(x->what == role::worker);
  CHECK(x->hosts
        == std::vector<std::string>{"node-1", "localhost", "127.0.0.1", "::1", "db.example",
                                    "10.0.0.7"});
  CHECK(x->issuer == "belay authority");
  CHECK_FALSE(x->is_authority);
  CHECK(x->valid_until - x->valid_from == 30 * day_ms + 5 * 60'000);
  CHECK(x->fingerprint.size() == 64);
  const auto authority = gates::read_certificate(files.authority);
  REQUIRE(authority);
  CHECK(authority->is_authority);
  CHECK_FALSE(authority->what);
  const auto person = us.issue({"anna", role::read, {}, 1});
  CHECK(gates::read_certificate(person.certificate)->hosts.empty());
  const auto context = gates::tls_context::load(person);
  REQUIRE(context);
  CHECK((*context)->own() == gates::identity{"anna", role::read});
}

TEST_CASE("certificates: keys are their owner's, and nothing is overwritten",
          "[gate][certificates]") {
  const tests::authority us;
  const auto files = us.issue({"n", role::admin, {}, 1});
  CHECK(mode_of(files.key) == 0600);
  CHECK(mode_of(us.directory() / "ca-key.pem") == 0600);
  CHECK(mode_of(us.directory()) == 0700);
  CHECK(mode_of(files.key.parent_path()) == 0700);
  const auto again = gates::make_authority(us.directory(), {.now = tests::wall_now()});
  REQUIRE(again);
  CHECK(again->code == ec::bad_request);
  CHECK(again->text.find("ca-key.pem: is there already") != std::string::npos);
  const auto twice = us.try_issue(files.key.parent_path(), {"n", role::admin, {}, 1});
  REQUIRE(twice);
  CHECK(twice->text.find("is there already") != std::string::npos);
  chmod(us.directory().c_str(), 0755);
  const auto open = gates::make_authority(us.directory(), {.now = tests::wall_now()});
  CHECK(open->text.find("expected mode 0700") != std::string::npos);
}

TEST_CASE("certificates: every mistake is named with what was expected", "[gate][certificates]") {
  const tests::authority us;
  const auto says = [&us](const certificate_request& x, const std::string& what) {
    const auto no = us.try_issue(us.directory() / "new", x);
    REQUIRE(no);
    CAPTURE(no->text);
    CHECK(no->code == ec::bad_request);
    CHECK(no->text.find(what) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(us.directory() / "new"));
  };
  says({"", role::read, {}, 1}, "NAME: ''");
  says({"a,URI:belay:role:admin", role::worker, {}, 1}, "NAME: 'a,URI");
  says({"-a", role::read, {}, 1}, "NAME");
  says({std::string(64, 'a'), role::read, {}, 1}, "1 to 63 letters");
  says({"a", role::read, {"h"}, 1},
       "--host: 'h' is not acceptable, expected none for the role read");
  says({"a", role::worker, {"h,IP:1.2.3.4"}, 1}, "a DNS name or an IP address");
  says({"a", role::worker, {"*.example"}, 1}, "a DNS name or an IP address");
  says({"a", role::read, {}, 0}, "--days: '0'");
  says({"a", role::read, {}, 3'651}, "which the authority has left");
  CHECK(gates::make_authority(us.directory() / "b", {.name = "x\n"})->text.find("--name") == 0);
  CHECK_FALSE(gates::role_from("root"));
}

TEST_CASE("certificates: files that cannot serve are refused at the start",
          "[gate][certificates]") {
  const tests::authority us;
  const tests::authority them;
  const auto ours = us.issue({"n", role::admin, {}, 1});
  const auto theirs = them.issue({"n", role::admin, {}, 1});
  const auto says = [](const gates::tls_files& files, const std::string& what) {
    const auto x = gates::tls_context::load(files);
    REQUIRE_FALSE(x);
    CAPTURE(x.why().text);
    CHECK(x.why().text.find(what) != std::string::npos);
  };
  says({theirs.authority, ours.certificate, ours.key}, "cert.pem: is not good for");
  says({ours.authority, ours.certificate, theirs.key}, "is not the key of");
  says({ours.authority, us.directory() / "none", ours.key}, "cannot be read");
  says({ours.authority, ours.key, ours.key}, "holds no certificate");
  says({ours.authority, us.directory() / "ca.pem", us.directory() / "ca-key.pem"}, "");
  const auto late = us.issue({"n", role::admin, {}, 1, tests::wall_now() - 10 * day_ms});
  says(late, "certificate has expired");
  chmod(ours.key.c_str(), 0644);
  says(ours, "any user of this machine may read it");
}
