#include "actors/gate/tcp_stream.hpp"

#include <array>
#include <netinet/in.h>

namespace belay::gates {

namespace {

/// One buffer for all reads of a loop: what was read is used before the next read begins. 64 KiB is
/// what libuv suggests itself.
uv_buf_t shared_buffer() {
  thread_local std::array<char, 65'536> bytes; // NOLINT: one for each loop's thread
  return uv_buf_init(bytes.data(), static_cast<unsigned int>(bytes.size()));
}

sockaddr_storage peer_of(const uv_tcp_t& tcp) {
  sockaddr_storage address{};
  int size = sizeof address;
  uv_tcp_getpeername(&tcp, reinterpret_cast<sockaddr*>(&address), &size);
  return address;
}

} // namespace

struct tcp_stream::write_request {
  uv_write_t request{};
  std::string bytes;
  tcp_stream* from = nullptr;
};

std::string address_text(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    uv_ip6_name(&v6, text.data(), text.size());
    return "[" + std::string{text.data()} + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  uv_ip4_name(&v4, text.data(), text.size());
  return std::string{text.data()} + ":" + std::to_string(ntohs(v4.sin_port));
}

tcp_stream::tcp_stream(uv_loop_t* loop, stream_owner& owner) : loop_{loop}, owner_{owner} {}

tcp_stream& tcp_stream::of(void* data) {
  return *static_cast<tcp_stream*>(data);
}

void tcp_stream::prepare() {
  uv_tcp_init(loop_, &tcp_);
  tcp_.data = this;
  self_ = shared_from_this();
}

bool tcp_stream::accept(uv_stream_t* from) {
  prepare();
  if (uv_accept(from, reinterpret_cast<uv_stream_t*>(&tcp_)) != 0) {
    close();
    return false;
  }
  connected_ = true;
  uv_tcp_nodelay(&tcp_, 1);
  return true;
}

void tcp_stream::connect(const sockaddr& to) {
  prepare();
  connect_.data = this;
  const auto status = uv_tcp_connect(&connect_, &tcp_, &to, [](uv_connect_t* request, int result) {
    auto& x = of(request->data);
    if (result == UV_ECANCELED || x.closing_) {
      return;
    }
    if (result != 0) {
      x.end(result);
      return;
    }
    x.connected_ = true;
    uv_tcp_nodelay(&x.tcp_, 1);
    x.owner_.connected(x);
  });
  if (status != 0) {
    end(status);
  }
}

void tcp_stream::read(bool on) {
  if (on == reading_ || !connected_ || closing_ || (on && ended_)) {
    return;
  }
  reading_ = on;
  auto* const stream = reinterpret_cast<uv_stream_t*>(&tcp_);
  if (!on) {
    uv_read_stop(stream);
    return;
  }
  uv_read_start(
    stream, [](uv_handle_t*, std::size_t, uv_buf_t* to) { *to = shared_buffer(); },
    [](uv_stream_t* handle, ssize_t size, const uv_buf_t* bytes) {
      auto& x = of(handle->data);
      if (size > 0) {
        x.owner_.received(x, {bytes->base, static_cast<std::size_t>(size)});
      } else if (size < 0) {
        uv_read_stop(handle);
        x.reading_ = false;
        x.end(static_cast<int>(size));
      }
    });
}

void tcp_stream::end(int status) {
  if (!ended_ && !closing_) {
    ended_ = true;
    // A program that ends with bytes unread resets its connections: that is an end, no fault.
    const auto in_order = status == UV_EOF || status == UV_ECONNRESET || status == UV_EPIPE;
    owner_.ended(*this, in_order && connected_ ? std::string{} : uv_strerror(status));
  }
}

void tcp_stream::write(std::string bytes) {
  if (bytes.empty() || !connected_ || closing_) {
    return;
  }
  auto* const stream = reinterpret_cast<uv_stream_t*>(&tcp_);
  if (queued_bytes() == 0) {
    auto now = uv_buf_init(bytes.data(), static_cast<unsigned int>(bytes.size()));
    const auto taken = uv_try_write(stream, &now, 1);
    if (taken > 0) {
      bytes.erase(0, static_cast<std::size_t>(taken));
    }
    if (bytes.empty()) {
      return;
    }
  }
  auto* const x = new write_request{{}, std::move(bytes), this};
  x->request.data = x;
  const auto buffer = uv_buf_init(x->bytes.data(), static_cast<unsigned int>(x->bytes.size()));
  const auto status
    = uv_write(&x->request, stream, &buffer, 1, [](uv_write_t* request, int result) {
        const std::unique_ptr<write_request> done{static_cast<write_request*>(request->data)};
        auto& from = *done->from;
        if (from.closing_) {
          return;
        }
        if (result != 0) {
          from.end(result);
        } else {
          from.owner_.written(from);
        }
      });
  if (status != 0) {
    delete x;
    end(status);
  }
}

void tcp_stream::shut_down() {
  if (connected_ && !closing_) {
    uv_shutdown(&shutdown_, reinterpret_cast<uv_stream_t*>(&tcp_), nullptr);
  }
}

void tcp_stream::close() {
  if (!self_ || closing_) {
    return;
  }
  closing_ = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), [](uv_handle_t* handle) {
    auto& x = of(handle->data);
    const auto kept = std::move(x.self_);
    x.owner_.closed(x);
  });
}

std::size_t tcp_stream::queued_bytes() const {
  return uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(&tcp_));
}

std::string tcp_stream::peer_address() const {
  const auto address = peer_of(tcp_);
  return address_text(reinterpret_cast<const sockaddr&>(address));
}

std::uint16_t tcp_stream::peer_port() const {
  const auto address = peer_of(tcp_);
  return address.ss_family == AF_INET6
           ? ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port)
           : ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

} // namespace belay::gates
