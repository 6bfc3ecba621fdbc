// Peers at a gate that do not behave: silent, slow, too many, with another's name or none.
#include "actors/gate/local_user.hpp"
#include "tests/gate/frames.hpp"
#include "tests/gate/nodes.hpp"
#include "tests/gate/sockets.hpp"

#include <poll.h>

using namespace belay;
using gates::role;
using tests::bare_socket;
using tests::bare_tls;

namespace {

constexpr duration_ms short_ms = 200;

/// What CAF answers to a handshake begins with these many bytes: its own, with the node's id.
constexpr std::size_t server_handshake_bytes = 64;

struct plain_fixture : tests::served_node {
  plain_fixture() {
    options.handshake_timeout_ms = short_ms;
  }

  /// A connection whose handshakes are done.
  std::unique_ptr<bare_socket> come_in(const gates::node_key& node) const {
    auto x = std::make_unique<bare_socket>(door->port());
    x->send(tests::client_handshake(node));
    CHECK(x->read(server_handshake_bytes).size() == server_handshake_bytes);
    return x;
  }
};

struct tls_fixture : plain_fixture {
  tls_fixture() {
    options.tls = us.issue({"node", role::admin, {"127.0.0.1"}, 1});
    options.handshake_timeout_ms = 10'000;
    open();
  }

  tests::authority us;
};

} // namespace

TEST_CASE_METHOD(plain_fixture, "gate: silent and slow peers end at the handshake time-out",
                 "[gate][connections]") {
  open();
  bare_socket silent{door->port()};
  CHECK(silent.read_to_end().empty());
  CHECK(closed.take() == "no handshake within 200 ms");
  bare_socket slow{door->port()};
  slow.send(tests::client_handshake(tests::captured_client()).substr(0, 40));
  CHECK(slow.read_to_end().empty());
  CHECK(closed.take() == "no handshake within 200 ms");
  CHECK(door->peers().empty());
}

TEST_CASE_METHOD(plain_fixture, "gate: TLS peers that stop half way end at the time-out",
                 "[gate][connections][tls]") {
  const tests::authority us;
  options.tls = us.issue({"node", role::admin, {}, 1});
  open();
  bare_socket silent{door->port()};
  CHECK(silent.read_to_end().empty());
  CHECK(closed.take() == "no handshake within 200 ms");
  const auto files = us.issue({"worker", role::worker, {}, 1});
  bare_tls mute{door->port(), &files};
  CHECK(mute.connected());
  CHECK(closed.take() == "no handshake within 200 ms");
  bare_socket plain{door->port()};
  plain.send(tests::client_handshake(tests::captured_client()));
  plain.read_to_end();
  CHECK_FALSE(closed.take().empty());
}

TEST_CASE_METHOD(plain_fixture, "gate: a bad frame closes its connection and nothing else",
                 "[gate][connections]") {
  open();
  const auto good = come_in(tests::captured_client());
  auto other = tests::captured_client();
  other.os_pid = 3;
  const auto bad = come_in(other);
  CHECK(door->peers().size() == 2);
  bad->send(tests::frame{}.header(0xFFFFFFFF));
  bad->read_to_end();
  CHECK(closed.take() == "a message with 4294967295 bytes, expected 1 to 4194304");
  CHECK_FALSE(door->peer_of(other));
  const auto peer = door->peer_of(tests::captured_client());
  REQUIRE(peer);
  CHECK(peer->who == gates::identity{"", role::admin});
  CHECK_FALSE(peer->is_certified);
  CHECK(peer->address.starts_with("127.0.0.1:"));
}

TEST_CASE_METHOD(plain_fixture, "gate: two live connections have two node ids",
                 "[gate][connections]") {
  open();
  auto first = come_in(tests::captured_client());
  bare_socket second{door->port()};
  second.send(tests::client_handshake(tests::captured_client()));
  CHECK(second.read_to_end().empty());
  CHECK(closed.take().find("is in use by the connection from 127.0.0.1:") != std::string::npos);
  bare_socket ourselves{door->port()};
  ourselves.send(tests::client_handshake(*gates::key_of(system.node())));
  CHECK(ourselves.read_to_end().empty());
  CHECK(closed.take().find("our own node id") != std::string::npos);
  first.reset();
  CHECK(closed.take().empty());
  CHECK_FALSE(door->peer_of(tests::captured_client()));
  CHECK(come_in(tests::captured_client()) != nullptr);
}

