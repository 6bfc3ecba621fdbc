// Thousands of streams that no CAF would write, against a node behind a gate.
#include "actors/gate/gate.hpp"
#include "actors/node/client.hpp"
#include "actors/node/runtime.hpp"
#include "tests/gate/authority.hpp"
#include "tests/gate/frames.hpp"
#include "tests/gate/sockets.hpp"
#include "tests/support/captured_log.hpp"
#include "tests/support/registrations.hpp"

#include <random>
#include <set>

using namespace belay;

namespace {

/// Reads a node's id from its handshake. A gate of its own is before it, which wants ours first.
gates::node_key node_behind(std::uint16_t port) {
  tests::bare_socket x{port};
  x.send(tests::client_handshake(tests::captured_client()));
  const auto bytes = x.read(gates::header_bytes + gates::node_bytes);
  REQUIRE(bytes.size() == gates::header_bytes + gates::node_bytes);
  gates::node_key key;
  for (std::size_t i = 0; i < 4; ++i) {
    key.os_pid = (key.os_pid << 8U) | static_cast<unsigned char>(bytes[40 + i]);
  }
  std::copy_n(bytes.begin() + 44, key.host.size(), key.host.begin());
  return key;
}

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

class mutator {
public:
  explicit mutator(std::vector<std::string> streams) : streams_{std::move(streams)} {}

  std::string next() {
    if (below(10) == 0) {
      std::string noise(below(300), '\0');
      std::generate(noise.begin(), noise.end(), [this] { return any(); });
      return noise;
    }
    auto text = streams_[below(streams_.size())];
    for (auto changes = 1 + below(4); changes > 0; --changes) {
      change(text);
    }
    return text;
  }

private:
  void change(std::string& text) {
    // Behind the first handshake, mostly, or nothing else would ever be looked at.
    const auto at
      = below(8) == 0 ? below(text.size() + 1) : std::min(text.size(), 64 + below(text.size()));
    switch (below(6)) {
      case 0:
        text.insert(at, 1, any());
        break;
      case 1:
        text.erase(at, 1 + below(40));
        break;
      case 2:
        text.resize(at);
        break;
      case 3: {
        const auto& other = streams_[below(streams_.size())];
        text.replace(at, std::string::npos, other, below(other.size()), std::string::npos);
        break;
      }
      default:
        if (at < text.size()) {
          text[at] = below(2) == 0 ? any() : static_cast<char>(text[at] ^ (1 << below(8)));
        }
    }
  }

  std::size_t below(std::size_t bound) {
    return bound == 0 ? 0 : static_cast<std::size_t>(random_() % bound);
  }

  char any() {
    return static_cast<char>(below(256));
  }

  std::vector<std::string> streams_;
  std::mt19937 random_{20'261'126}; // NOLINT: the same streams every time
};

} // namespace

TEST_CASE("gate: a node outlives 2,000 broken streams and keeps its descriptors",
          "[gate][streams]") {
  const tests::captured_log quiet{{.level_min = log::level::error}};
  const tests::scratch_directory directory;
  actors::runtime_options settings;
  settings.store.directory = directory.path() / "data";
  settings.tools = std::make_shared<running::toolbox>();
  tests::mailbox closed;
  settings.on_disconnected
    = [&closed](const std::string&, const std::string& why) { closed.put(why); };
  actors::runtime node{settings};
  const auto own = node_behind(node.port());
  CHECK(closed.take().empty());

  std::vector<std::string> streams;
  for (const auto& one : tests::captures("client")) {
    streams.push_back(
      replace_all(one, tests::node_text(tests::captured_server()), tests::node_text(own)));
  }
  const auto talk = [&](const std::string& bytes) {
    const std::size_t handshake = gates::header_bytes + gates::node_bytes;
    tests::bare_socket x{node.port()};
    x.send(bytes.substr(0, handshake));
    if (bytes.size() < handshake) {
      x.end();
    }
    // CAF answers a good handshake; the rest goes to it, and not into a connection half made.
    if (x.read(handshake).size() == handshake) {
      x.send(bytes.substr(handshake));
      x.end();
      x.read_to_end();
    }
    return closed.take();
  };
  for (const auto& one : streams) {
    // The captures name actors by the numbers of another day; those of today may not be open.
    const auto why = talk(one);
    CAPTURE(why);
    CHECK((why.empty() || why.find("which is not open to peers") != std::string::npos));
  }
  const auto before = tests::open_descriptors();
  mutator next{streams};
  int refused = 0;
  std::set<std::string> reasons;
  constexpr int count = 2'000;
  for (int i = 0; i < count; ++i) {
    const auto why = talk(next.next());
    refused += why.empty() ? 0 : 1;
    reasons.insert(why.substr(0, why.find('\'')));
  }
  CHECK(reasons.size() > 10);
  CHECK(refused > count / 4);
  CHECK(refused < count); // Some got as far as CAF.

  auto client = actors::client::connect("127.0.0.1", node.port());
  if (!client) {
    FAIL(client.why().text);
  }
  const auto made = (*client)->enroll({tests::make_registration("after", "none")});
  CHECK(made);
  client = refusal{};
  closed.take();
  CHECK(tests::open_descriptors() <= before + 1);
}
