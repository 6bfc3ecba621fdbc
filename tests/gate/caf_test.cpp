// CAF systems that talk through gates, plain and with TLS.
#include "actors/gate/outgoing_gate.hpp"
#include "tests/gate/frames.hpp"
#include "tests/gate/nodes.hpp"
#include "tests/gate/sockets.hpp"

using namespace belay;
using gates::role;
using tests::asking_node;

namespace {

struct plain_caf_fixture : tests::served_node {
  plain_caf_fixture() {
    open();
  }
};

struct tls_caf_fixture : tests::served_node {
  tls_caf_fixture() {
    options.tls = us.issue({"node", role::admin, {"127.0.0.1", "localhost"}, 1});
    open();
  }

  gates::outgoing_options way_out(const asking_node& from, role what = role::worker) const {
    gates::outgoing_options x;
    x.host = "127.0.0.1";
    x.port = door->port();
    x.node = to_string(from.system.node());
    x.tls = us.issue({"someone", what, {}, 1});
    return x;
  }

  static std::unique_ptr<gates::outgoing_gate> open_out(const gates::outgoing_options& x) {
    auto made = gates::outgoing_gate::open(x);
    if (!made) {
      FAIL(made.why().text);
    }
    return std::move(*made);
  }

  tests::authority us;
};

std::uint64_t introduce(asking_node& x) {
  std::uint64_t answer = 0;
  x.self->request(x.actor, std::chrono::seconds{20}, std::uint64_t{0})
    .receive([&answer](std::uint64_t got) { answer = got; }, [](const caf::error&) {});
  return answer;
}

} // namespace

TEST_CASE_METHOD(plain_caf_fixture, "gate: CAF talks through a plain one", "[gate][caf]") {
  asking_node asking;
  REQUIRE(asking.connect(door->port()).empty());
  CHECK(asking.ask("hello") == "hello");
  CHECK(asking.ask(std::string(3U << 20, 'x')).size() == 3U << 20);
  CHECK(introduce(asking) == 1);
  CHECK(senders.take() == to_string(asking.system.node()));
  const auto peer = door->peer_of(asking.system.node());
  REQUIRE(peer);
  CHECK(peer->who.what == role::admin);
  CHECK_FALSE(door->peer_of(system.node()));
  CHECK_FALSE(door->peer_of(caf::node_id{}));
}

TEST_CASE_METHOD(plain_caf_fixture, "gate: each side hears when the other dies", "[gate][caf]") {
  auto asking = std::make_unique<asking_node>();
  REQUIRE(asking->connect(door->port()).empty());
  REQUIRE(introduce(*asking) == 1);
  SECTION("the peer") {
    asking.reset();
    CHECK(downs.take() == "down");
    CHECK(closed.take().empty());
  }
  SECTION("the gate") {
    door.reset();
    CHECK(downs.take() == "down");
    asking->wait_down();
  }
}

TEST_CASE_METHOD(tls_caf_fixture, "gate: CAF talks through two with TLS", "[gate][caf][tls]") {
  asking_node asking;
  const auto out = open_out(way_out(asking));
  REQUIRE(asking.connect(out->local_port()).empty());
  CHECK(asking.ask("hello") == "hello");
  CHECK(asking.ask(std::string(3U << 20, 'x')).size() == 3U << 20);
  CHECK(out->last_error().empty());
  CHECK(introduce(asking) == 1);
  const auto peer = door->peer_of(asking.system.node());
  REQUIRE(peer);
  CHECK(peer->who == gates::identity{"someone", role::worker});
  CHECK(peer->is_certified);
  CHECK(door->peers().size() == 1);
}

TEST_CASE_METHOD(tls_caf_fixture, "gate: with TLS each side hears when the other dies",
                 "[gate][caf][tls]") {
  auto asking = std::make_unique<asking_node>();
  auto out = open_out(way_out(*asking));
  REQUIRE(asking->connect(out->local_port()).empty());
  REQUIRE(introduce(*asking) == 1);
  SECTION("the peer") {
    asking.reset();
    CHECK(downs.take() == "down");
    CHECK(closed.take().empty());
  }
  SECTION("the peer's gate") {
    out.reset();
    CHECK(downs.take() == "down");
    asking->wait_down();
  }
  SECTION("the node's gate") {
    door.reset();
    CHECK(downs.take() == "down");
    asking->wait_down();
  }
}

TEST_CASE_METHOD(tls_caf_fixture,
                 "gate: a message that is too large cuts its connection, not others",
                 "[gate][caf][tls]") {
  asking_node asking;
  asking_node other;
  const auto out = open_out(way_out(asking));
  const auto other_out = open_out(way_out(other));
  REQUIRE(asking.connect(out->local_port()).empty());
  REQUIRE(other.connect(other_out->local_port()).empty());
  asking.self->send(asking.actor, std::string(5U << 20, 'x'));
  CHECK(closed.take().find("expected 1 to 4194304") != std::string::npos);
  asking.wait_down();
  CHECK(other.ask("hello") == "hello");
}