TEST_CASE_METHOD(plain_fixture, "gate: no more connections than there may be",
                 "[gate][connections]") {
  options.connections_max = 2;
  open();
  const auto first = come_in(tests::captured_client());
  auto node = tests::captured_client();
  node.os_pid = 3;
  auto second = come_in(node);
  bare_socket third{door->port()};
  third.read_to_end();
  CHECK(closed.take() == "there are too many connections");
  CHECK(door->connections() == 2);
  second.reset();
  CHECK(closed.take().empty());
  node.os_pid = 4;
  CHECK(come_in(node) != nullptr);
}

TEST_CASE_METHOD(plain_fixture, "gate: closing it closes everything, and no descriptor is left",
                 "[gate][connections]") {
  open(); // libuv keeps a pipe from its first loop on.
  door.reset();
  const auto before = tests::open_descriptors();
  {
    open();
    const auto one = come_in(tests::captured_client());
    bare_socket two{door->port()};
    door.reset();
    one->read_to_end();
    two.read_to_end();
    CHECK(closed.take() == "the gate is closed");
    CHECK(closed.take() == "the gate is closed");
  }
  // CAF closes its ends on its own thread; a connection to it goes the same way behind them.
  bare_socket last{target};
  last.send(tests::client_handshake(*gates::key_of(system.node())));
  last.end();
  last.read_to_end();
  CHECK(tests::open_descriptors() <= before + 1);
}

