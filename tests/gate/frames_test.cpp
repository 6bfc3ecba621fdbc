// What a frame reader lets pass, and what it does not.
#include "tests/gate/frames.hpp"

#include <caf/atom.hpp>
#include <caf/string_view.hpp>
#include <catch2/catch.hpp>

using namespace belay;
using gates::frame_reader;
using gates::speaker;
using tests::big_endian;
using tests::frame;
using tests::message;

namespace {

constexpr std::uint64_t answer_bit = 1ULL << 63U;

const auto us = tests::captured_server();
const auto peer = tests::captured_client();

/// A reader of what a client says to us.
frame_reader make_reader(bool greeted = true) {
  frame_reader reader{{speaker::client, us, 4U << 20}};
  std::string passed;
  if (greeted) {
    REQUIRE_FALSE(reader.read(tests::client_handshake(peer), passed));
  }
  return reader;
}

/// Returns why a frame is refused after a handshake; empty when it is not.
std::string refused(const std::string& bytes, bool greeted = true) {
  auto reader = make_reader(greeted);
  std::string passed;
  const auto no = reader.read(bytes, passed);
  CHECK(no.has_value() == passed.empty());
  CHECK(reader.held_bytes() <= gates::header_bytes + frame_reader::inspected_max);
  return no.value_or("");
}

void says(const std::string& bytes, const std::string& what, bool greeted = true) {
  const auto got = refused(bytes, greeted);
  CAPTURE(got, what);
  CHECK(got.find(what) != std::string::npos);
  CHECK_FALSE(got.empty());
}

std::string
of_types(const std::string& types, const std::string& values = {}, std::uint64_t data = 0) {
  return frame{.payload = message(types, values), .data = data}.text();
}

} // namespace

TEST_CASE("frames: what CAF has said passes unchanged, however it is cut", "[gate][frames]") {
  const std::string side = GENERATE("client", "server");
  const std::size_t step = GENERATE(1U, 7U, 33U, 100'000U);
  const auto all = tests::captures(side);
  REQUIRE(all.size() >= 5);
  for (const auto& stream : all) {
    const auto is_client = side == "client";
    frame_reader reader{
      {is_client ? speaker::client : speaker::server, is_client ? us : peer, 4U << 20}};
    std::string passed;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      REQUIRE_FALSE(reader.read(std::string_view{stream}.substr(at, step), passed));
    }
    CHECK(passed == stream);
    CHECK(reader.announced() == (is_client ? peer : us));
    CHECK(reader.held_bytes() == 0);
  }
}

TEST_CASE("frames: a length of 4 GiB is refused by its header alone", "[gate][frames]") {
  says(frame{}.header(0xFFFFFFFF), "a message with 4294967295 bytes, expected 1 to 4194304");
  says(frame{}.header((4U << 20) + 1), "4194305");
  says(frame{.operation = 1, .source = 0, .destination = 0}.header(0xFFFFFFFF), "expected 32",
       false);
  says(frame{.operation = 5, .destination = 0}.header(0xFFFFFFFF), "a DOWN frame");
  auto reader = make_reader();
  std::string passed;
  CHECK_FALSE(reader.read(frame{}.header(4U << 20), passed)); // The largest there may be.
  CHECK(passed.empty());
}

TEST_CASE("frames: requests reach the actors that are open to peers, answers whoever asked",
          "[gate][frames]") {
  gates::frame_rules rules{speaker::client, us, 4U << 20};
  rules.may_address = [](std::uint64_t actor) { return actor == 7; };
  const auto refused_by = [&rules](const frame& x) {
    frame_reader reader{rules};
    std::string passed;
    REQUIRE_FALSE(reader.read(tests::client_handshake(peer), passed));
    return reader.read(x.text(), passed).value_or("");
  };
  const auto text = message("@<>+@str", std::string{"\1x"});
  CHECK(refused_by({.payload = text, .data = 1, .destination = 7}).empty());
  CHECK(refused_by({.payload = text, .data = 1, .destination = 8})
        == "a message to actor 8, which is not open to peers");
  CHECK(refused_by({.payload = text, .data = answer_bit | 1U, .destination = 8}).empty());
  CHECK(refused_by({.operation = 4,
                    .payload = tests::node_text(peer) + tests::node_text(us),
                    .source = 0,
                    .destination = 8})
          .empty()); // CAF monitors every actor that it hears of.
  CHECK(refused_by({.payload = text, .data = 1, .source = 0, .destination = 7})
        == "a message without a sender");
}

