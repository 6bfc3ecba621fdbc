#include "actors/gate/doorman.hpp"

#include "actors/component.hpp"
#include "actors/log.hpp"

#include <future>

namespace belay::gates {

namespace {

/// listen(2) cuts it to net.core.somaxconn, 4,096 by default.
constexpr int backlog = 1'024;

uv_handle_t* handle_of(uv_tcp_t& x) {
  return reinterpret_cast<uv_handle_t*>(&x);
}

} // namespace

checked<sockaddr_storage> parse_ip(const std::string& address, std::uint16_t port) {
  sockaddr_storage x{};
  if (uv_ip4_addr(address.c_str(), port, reinterpret_cast<sockaddr_in*>(&x)) == 0
      || uv_ip6_addr(address.c_str(), port, reinterpret_cast<sockaddr_in6*>(&x)) == 0) {
    return x;
  }
  return refusal{ec::bad_request,
                 "address: '" + address + "' is not acceptable, expected an IPv4 or IPv6 address"};
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    constexpr std::uint32_t first_byte = 24;
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> first_byte == IN_LOOPBACKNET;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

doorman::doorman(doorman_options options, relay_rules rules)
  : options_{std::move(options)}, rules_{std::move(rules)} {
  rules_.loop = loop_.get();
  rules_.over
    = [this, after = std::move(rules_.over)](relay& who, const std::string& why, bool begun) {
        const auto kept = who.shared_from_this();
        relays_.erase(kept);
        count(relays_.size());
        if (after) {
          after(who, why, begun);
        }
      };
}

doorman::~doorman() {
  loop_.post([this] { stop(); });
}

std::optional<refusal> doorman::open() {
  const auto address = parse_ip(options_.address, options_.port);
  if (!address) {
    return address.why();
  }
  std::promise<int> done;
  loop_.post([this, &done, &address] { done.set_value(listen(*address)); });
  if (const auto fault = done.get_future().get(); fault != 0) {
    return refusal{ec::bad_request, "cannot listen on " + options_.address + ":"
                                      + std::to_string(options_.port) + ": " + uv_strerror(fault)};
  }
  return std::nullopt;
}

std::optional<refusal> doorman::use(const std::shared_ptr<const tls_context>& context) {
  std::promise<bool> done;
  loop_.post([this, &done, &context] {
    if (rules_.tls) {
      rules_.tls = context;
    }
    done.set_value(rules_.tls != nullptr);
  });
  if (!done.get_future().get()) {
    return refusal{ec::bad_request, "connections are plain here and show no certificates"};
  }
  return std::nullopt;
}

int doorman::listen(const sockaddr_storage& address) {
  uv_tcp_init(loop_.get(), &listener_);
  listener_.data = this;
  listening_ = true;
  auto fault = uv_tcp_bind(&listener_, reinterpret_cast<const sockaddr*>(&address), 0);
  if (fault == 0) {
    fault = uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), backlog,
                      [](uv_stream_t* from, int status) {
                        if (status == 0) {
                          static_cast<doorman*>(from->data)->came();
                        }
                      });
  }
  sockaddr_storage bound{};
  int size = sizeof bound;
  if (fault == 0) {
    fault = uv_tcp_getsockname(&listener_, reinterpret_cast<sockaddr*>(&bound), &size);
  }
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(bound).sin_port);
  return fault;
}

void doorman::count(std::size_t now) {
  const std::lock_guard guard{mutex_};
  count_ = now;
  changed_.notify_all();
}

std::size_t doorman::connections() const {
  const std::lock_guard guard{mutex_};
  return count_;
}

void doorman::wait_empty(std::chrono::milliseconds longest) const {
  std::unique_lock guard{mutex_};
  changed_.wait_for(guard, longest, [this] { return count_ == 0; });
}

void doorman::came() {
  auto x = std::make_shared<relay>(rules_);
  auto* const from = reinterpret_cast<uv_stream_t*>(&listener_);
  relays_.insert(x);
  count(relays_.size());
  x->start(from);
  if (relays_.size() <= options_.connections_max) {
    is_full_ = false;
    return;
  }
  if (!is_full_) {
    log::warn(component::gate, "gate.full", {{"connections_max", options_.connections_max}},
              "more connections are closed at once until others have gone");
  }
  is_full_ = true;
  x->stop("there are too many connections");
}

void doorman::stop() {
  if (listening_) {
    uv_close(handle_of(listener_), nullptr);
  }
  const auto all = relays_;
  for (const auto& x : all) {
    x->stop("the gate is closed");
  }
}

} // namespace belay::gates