TEST_CASE_METHOD(plain_fixture, "gate: a slow side slows the other down, and nothing is lost",
                 "[gate][connections]") {
  const int slow = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = tests::loopback(0);
  socklen_t size = sizeof address;
  constexpr int small = 65'536;
  setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  REQUIRE(bind(slow, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(listen(slow, 1) == 0);
  getsockname(slow, reinterpret_cast<sockaddr*>(&address), &size);
  options.target_port = ntohs(address.sin_port);
  options.handshake_timeout_ms = 60'000;
  open();
  bare_socket peer{door->port()};
  setsockopt(peer.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  peer.send(tests::client_handshake(tests::captured_client()));
  const int taken = accept4(slow, nullptr, nullptr, SOCK_CLOEXEC);
  CHECK(::send(taken, "x", 1, MSG_NOSIGNAL) == 1); // Its answer: both handshakes are done.
  CHECK(peer.read(1) == "x");
  const auto piece
    = tests::frame{.payload = tests::message("@<>+@str", std::string(1U << 20, 'x'))}.text();
  std::size_t sent = tests::client_handshake(tests::captured_client()).size();
  std::size_t at = 0;
  constexpr std::size_t plenty = 64U << 20;
  pollfd room{peer.get(), POLLOUT, 0};
  // Until the gate takes no more for half a second.
  while (sent < plenty && poll(&room, 1, 500) == 1) {
    const auto got
      = ::send(peer.get(), piece.data() + at, piece.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got > 0) {
      sent += static_cast<std::size_t>(got);
      at = (at + static_cast<std::size_t>(got)) % piece.size();
    }
  }
  CHECK(sent < plenty / 2);
  peer.end();
  std::size_t arrived = 0;
  std::vector<char> bytes(1U << 20);
  for (auto got = recv(taken, bytes.data(), bytes.size(), 0); got > 0;
       got = recv(taken, bytes.data(), bytes.size(), 0)) {
    arrived += static_cast<std::size_t>(got);
  }
  CHECK(arrived == sent);
  ::close(taken);
  ::close(slow);
}

TEST_CASE("local user: the owner of a loopback connection is found", "[gate][connections]") {
  const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = tests::loopback(0);
  socklen_t size = sizeof address;
  REQUIRE(bind(listening, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(listen(listening, 1) == 0);
  getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
  const auto to = ntohs(address.sin_port);
  const bare_socket one{to};
  getsockname(one.get(), reinterpret_cast<sockaddr*>(&address), &size);
  CHECK(gates::owner_of_connection(ntohs(address.sin_port), to) == geteuid());
  CHECK_FALSE(gates::owner_of_connection(to, to));
  close(listening);
}

TEST_CASE_METHOD(plain_fixture, "gate: what cannot be opened is refused in words",
                 "[gate][connections]") {
  const auto says = [this](const std::string& what) {
    const auto x = gates::gate::open(options);
    REQUIRE_FALSE(x);
    CAPTURE(x.why().text);
    CHECK(x.why().code == ec::bad_request);
    CHECK(x.why().text.find(what) != std::string::npos);
  };
  options.address = "0.0.0.0";
  says("expected a loopback address");
  options.address = "localhost";
  says("expected an IPv4 or IPv6 address");
  options.address = "127.0.0.1";
  options.port = target;
  says("cannot listen on 127.0.0.1:" + std::to_string(target) + ": address already in use");
  options.port = 0;
  options.node = "invalid-node";
  says("node: 'invalid-node'");
}

TEST_CASE_METHOD(tls_fixture, "gate: only bearers of our certificates come in",
                 "[gate][connections][tls]") {
  const auto hello = tests::client_handshake(tests::captured_client());
  const auto refused = [&](const gates::tls_files* files) {
    bare_tls x{door->port(), files};
    x.send(hello);
    const auto heard = x.read(server_handshake_bytes);
    const auto why = closed.take();
    return heard + " / " + why;
  };
  CHECK(refused(nullptr).find("peer did not return a certificate") != std::string::npos);
  const tests::authority them;
  const auto theirs = them.issue({"worker", role::worker, {}, 1});
  CHECK(refused(&theirs).find("certificate not accepted: ") != std::string::npos);
  const auto late
    = us.issue({"worker", role::worker, {}, 1, tests::wall_now() - 10LL * 24 * 3'600 * 1'000});
  CHECK(refused(&late).find("certificate not accepted: certificate has expired")
        != std::string::npos);
  const gates::tls_files authority{{}, us.directory() / "ca.pem", us.directory() / "ca-key.pem"};
  CHECK_FALSE(refused(&authority).empty());
  CHECK(door->peers().empty());
}

TEST_CASE_METHOD(tls_fixture, "gate: the peer is told why its certificate is not accepted",
                 "[gate][connections][tls]") {
  bare_tls x{door->port()};
  x.send(tests::client_handshake(tests::captured_client()));
  CHECK(x.read(1) == "tlsv13 alert certificate required");
  const auto files = us.issue({"worker", role::worker, {}, 1});
  const bare_tls old{door->port(), &files, TLS1_2_VERSION};
  CHECK_FALSE(old.connected());
}

TEST_CASE_METHOD(tls_fixture, "gate: a peer is who its certificate says",
                 "[gate][connections][tls]") {
  const auto files = us.issue({"anna", role::read, {}, 1});
  {
    bare_tls anna{door->port(), &files};
    anna.send(tests::client_handshake(tests::captured_client()));
    CHECK(anna.read(server_handshake_bytes).size() == server_handshake_bytes);
    const auto peer = door->peer_of(tests::captured_client());
    REQUIRE(peer);
    CHECK(peer->who == gates::identity{"anna", role::read});
    CHECK(peer->is_certified);
  }
  CHECK(closed.take().empty());
  // Her last messages may still be on their way: the id is not yet another's.
  const auto admin = us.issue({"root", role::admin, {}, 1});
  bare_tls root{door->port(), &admin};
  root.send(tests::client_handshake(tests::captured_client()));
  root.read(server_handshake_bytes);
  CHECK(closed.take().find("was just in use by 'anna'") != std::string::npos);
  bare_tls again{door->port(), &files};
  again.send(tests::client_handshake(tests::captured_client()));
  CHECK(again.read(server_handshake_bytes).size() == server_handshake_bytes);
}
