#include "actors/gate/outgoing_gate.hpp"

#include "actors/component.hpp"
#include "actors/gate/doorman.hpp"
#include "actors/gate/local_user.hpp"
#include "actors/gate/refusals.hpp"
#include "actors/log.hpp"

#include <atomic>
#include <cstring>
#include <mutex>
#include <netdb.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace belay::gates {

namespace {

using found = std::pair<std::vector<sockaddr_storage>, std::string>;

/// CAF connects once; a second one overlaps when it connects again.
constexpr std::size_t connections_max = 16;

/// Asks the system's resolver, which can take tens of seconds.
found resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const auto fault = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (fault != 0) {
    return {{}, "cannot find the host: " + std::string{gai_strerror(fault)}};
  }
  found result;
  for (const auto* one = list; one != nullptr; one = one->ai_next) {
    auto& address = result.first.emplace_back();
    std::memcpy(&address, one->ai_addr, one->ai_addrlen);
  }
  freeaddrinfo(list);
  return result;
}

std::optional<refusal> check(const outgoing_options& x) {
  if (x.host.empty() || x.host.size() > host_name_max || x.host.find('\0') != std::string::npos) {
    return bad_option("host", x.host, "a DNS name or an IP address");
  }
  if (x.port == 0) {
    return bad_option("port", "0", "1 to 65535");
  }
  if (x.message_max < 2 * node_bytes) {
    return bad_option("message_max", std::to_string(x.message_max), "64 or more");
  }
  if (x.connect_timeout_ms <= 0) {
    return bad_option("connect_timeout", std::to_string(x.connect_timeout_ms) + " ms", "more");
  }
  return std::nullopt;
}

} // namespace

struct outgoing_gate::impl {
  outgoing_options options;
  mutable std::mutex mutex;
  std::string last_error;
  /// Set once we end it ourselves: then no end is worth a word.
  std::atomic<bool> closing = false;
  /// Last, so that its thread has ended before what it uses goes.
  std::optional<doorman> door;

  [[nodiscard]] std::string where() const {
    return options.host + ":" + std::to_string(options.port);
  }

  void remember(const std::string& why) {
    const std::lock_guard guard{mutex};
    last_error = why;
  }

  void find(const std::function<void(std::vector<sockaddr_storage>, const std::string&)>& answer) {
    if (const auto address = parse_ip(options.host, options.port)) {
      answer({*address}, {});
      return;
    }
    try {
      // The thread may outlive all of this: a resolver cannot be told to stop.
      std::thread{[host = options.host, port = options.port, answer, post = door->loop().poster()] {
        post([answer, result = resolve(host, port)] { answer(result.first, result.second); });
      }}.detach();
    } catch (const std::system_error& x) {
      answer({}, std::string{"cannot look for the host: "} + x.what());
    }
  }

  void ending(const std::string& why, bool begun) {
    if (why.empty() || closing) {
      return;
    }
    remember(why);
    // Whoever dials says it, with this reason.
    log::debug(component::gate, begun ? "gate.cut" : "gate.unreachable",
               {{"node", where()}, {"why", why}},
               begun ? "the connection to a node was cut" : "a node cannot be reached");
  }
};

checked<std::unique_ptr<outgoing_gate>> outgoing_gate::open(const outgoing_options& options) {
  if (auto no = check(options)) {
    return *no;
  }
  const auto own = parse_node_key(options.node);
  if (!own) {
    return bad_option("node", options.node, "the id of a CAF node, 40 hexadecimal digits#NUMBER");
  }
  auto context = tls_context::load(options.tls);
  if (!context) {
    return context.why();
  }
  auto x = std::make_unique<impl>();
  x->options = options;
  relay_rules rules;
  rules.frames = {speaker::server, *own, options.message_max, {}};
  rules.tls = *context;
  rules.host = options.host;
  rules.handshake_timeout_ms = options.connect_timeout_ms;
  rules.find = [x = x.get()](const auto& answer) { x->find(answer); };
  rules.welcome = [x = x.get()](const relay& who) -> std::optional<std::string> {
    if (owner_of_connection(who.port(), x->door->port()) != geteuid()) {
      return "the local port was used by another user of this machine";
    }
    return std::nullopt;
  };
  rules.admit = [x = x.get()](const relay&, const node_key&) -> std::optional<std::string> {
    x->remember({});
    return std::nullopt;
  };
  rules.ending
    = [x = x.get()](const relay&, const std::string& why, bool begun) { x->ending(why, begun); };
  x->door.emplace(doorman_options{"127.0.0.1", 0, connections_max}, std::move(rules));
  if (auto no = x->door->open()) {
    return *no;
  }
  return std::unique_ptr<outgoing_gate>{new outgoing_gate{std::move(x)}};
}

outgoing_gate::outgoing_gate(std::unique_ptr<impl> x) : impl_{std::move(x)} {}

outgoing_gate::~outgoing_gate() {
  impl_->closing = true;
}

std::optional<refusal> outgoing_gate::reload(const tls_files& files) {
  const auto context = tls_context::load(files);
  return context ? impl_->door->use(*context) : context.why();
}

std::uint16_t outgoing_gate::local_port() const {
  return impl_->door->port();
}

std::string outgoing_gate::last_error() const {
  const std::lock_guard guard{impl_->mutex};
  return impl_->last_error;
}

std::size_t outgoing_gate::connections() const {
  return impl_->door->connections();
}

void outgoing_gate::wait_closed(std::chrono::milliseconds longest) const {
  impl_->door->wait_empty(longest);
}

} // namespace belay::gates
