#include "actors/gate/gate.hpp"

#include "actors/component.hpp"
#include "actors/gate/doorman.hpp"
#include "actors/gate/peer_book.hpp"
#include "actors/gate/refusals.hpp"
#include "actors/log.hpp"

namespace belay::gates {

namespace {

sockaddr_storage loopback(std::uint16_t port) {
  sockaddr_storage x{};
  uv_ip4_addr("127.0.0.1", port, reinterpret_cast<sockaddr_in*>(&x));
  return x;
}

std::optional<refusal> check(const gate_options& x) {
  if (x.target_port == 0) {
    return bad_option("target_port", "0", "the port on which CAF listens");
  }
  if (x.message_max < 2 * node_bytes) {
    return bad_option("message_max", std::to_string(x.message_max), "64 or more");
  }
  if (x.connections_max == 0 || x.handshake_timeout_ms <= 0) {
    return bad_option("connections_max or handshake_timeout", "0", "more");
  }
  const auto address = parse_ip(x.address, x.port);
  if (!address) {
    return address.why();
  }
  if (!x.tls && !x.plain_anywhere && !is_loopback(*address)) {
    return bad_option(
      "address", x.address,
      "a loopback address: plain connections carry no passwords, so beyond this machine "
      "TLS is needed");
  }
  return std::nullopt;
}

checked<std::shared_ptr<const tls_context>> load_of_node(const tls_files& files) {
  auto context = tls_context::load(files);
  if (!context) {
    return context;
  }
  if (auto no = check_node_certificate(**context, files.certificate)) {
    return *no;
  }
  return context;
}

} // namespace

/// Whoever can connect makes lines in the log: after `burst` within a period only their number is
/// kept, for the next line.
class log_bound {
public:
  /// Returns how many lines were left out before this one; nothing when it is to be left out.
  std::optional<std::uint64_t> admit(std::uint64_t now_ns) {
    if (now_ns - since_ns_ >= period_ns) {
      since_ns_ = now_ns;
      written_ = 0;
    }
    if (written_ >= burst) {
      ++left_out_;
      return std::nullopt;
    }
    ++written_;
    return std::exchange(left_out_, 0);
  }

private:
  static constexpr std::uint64_t period_ns = 10'000'000'000;
  static constexpr std::uint64_t burst = 20;

  std::uint64_t since_ns_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t left_out_ = 0;
};

struct gate::impl {
  std::function<void(const std::string& address, const std::string& why)> on_closed;
  peer_book book;
  log_bound bound;
  /// Last, so that its thread has ended before what it uses goes.
  std::optional<doorman> door;

  std::optional<std::string> admit(const relay& who, const node_key& node) {
    peer one{node, {"", role::admin}, false, who.address()};
    if (who.certified()) {
      one.who = *who.certified();
      one.is_certified = true;
    }
    if (auto no = book.enter(&who, one, uv_hrtime())) {
      return no;
    }
    log::debug(component::gate, "gate.opened",
               {{"address", one.address},
                {"node", to_string(node)},
                {"name", one.who.name},
                {"role", to_string(one.who.what)}},
               "a node has come in");
    return std::nullopt;
  }

  void over(const relay& who, const std::string& why, bool begun) {
    book.leave(&who, uv_hrtime());
    if (why.empty()) {
      log::debug(component::gate, "gate.closed", {{"address", who.address()}},
                 "a connection has ended");
    } else if (const auto left_out = bound.admit(uv_hrtime())) {
      log::warn(component::gate, begun ? "gate.cut" : "gate.refused",
                {{"address", who.address()},
                 {"name", who.certified() ? who.certified()->name : std::string{}},
                 {"why", why},
                 {"left_out", *left_out}},
                begun ? "a connection was cut" : "a connection was refused");
    }
    if (on_closed) {
      on_closed(who.address(), why);
    }
  }
};

checked<std::unique_ptr<gate>> gate::open(const gate_options& options) {
  if (auto no = check(options)) {
    return *no;
  }
  const auto own = parse_node_key(options.node);
  if (!own) {
    return bad_option("node", options.node, "the id of a CAF node, 40 hexadecimal digits#NUMBER");
  }
  auto x = std::make_unique<impl>();
  relay_rules rules;
  if (options.tls) {
    auto context = load_of_node(*options.tls);
    if (!context) {
      return context.why();
    }
    rules.tls = *context;
  }
  x->on_closed = options.on_closed;
  rules.frames = {speaker::client, *own, options.message_max, options.may_address};
  rules.handshake_timeout_ms = options.handshake_timeout_ms;
  rules.find = [to = loopback(options.target_port)](const auto& answer) {
    answer({to}, "CAF does not listen");
  };
  rules.admit
    = [x = x.get()](const relay& who, const node_key& node) { return x->admit(who, node); };
  rules.over = [x = x.get()](const relay& who, const std::string& why, bool begun) {
    x->over(who, why, begun);
  };
  x->door.emplace(doorman_options{options.address, options.port, options.connections_max},
                  std::move(rules));
  if (auto no = x->door->open()) {
    return *no;
  }
  return std::unique_ptr<gate>{new gate{std::move(x)}};
}

gate::gate(std::unique_ptr<impl> x) : impl_{std::move(x)} {}

gate::~gate() = default;

std::uint16_t gate::port() const {
  return impl_->door->port();
}

std::optional<refusal> gate::reload(const tls_files& files) {
  const auto context = load_of_node(files);
  return context ? impl_->door->use(*context) : context.why();
}

std::optional<peer> gate::peer_of(const caf::node_id& node) const {
  const auto key = key_of(node);
  return key ? peer_of(*key) : std::nullopt;
}

std::optional<peer> gate::peer_of(const node_key& node) const {
  return impl_->book.find(node);
}

std::vector<peer> gate::peers() const {
  return impl_->book.all();
}

std::size_t gate::connections() const {
  return impl_->door->connections();
}

} // namespace belay::gates