TEST_CASE("frames: a large message streams through", "[gate][frames]") {
  auto reader = make_reader();
  const auto whole = of_types("@<>+@str", std::string(1U << 20, 'x'));
  std::string passed;
  for (std::size_t at = 0; at < whole.size(); at += 4'096) {
    REQUIRE_FALSE(reader.read(std::string_view{whole}.substr(at, 4'096), passed));
    CHECK(reader.held_bytes() <= gates::header_bytes + frame_reader::inspected_max);
  }
  CHECK(passed == whole);
}

TEST_CASE("frames: the handshake comes first, once, and with one node id", "[gate][frames]") {
  says(frame{.operation = 6, .source = 0, .destination = 0}.text(), "before the handshake", false);
  says(of_types("@<>+@str"), "before the handshake", false);
  says(frame{.operation = 0, .payload = tests::node_text(peer), .data = 3}.text(),
       "before the handshake", false);
  says(frame{.operation = 0, .payload = tests::node_text(peer), .data = 3}.text(),
       "a server's handshake");
  auto other = peer;
  ++other.os_pid;
  says(tests::client_handshake(other), "another node id");
  says(tests::client_handshake(us), "our own node id", false);
  CHECK(refused(tests::client_handshake(peer)).empty()); // CAF says it twice.
  gates::node_key nobody;
  says(tests::client_handshake(nobody), "without a node id", false);
  says(frame{.operation = 1, .payload = std::string(32, 'x'), .source = 0, .destination = 0}.text(),
       "without a node id", false);
}

TEST_CASE("frames: a server speaks as a server", "[gate][frames]") {
  const auto handshake = [](std::uint64_t version) {
    return frame{.operation = 0,
                 .payload = tests::node_text(us) + std::string(3, '\0'),
                 .data = version,
                 .source = 0,
                 .destination = 0}
      .text();
  };
  const auto read = [](const std::string& bytes) {
    frame_reader reader{{speaker::server, peer, 4U << 20}};
    std::string passed;
    return reader.read(bytes, passed).value_or("");
  };
  CHECK(read(handshake(3)).empty());
  CHECK(read(handshake(4)).find("BASP version 4, expected 3") == 0);
  CHECK(read(handshake(3) + handshake(3)).find("not expected") != std::string::npos);
  CHECK(read(tests::client_handshake(us)).find("before the handshake") != std::string::npos);
  CHECK(read(handshake(3) + tests::client_handshake(us)).find("a client's") != std::string::npos);
}

TEST_CASE("frames: nobody speaks in another node's name", "[gate][frames]") {
  auto other = peer;
  ++other.os_pid;
  const auto both = [](const auto& from, const auto& to) {
    return tests::node_text(from) + tests::node_text(to);
  };
  const std::string no_error = big_endian(0, 1) + big_endian(0xF, 8) + big_endian(0, 2) + "\3@<>";
  const auto monitor = [&](const auto& from, const auto& to) {
    return frame{.operation = 4, .payload = both(from, to), .source = 0}.text();
  };
  const auto down = [&](const auto& from, const auto& to) {
    return frame{.operation = 5, .payload = both(from, to) + no_error, .destination = 0}.text();
  };
  CHECK(refused(monitor(peer, us)).empty());
  CHECK(refused(down(peer, us)).empty());
  says(monitor(other, us), "in the name of another node");
  says(monitor(peer, other), "for another node");
  says(down(other, us), "in the name of another node");
  says(down(peer, other), "for another node");
  says(frame{.operation = 3, .payload = both(peer, us) + message("@<>+@str")}.text(), "third node");
  says(frame{.payload = message("@<>+@str", {}, '\1')}.text(), "forwarding stack");
  // What CAF takes for its own signal whoever sends it.
  says(of_types("@<>+@down"), "'@down'");
  says(of_types("@<>+@exit"), "'@exit'");
  says(of_types("@<>+@atom+@strong_actor_ptr"), "'@strong_actor_ptr'");
  says(of_types("@<>+@timeout"), "'@timeout'");
  says(of_types("@<>+@error"), "answers nothing");
}

TEST_CASE("frames: what makes CAF reserve or recurse without bound is refused", "[gate][frames]") {
  const auto error = [](const std::string& types) {
    return of_types("@<>+@error", big_endian(2, 1) + big_endian(7, 8) + message(types).substr(1),
                    answer_bit);
  };
  CHECK(refused(error("@<>+@str")).empty());
  CHECK(refused(error("@<>")).empty());
  says(error("@<>+@error"), "'@error'");
  says(error("@<>+belay::outcome"), "'belay::outcome'");
  says(of_types("@<>+@charbuf", "\xFF\xFF\xFF\xFF\x0F"), "'@charbuf'");
  says(of_types("@<>+@message"), "'@message'");
  says(of_types("@<>+@atom+@config_value"), "'@config_value'");
  says(of_types("@<>+std::vector<@message>"), "may not pass");
  says(of_types("@<>" + std::string(1'100, '+')), "cannot be read");
  says(frame{.payload = std::string("\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF", 9)}.text(), "cannot be read");
  says(frame{.payload = std::string("\0\0\1\4abcd", 8)}.text(), "cannot be read");
}

TEST_CASE("frames: headers that CAF does not write are refused", "[gate][frames]") {
  says(frame{.operation = 7}.text(), "operation 7, expected 0 to 6");
  says(frame{.operation = 0xFF}.text(), "operation 255");
  says(frame{.payload = message("@<>"), .flags = 2}.text(), "flags 2");
  says(frame{.operation = 6, .payload = "x", .source = 0, .destination = 0}.text(), "a heartbeat");
  says(frame{.payload = message("@<>"), .destination = 0}.text(), "may not be addressed");
  CHECK(refused(frame{.operation = 6, .source = 0, .destination = 0}.text()).empty());
  auto padded = of_types("@<>+@str");
  padded[1] = 1;
  says(padded, "padding");
}

TEST_CASE("frames: a named actor is only asked what CAF asks", "[gate][frames]") {
  const std::string info = big_endian(0x3F8FB8, 8) + big_endian(0x3ECAB9, 8) + "\4info";
  const auto named = [&info](const char* name, const std::string& types) {
    return frame{.payload = message(types, info),
                 .destination = static_cast<std::uint64_t>(caf::atom_from_string(name)),
                 .flags = 1}
      .text();
  };
  CHECK(refused(named("SpawnServ", "@<>+@atom+@atom+@str")).empty());
  says(named("SpawnServ", "@<>+@atom+@str+@message"), "to a named actor");
  says(named("ConfigServ", "@<>+@atom+@atom+@str"), "may not be addressed");
}

TEST_CASE("frames: names from the peer cannot drive a terminal", "[gate][frames]") {
  const auto got = refused(of_types("@<>+\x1b[2J"));
  CHECK(got.find('\x1b') == std::string::npos);
  CHECK(got.find("'?[2J'") != std::string::npos);
}

TEST_CASE("node keys: rendered as CAF renders them", "[gate][frames]") {
  const auto text = gates::to_string(peer);
  CHECK(text == "2222222222222222222222222222222222222222#2");
  CHECK(gates::parse_node_key(text) == peer);
  CHECK_FALSE(gates::parse_node_key("invalid-node"));
  CHECK_FALSE(gates::parse_node_key(text + "x"));
  CHECK_FALSE(gates::parse_node_key(std::string(40, '0') + "#1"));
  CHECK_FALSE(gates::parse_node_key(std::string(40, 'g') + "#1"));
}
