#include "actors/metrics/http_server.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <microhttpd.h>
#include <string_view>

namespace belay::metrics {

namespace {

/// What the library keeps beside the head of a request: its answer's head, and room to read into.
constexpr std::size_t connection_bytes_margin = 4'096;

struct address {
  sockaddr_storage bytes{};
  bool is_v6 = false;
};

checked<address> parse(const std::string& text, std::uint16_t port) {
  address result;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result.bytes);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.bytes);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return result;
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    result.is_v6 = true;
    return result;
  }
  return refusal{ec::bad_request, "'" + text + "' is not an IP address"};
}

MHD_Result send(MHD_Connection* to, const http_response& x, const char* allowed) {
  // The library copies the body, and does not write to it.
  auto* body = const_cast<char*>(x.body.data());
  auto* response = MHD_create_response_from_buffer(x.body.size(), body, MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) {
    return MHD_NO;
  }
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, x.type.c_str());
  MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  if (allowed != nullptr) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allowed);
  }
  const auto queued = MHD_queue_response(to, x.status, response);
  MHD_destroy_response(response);
  return queued;
}

} // namespace

struct http_server::impl {
  std::map<std::string, handler> paths;
  MHD_Daemon* daemon = nullptr;
  std::uint16_t port = 0;

  ~impl() {
    if (daemon != nullptr) {
      MHD_stop_daemon(daemon);
    }
  }

  MHD_Result answer(MHD_Connection* to, const char* path, std::string_view method) const {
    const auto found = paths.find(path);
    if (found == paths.end()) {
      std::string known = "not found; there are:\n";
      for (const auto& [name, handle] : paths) {
        known += name + "\n";
      }
      return send(to, {MHD_HTTP_NOT_FOUND, known}, nullptr);
    }
    if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD) {
      return send(to, {MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n"}, "GET, HEAD");
    }
    try {
      return send(to, found->second(), nullptr);
    } catch (const std::exception& x) {
      return send(to, {MHD_HTTP_INTERNAL_SERVER_ERROR, std::string{x.what()} + "\n"}, nullptr);
    }
  }

  static MHD_Result came(void* self, MHD_Connection* from, const char* path, const char* method,
                         const char* /*version*/, const char* /*upload*/,
                         std::size_t* /*upload_size*/, void** /*request*/) {
    // Answered with the head alone: a body is not waited for, and the connection ends after it.
    return static_cast<const impl*>(self)->answer(from, path, method);
  }
};

checked<std::unique_ptr<http_server>>
http_server::open(const http_options& options, std::map<std::string, handler> paths) {
  const auto at = parse(options.address, options.port);
  if (!at) {
    return at.why();
  }
  auto x = std::make_unique<impl>();
  x->paths = std::move(paths);
  unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC;
  if (at->is_v6) {
    flags |= MHD_USE_IPv6;
  }
  const auto seconds = static_cast<unsigned>((options.timeout_ms + 999) / 1'000);
  const auto threads = static_cast<unsigned>(options.threads);
  std::array<MHD_OptionItem, 6> settings{{
    {MHD_OPTION_CONNECTION_LIMIT, static_cast<intptr_t>(options.connections_max), nullptr},
    {MHD_OPTION_CONNECTION_TIMEOUT, static_cast<intptr_t>(seconds), nullptr},
    {MHD_OPTION_CONNECTION_MEMORY_LIMIT,
     static_cast<intptr_t>(options.request_bytes_max + connection_bytes_margin), nullptr},
    {MHD_OPTION_SOCK_ADDR, 0, const_cast<sockaddr_storage*>(&at->bytes)},
    // One thread is the default, and no pool.
    {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, static_cast<intptr_t>(threads),
     nullptr},
    {MHD_OPTION_END, 0, nullptr},
  }};
  errno = 0;
  x->daemon = MHD_start_daemon(flags, options.port, nullptr, nullptr, &impl::came, x.get(),
                               MHD_OPTION_ARRAY, settings.data(), MHD_OPTION_END);
  if (x->daemon == nullptr) {
    return refusal{ec::bad_request, "cannot listen on " + options.address + " port "
                                      + std::to_string(options.port) + ": " + std::strerror(errno)};
  }
  const auto* bound = MHD_get_daemon_info(x->daemon, MHD_DAEMON_INFO_BIND_PORT);
  x->port = bound != nullptr ? bound->port : options.port;
  return std::unique_ptr<http_server>{new http_server{std::move(x)}};
}

http_server::http_server(std::unique_ptr<impl> x) : impl_{std::move(x)} {}

http_server::~http_server() = default;

std::uint16_t http_server::port() const {
  return impl_->port;
}

} // namespace belay::metrics
