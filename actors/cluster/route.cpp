#include "actors/cluster/route.hpp"

#include "actors/machine.hpp"
#include "messages/message_size.hpp"

namespace belay::actors {

route::~route() {
  if (gate_) {
    gate_->wait_closed(std::chrono::seconds{1});
  }
}

checked<std::unique_ptr<route>>
route::open(const route_options& options, const caf::actor_system& system) {
  auto x = std::unique_ptr<route>{new route};
  if (options.tls.empty()) {
    if (!options.plain_anywhere && !is_this_machine(options.host)) {
      return refusal{ec::bad_request,
                     "node: '" + address_text(options.host, options.port)
                       + "' is another machine, expected --tls DIR for it: plain connections carry "
                         "no passwords (--insecure, of a node cluster.insecure, trusts the whole "
                         "network)"};
    }
    x->host_ = options.host;
    x->port_ = options.port;
    return x;
  }
  gates::outgoing_options out;
  x->tls_ = options.tls;
  out.host = options.host;
  out.port = options.port;
  out.node = caf::to_string(system.node());
  out.tls = gates::tls_files_in(options.tls);
  out.message_max = frame_max(options.message_max);
  out.connect_timeout_ms = options.connect_timeout_ms;
  auto opened = gates::outgoing_gate::open(out);
  if (!opened) {
    return opened.why();
  }
  x->gate_ = std::move(*opened);
  x->host_ = "127.0.0.1";
  x->port_ = x->gate_->local_port();
  return x;
}

std::optional<refusal> route::reload() {
  return gate_ ? gate_->reload(gates::tls_files_in(tls_)) : std::nullopt;
}

std::string route::last_error() const {
  return gate_ ? gate_->last_error() : std::string{};
}

refusal route::explained(refusal no) const {
  if (no.code == ec::timed_out) {
    no = {ec::shutting_down, "it does not answer"};
  }
  if (!gate_) {
    if (no.text.find("disconnect_during_handshake") != std::string::npos) {
      no.text = "it closed the connection: it wants TLS (--tls DIR), or is no node of belay";
    } else if (no.text.find("cannot_connect_to_node") != std::string::npos) {
      no.text = "nobody listens there";
    }
    return no;
  }
  auto why = gate_->last_error();
  if (why.empty()) {
    return no;
  }
  if (why.find("certificate") != std::string::npos || why.find("unknown ca") != std::string::npos) {
    // Trying again does not help.
    return {ec::bad_request, why + " (with the certificates in " + tls_.string() + ")"};
  }
  if (why.find("before its handshake") != std::string::npos
      || why.find("wrong version number") != std::string::npos) {
    why += "; perhaps it is a plain node, without --tls and BELAY_TLS";
  }
  no.text = std::move(why);
  return no;
}

} // namespace belay::actors
