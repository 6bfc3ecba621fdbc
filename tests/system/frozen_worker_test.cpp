// A worker that is stopped by a signal past its lease and goes on afterwards: two owners of one
// row, and only the second may write.
#include "actors/node/client.hpp"
#include "actors/node/system_config.hpp"
#include "messages/protocol.hpp"
#include "messages/wire_error.hpp"
#include "tests/support/program.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/scratch_directory.hpp"

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

using namespace belay;

namespace {

constexpr auto limit = std::chrono::seconds{30};

std::uint16_t port_of(const std::filesystem::path& data) {
  std::ifstream in{data / "node.json"};
  return nlohmann::json::parse(in).at("port").get<std::uint16_t>();
}

/// A worker of another program, by hand.
class far_worker {
public:
  explicit far_worker(std::uint16_t port) {
    auto node = system_.middleman().remote_actor<node_actor>("127.0.0.1", port);
    if (!node) {
      throw std::runtime_error{"no node"};
    }
    to_ = value<welcome>(*node, atom::hello_v, protocol_version, std::string{"far"});
  }

  lease claim(const std::string& name, const std::string& kind) {
    const auto rows
      = value<claimed_list>(to_.registry, atom::claim_v, owner{name, 1},
                            std::vector<std::string>{kind}, std::vector<std::string>{}, 1U);
    return rows.items.at(0).held;
  }

  template <class Answer, class... Ts>
  checked<Answer> ask(Ts&&... content) {
    return request<Answer>(to_.registry, std::forward<Ts>(content)...);
  }

private:
  template <class Answer, class Handle, class... Ts>
  checked<Answer> request(const Handle& whom, Ts&&... content) {
    std::optional<checked<Answer>> got;
    self_->request(whom, limit, std::forward<Ts>(content)...)
      .receive([&got](Answer& x) { got.emplace(std::move(x)); },
               [&got](const caf::error& x) { got.emplace(to_refusal(x)); });
    return std::move(*got);
  }

  template <class Answer, class Handle, class... Ts>
  Answer value(const Handle& whom, Ts&&... content) {
    auto got = request<Answer>(whom, std::forward<Ts>(content)...);
    if (!got) {
      throw std::runtime_error{got.why().text};
    }
    return std::move(*got);
  }

  actors::system_config config_{true, 1};
  caf::actor_system system_{config_};
  caf::scoped_actor self_{system_};
  welcome to_;
};

/// The first owner: claims, stands still, and tries everything once it goes on. Returns how many of
/// the four writes were refused as those of a stale holder, or more when something else went wrong.
int frozen_life(std::uint16_t port) {
  far_worker me{port};
  const auto held = me.claim("frozen", "nobody");
  raise(SIGSTOP);
  int refused = 0;
  const auto count = [&refused](const auto& got) {
    refused += !got && got.why().code == ec::lease_superseded ? 1 : 100;
  };
  count(me.ask<lease>(atom::renew_v, held));
  count(me.ask<event>(atom::append_v, append_request{"a", "late", "{}", "", true, held}));
  count(me.ask<park_receipt>(atom::park_v, held, wait_condition{wait_kind::signal, "go", 1, 0}));
  count(me.ask<completion>(atom::complete_v, held, make_success("\"late\"")));
  return refused;
}

} // namespace

TEST_CASE("worker: stopped past its lease by SIGSTOP, it writes nothing once it goes on",
          "[system][lease][s5-A2]") {
  const tests::scratch_directory scratch;
  const auto data = scratch.path() / "data";
  tests::node_process node{data, {"lease.ttl=300ms", "lease.renew_interval=100ms"}};
  REQUIRE(node.ask({"start", "--id", "a", "nobody"}).code == 0);
  const auto port = port_of(data);
  const auto child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto code = 255;
    try {
      code = frozen_life(port);
    } catch (...) {
      code = 254;
    }
    _exit(code);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, WUNTRACED) == child);
  REQUIRE(WIFSTOPPED(status));
  {
    const auto client = actors::client::connect("127.0.0.1", port);
    REQUIRE(client);
    REQUIRE((*client)->wait_event("a", event_types::interrupted, 0, 30'000));
    far_worker successor{port};
    const auto held = successor.claim("successor", "nobody");
    REQUIRE(kill(child, SIGCONT) == 0);
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 4);
    // The lease is short: what counts is that nobody else has ended it.
    const auto ended
      = successor.ask<completion>(atom::complete_v, held, make_success("\"in time\""));
    const auto again = ended ? held : successor.claim("successor", "nobody");
    CHECK(
      (ended || successor.ask<completion>(atom::complete_v, again, make_success("\"in time\""))));
  }
  const auto view = nlohmann::json::parse(node.ask({"get", "a", "-o", "json"}).out);
  CHECK(view.at("outcome").at("value") == "in time");
  const auto history = node.ask({"events", "a"}).out;
  CHECK(history.find("late") == std::string::npos);
  CHECK(history.find("process.waiting") == std::string::npos);
  CHECK(history.find(event_types::completed) == history.rfind(event_types::completed));
}
