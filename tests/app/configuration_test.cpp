#include "app/configuration.hpp"

#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <fstream>

using namespace belay;
using namespace belay::app;

namespace {

std::optional<std::string> no_environment(const std::string&) {
  return std::nullopt;
}

struct file_fixture {
  checked<configuration> load(const std::string& text, const std::vector<std::string>& flags = {},
                              const environment_lookup& environment = no_environment) {
    const auto path = directory.path() / "belay.toml";
    std::ofstream{path} << text;
    return load_configuration(path, environment, flags);
  }

  std::string refused(const std::string& text, const std::vector<std::string>& flags = {}) {
    const auto x = load(text, flags);
    REQUIRE_FALSE(x);
    return x.why().text;
  }

  tests::scratch_directory directory;
};

} // namespace

TEST_CASE_METHOD(file_fixture, "configuration: flags beat the environment, which beats the file",
                 "[app][config]") {
  const std::string file = "[worker]\nslots = 1\ncancel_grace = '1s'\nqueues = ['a']\n";
  const environment_lookup environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "BELAY_WORKER_SLOTS") {
      return "2";
    }
    if (name == "BELAY_STORE_SIZE_MAX") {
      return "1GiB";
    }
    return std::nullopt;
  };
  const auto x
    = load(file, {"worker.slots=3", "tools.exec.allow=[\"a\", \"b\"]", "node.name=n"}, environment);
  REQUIRE(x);
  CHECK(x->worker_slots == 3);
  CHECK(x->worker_cancel_grace == 1'000);
  CHECK(x->worker_queues == std::vector<std::string>{"a"});
  CHECK(x->store_size_max == 1LL << 30);
  CHECK(x->exec_allow == std::vector<std::string>{"a", "b"});
  CHECK(x->node_name == "n");
  CHECK(x->origins.at("worker.slots") == "--set");
  CHECK(x->origins.at("store.size_max") == "BELAY_STORE_SIZE_MAX");
  const auto only_environment = load(file, {}, environment);
  CHECK(only_environment->worker_slots == 2);
}

TEST_CASE_METHOD(file_fixture, "configuration: what is shown can be loaded again",
                 "[app][config]") {
  const auto x = load("[lease]\nttl = '9s'\nrenew_interval = '3s'\n", {"worker.queues=[\"q'\"]"});
  REQUIRE(x);
  const auto again = load(render_configuration(*x));
  REQUIRE(again);
  CHECK(again->lease_ttl == 9'000);
  CHECK(again->worker_queues == std::vector<std::string>{"q'"});
  CHECK(again->store_size_max == x->store_size_max);
}

TEST_CASE("configuration: the sample holds every key at its default", "[app][config]") {
  const auto x = load_configuration(BELAY_SOURCE_DIR "/conf/belay.toml", no_environment, {});
  REQUIRE(x);
  CHECK(x->origins.size() == configuration_keys().size());
  auto sample = *x;
  CHECK(sample.exec_allow == std::vector<std::string>{"*"}); // The one difference, said there.
  sample.exec_allow.clear();
  sample.origins.clear();
  CHECK(render_configuration(sample) == render_configuration(configuration{}));
}

TEST_CASE_METHOD(file_fixture, "configuration: every mistake is named with what was expected",
                 "[app][config]") {
  const auto says = [this](const std::string& text, const std::string& what) {
    const auto got = refused(text);
    CAPTURE(text, got);
    CHECK(got.find(what) != std::string::npos);
  };
  says("[worker]\nslot = 1\n", ":2: unknown key 'worker.slot'; did you mean 'worker.slots'?");
  says("[wroker]\nslots = 1\n", "unknown key 'wroker");
  says("slots = 1\n", "unknown key 'slots'");
  says("[worker]\nslots = 0\n",
       "worker.slots: 0 is not acceptable, expected a whole number from 1");
  says("[worker]\nslots = '8'\n", "expected a whole number");
  says("[worker]\nslots = 1.5\n", "expected a whole number");
  says("[lease]\nttl = 30\n", "lease.ttl: 30 is not acceptable, expected a duration with a unit");
  says("[lease]\nttl = '30'\n", "expected a duration");
  says("[lease]\nttl = '20s'\n", "at least three times lease.renew_interval (10s)");
  says("[store]\nsize_max = '1XB'\n", "expected a size");
  says("[store]\nsize_max = 5\n", "from 1MiB");
  says("[node]\naddress = '0.0.0.0'\n", "beyond this machine TLS is needed (node.tls)");
  says("[node]\naddress = 'here'\n", "'here' is not acceptable, expected an IP address");
  says("[cluster]\ninsecure = 1\n", "expected true or false");
  says("[cluster]\nmessage_max = '1MiB'\n", "expected at least store.outcome_max (4MiB)");
  says("[cluster]\nmessage_max = '1MiB'\n[store]\noutcome_max = '1MiB'\nattachment_max = '1MiB'\n",
       "expected at least 1MiB and registration.input_max (1MiB), as a page of them may have");
  says("[node]\nname = ''\n", "expected a text");
  says("[log]\nlevel = 'loud'\n", "expected one of trace, debug, info, warn, error");
  says("[log]\nlevels = ['sweper=debug']\n", "did you mean 'sweeper'?");
  says("[log]\nlevels = ['sweeper']\n", "expected COMPONENT=LEVEL");
  says("[tools.exec]\nallow = '*'\n", "expected a list of strings");
  says("[tools.exec]\nallow = [1]\n", "expected a list of strings");
  says("[worker\n", "belay.toml:1:");
  CHECK(refused("", {"worker.slots"}).find("expected KEY=VALUE") != std::string::npos);
  CHECK(refused("", {"worker.slots=many"}).find("--set: worker.slots") == 0);
}

TEST_CASE("configuration: a lease outlives two missed renewals or is refused",
          "[app][config][s5-156][s5-157][s5-158]") {
  const auto load = [](std::vector<std::string> flags) {
    return load_configuration(std::nullopt, no_environment, flags);
  };
  CHECK(load({})->lease_ttl == 30'000);
  CHECK(load({})->lease_renew_interval == 10'000);
  CHECK(load({"lease.ttl=3s", "lease.renew_interval=1s"}));
  CHECK_FALSE(load({"lease.ttl=2999ms", "lease.renew_interval=1s"}));
  CHECK_FALSE(load({"lease.ttl=0s"}));
  CHECK_FALSE(load({"lease.renew_interval=0s"}));
}
