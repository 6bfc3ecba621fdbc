#include "actors/gate/relay.hpp"

#include <algorithm>

namespace belay::gates {

namespace {

/// Chosen: a few frames of usual size; two sides of 1,024 connections hold 0.5 GiB at worst.
constexpr std::size_t queued_max = 262'144;
/// What we owe the peer when we read on: with TLS 1.3 also what it reads only can make us answer
/// (key updates), so the wire is not read while it does not take that. Above what CAF's side can
/// queue, or two gates could wait for each other.
constexpr std::size_t owed_max = 2 * queued_max;
/// Chosen: CAF closes in far less than a millisecond; a peer gets its last words in that time.
constexpr duration_ms linger_ms = 1'000;
constexpr std::size_t timer_count = 2;

relay& relay_of(uv_timer_t* timer) {
  return *static_cast<relay*>(timer->data);
}

const sockaddr& plain(const sockaddr_storage& x) {
  return reinterpret_cast<const sockaddr&>(x);
}

} // namespace

relay::relay(const relay_rules& rules) : rules_{rules}, reader_{rules.frames} {}

void relay::start(uv_stream_t* from) {
  for (auto* timer : {&deadline_, &dial_deadline_}) {
    uv_timer_init(rules_.loop, timer);
    timer->data = this;
    ++handles_;
  }
  auto& accepted = is_caller() ? caf_ : wire_;
  accepted = make_stream();
  if (!accepted->accept(from)) {
    finish("the connection was gone", false);
    return;
  }
  address_ = accepted->peer_address();
  port_ = accepted->peer_port();
  if (const auto no = rules_.welcome ? rules_.welcome(*this) : std::nullopt) {
    finish(*no, false);
    return;
  }
  set_timer(deadline_, rules_.handshake_timeout_ms);
  if (!is_caller()) {
    if (rules_.tls) {
      tls_ = std::make_unique<tls_session>(rules_.tls);
    }
    update_reading();
    return;
  }
  // CAF 0.17.6 counts its connection time-out from the start of the machine until it has heard
  // something (basp_broker.cpp: last_seen), and so drops at its next tick a connection whose
  // handshake is still on its way.
  caf_->write(heartbeat_frame());
  dial();
}

std::shared_ptr<tcp_stream> relay::make_stream() {
  ++handles_;
  return std::make_shared<tcp_stream>(rules_.loop, static_cast<stream_owner&>(*this));
}

void relay::stop(const std::string& why) {
  finish(why, false);
  for (auto* stream : {wire_.get(), caf_.get()}) {
    if (stream != nullptr) {
      stream->close();
    }
  }
}

void relay::dial() {
  rules_.find([x = weak_from_this()](std::vector<sockaddr_storage> found, const std::string& why) {
    const auto self = x.lock();
    if (!self || self->finishing_) {
      return;
    }
    self->addresses_ = std::move(found);
    std::reverse(self->addresses_.begin(), self->addresses_.end());
    // One address that swallows everything must leave time for the others and the handshakes.
    self->dial_timeout_ms_ = std::max<duration_ms>(
      1, self->rules_.handshake_timeout_ms / static_cast<duration_ms>(self->addresses_.size() + 1));
    self->dial_next(why);
  });
}

void relay::dial_next(std::string why) {
  auto& dialed = is_caller() ? wire_ : caf_;
  if (addresses_.empty()) {
    finish(why, false);
    return;
  }
  const auto to = addresses_.back();
  addresses_.pop_back();
  dialed = make_stream();
  set_timer(dial_deadline_, dial_timeout_ms_);
  dialed->connect(plain(to));
}

void relay::too_late() {
  if (finishing_) {
    stop({});
    return;
  }
  finish((is_caller() ? "no answer within " : "no handshake within ")
           + std::to_string(rules_.handshake_timeout_ms) + " ms",
         false);
}

void relay::address_too_late() {
  (is_caller() ? wire_ : caf_)->close();
  dial_next("no answer within " + std::to_string(dial_timeout_ms_) + " ms");
}

void relay::connected(tcp_stream& from) {
  uv_timer_stop(&dial_deadline_);
  if (&from == caf_.get()) {
    caf_->write(std::move(pending_));
    pending_.clear();
  } else if (rules_.tls) {
    tls_ = std::make_unique<tls_session>(rules_.tls, rules_.host);
    from_peer({}); // The first words are ours.
  }
  update_reading();
}

void relay::received(tcp_stream& from, std::string_view bytes) {
  if (&from == wire_.get()) {
    from_peer(bytes);
  } else if (!finishing_) {
    from_caf(bytes);
  }
  update_reading();
}

void relay::from_peer(std::string_view bytes) {
  if (finishing_) {
    return;
  }
  if (!tls_) {
    pass_on(bytes);
    return;
  }
  std::string words;
  auto no = tls_->receive(bytes, words);
  wire_->write(tls_->take_output());
  if (!no && tls_->is_established() && !certified_) {
    no = learn_peer();
  }
  if (no) {
    finish(*no, true);
    return;
  }
  pass_on(words);
  if (tls_->is_closed_by_peer()) {
    finish(begun_ ? "" : "closed by the peer before its handshake", false);
  }
}

std::optional<std::string> relay::learn_peer() {
  auto who = tls_->peer();
  if (!who) {
    return who.why().text;
  }
  if (is_caller() && !is_node(who->what)) {
    return "the certificate of '" + who->name + "' is not one of a node";
  }
  certified_ = std::move(*who);
  return std::nullopt;
}

void relay::pass_on(std::string_view plain) {
  std::string passed;
  auto no = reader_.read(plain, passed);
  if (!no && reader_.announced() && !admitted_) {
    no = rules_.admit(*this, *reader_.announced());
    if (!no) {
      admitted_ = true;
      if (is_caller()) {
        begun();
      } else {
        dial();
      }
    }
  }
  if (no) {
    finish(*no, false);
  } else if (caf_ && caf_->is_connected()) {
    caf_->write(std::move(passed));
  } else {
    pending_ += passed;
  }
}

void relay::from_caf(std::string_view bytes) {
  begun(); // Of a server: it answers a handshake that was let pass.
  if (!tls_) {
    wire_->write(std::string{bytes});
    return;
  }
  if (const auto no = tls_->send(bytes)) {
    finish(*no, false);
    return;
  }
  wire_->write(tls_->take_output());
}

void relay::begun() {
  if (!begun_ && admitted_) {
    begun_ = true;
    uv_timer_stop(&deadline_);
  }
}

bool relay::is_wire_ready() const {
  return wire_ && wire_->is_connected() && (rules_.tls ? tls_ && tls_->is_established() : true);
}

void relay::update_reading() {
  if (finishing_) {
    for (auto* stream : {wire_.get(), caf_.get()}) {
      if (stream != nullptr) {
        stream->read(true); // Only to hear its end.
      }
    }
    return;
  }
  const auto caf_is_there = caf_ && caf_->is_connected();
  if (wire_) {
    wire_->read((caf_is_there ? caf_->queued_bytes() <= queued_max : !admitted_)
                && wire_->queued_bytes() <= owed_max);
  }
  if (caf_is_there) {
    caf_->read(is_wire_ready() && wire_->queued_bytes() <= queued_max);
  }
}

void relay::ended(tcp_stream& from, const std::string& why) {
  const auto is_wire = &from == wire_.get();
  const auto was_connected = from.is_connected();
  from.close();
  if (!was_connected && !finishing_) {
    dial_next(why);
    return;
  }
  if (why.empty() && !begun_) {
    finish(is_wire ? "closed by the peer before its handshake" : "closed by CAF", !is_wire);
  } else {
    finish(why, !is_wire);
  }
}

void relay::written(tcp_stream& /*from*/) {
  update_reading();
}

void relay::finish(const std::string& why, bool say_why) {
  if (finishing_) {
    return;
  }
  finishing_ = true;
  why_ = why;
  if (rules_.ending) {
    rules_.ending(*this, why, begun_); // First of all: who waits for CAF may ask at once.
  }
  uv_timer_stop(&dial_deadline_);
  if (wire_ && tls_ && wire_->is_connected()) {
    tls_->close();
    wire_->write(tls_->take_output());
  }
  end(wire_, say_why);
  end(caf_, begun_);
  set_timer(deadline_, linger_ms);
}

void relay::end(const std::shared_ptr<tcp_stream>& stream, bool in_good_order) {
  if (!stream) {
    return;
  }
  if (in_good_order && stream->is_connected() && !stream->is_ended()) {
    // A socket closed with bytes unread is reset, and its last words may be lost.
    stream->shut_down();
    stream->read(true);
  } else {
    stream->close();
  }
}

void relay::closed(tcp_stream& /*from*/) {
  --handles_;
  if (!finishing_ || handles_ > timer_count) {
    return;
  }
  for (auto* timer : {&deadline_, &dial_deadline_}) {
    uv_close(reinterpret_cast<uv_handle_t*>(timer), [](uv_handle_t* handle) {
      auto& x = relay_of(reinterpret_cast<uv_timer_t*>(handle));
      if (--x.handles_ == 0) {
        x.rules_.over(x, x.why_, x.begun_); // May be the end of it.
      }
    });
  }
}

void relay::set_timer(uv_timer_t& timer, duration_ms length) {
  uv_timer_start(
    &timer,
    [](uv_timer_t* rung) {
      auto& x = relay_of(rung);
      rung == &x.deadline_ ? x.too_late() : x.address_too_late();
    },
    static_cast<std::uint64_t>(length), 0);
}

} // namespace belay::gates