TEST_CASE_METHOD(tls_caf_fixture, "outgoing gate: a server's answers are bounded too",
                 "[gate][caf][tls]") {
  asking_node asking;
  auto x = way_out(asking);
  x.message_max = 65'536;
  const auto out = open_out(x);
  REQUIRE(asking.connect(out->local_port()).empty());
  asking.self->send(asking.actor, std::string(100'000, 'x'));
  asking.wait_down();
  CHECK(out->last_error().find("expected 1 to 65536") != std::string::npos);
}

TEST_CASE_METHOD(tls_caf_fixture, "outgoing gate: says why there is no connection",
                 "[gate][caf][tls]") {
  asking_node asking;
  const auto fails = [&asking](const gates::outgoing_options& x) {
    const auto out = open_out(x);
    CHECK_FALSE(asking.connect(out->local_port()).empty());
    return out->last_error();
  };
  auto x = way_out(asking);
  SECTION("nobody listens") {
    const tests::bare_socket taken{target}; // Its own port is one on which nobody listens.
    sockaddr_in own{};
    socklen_t size = sizeof own;
    getsockname(taken.get(), reinterpret_cast<sockaddr*>(&own), &size);
    x.port = ntohs(own.sin_port);
    CHECK(fails(x) == "connection refused");
  }
  SECTION("another authority") {
    const tests::authority them;
    x.tls = them.issue({"someone", role::worker, {}, 1});
    const auto why = fails(x);
    CAPTURE(why);
    CHECK(why.find("certificate not accepted: ") == 0);
  }
  SECTION("another host") {
    // Good for the node's own machine too, but by the names 127.0.0.1 and localhost only.
    options.tls = us.issue({"node", role::admin, {"db.example"}, 1});
    options.address = "127.0.0.2";
    open();
    x.port = door->port();
    x.host = "127.0.0.2";
    CHECK(fails(x) == "certificate not accepted: IP address mismatch");
    options.address = "127.0.0.1";
    open();
    x.port = door->port();
    x.host = "127.1"; // To the system's resolver a name for that address.
    CHECK(fails(x) == "certificate not accepted: hostname mismatch");
  }
  SECTION("a person's certificate is not a node's") {
    gates::gate_options other = options;
    other.tls = us.issue({"someone", role::operate, {}, 1});
    const auto made = gates::gate::open(other);
    REQUIRE_FALSE(made);
    CHECK(made.why().text.find("'someone' has the role operate, expected worker or admin")
          != std::string::npos);
  }
  SECTION("our certificate has no use there") {
    const tests::authority them;
    // Both authorities are ours, but only one is the node's.
    x.tls = us.issue({"someone", role::worker, {}, 1});
    const auto theirs = them.issue({"someone", role::worker, {}, 1});
    gates::gate_options other = options;
    other.tls = options.tls;
    other.tls->authority = theirs.authority;
    CHECK_FALSE(gates::gate::open(other));
  }
  SECTION("a server that says nothing") {
    const int deaf = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto address = tests::loopback(0);
    socklen_t size = sizeof address;
    REQUIRE(bind(deaf, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(listen(deaf, 1) == 0);
    getsockname(deaf, reinterpret_cast<sockaddr*>(&address), &size);
    x.port = ntohs(address.sin_port);
    x.connect_timeout_ms = 300;
    CHECK(fails(x) == "no answer within 300 ms");
    close(deaf);
  }
  SECTION("a server that swallows connections") {
    // Linux drops the SYNs of a full backlog, as a firewall does.
    const int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto address = tests::loopback(0);
    socklen_t size = sizeof address;
    REQUIRE(bind(full, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(listen(full, 0) == 0);
    getsockname(full, reinterpret_cast<sockaddr*>(&address), &size);
    x.port = ntohs(address.sin_port);
    const tests::bare_socket filling{x.port};
    x.connect_timeout_ms = 400;
    CHECK(fails(x) == "no answer within 200 ms");
    close(full);
  }
  SECTION("a host that there is not") {
    x.host = "nowhere.invalid";
    CHECK(fails(x).find("cannot find the host: ") == 0);
  }
}

TEST_CASE_METHOD(tls_caf_fixture,
                 "outgoing gate: finds hosts by name, and the certificate's name too",
                 "[gate][caf][tls]") {
  asking_node asking;
  auto x = way_out(asking);
  x.host = "localhost";
  const auto out = open_out(x);
  CHECK(asking.connect(out->local_port()).empty());
  CHECK(out->last_error().empty());
}

TEST_CASE_METHOD(tls_caf_fixture, "gates: their descriptors go with them", "[gate][caf][tls]") {
  asking_node asking;
  const auto round = [&] {
    {
      const auto out = open_out(way_out(asking));
      CHECK(asking.connect(out->local_port()).empty());
      CHECK(asking.ask("x") == "x");
    }
    asking.wait_down(); // Else CAF takes the next connection for a second one to the same node.
    asking.actor = nullptr;
  };
  round();
  closed.take();
  const auto before = tests::open_descriptors();
  for (int i = 0; i < 5; ++i) {
    round();
    closed.take();
  }
  CHECK(door->connections() == 0);
  // One connection of the last round may still be with a CAF that has not looked yet.
  CHECK(tests::open_descriptors() <= before + 1);
}
