// A small HTTP server: a few fixed paths that are read.
//
// Free of CAF. The paths have no parameters and no bodies; whatever else comes is refused before it
// is read.
#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace belay::metrics {

struct http_response {
  unsigned status = 200;
  std::string body;
  std::string type = "text/plain; charset=utf-8";
};

struct http_options {
  /// An IPv4 or IPv6 address.
  std::string address = "127.0.0.1";
  /// 0 lets the system choose.
  std::uint16_t port = 0;
  /// Connections at once; further ones are closed.
  std::size_t connections_max = 16;
  /// Threads that answer.
  std::size_t threads = 2;
  /// Largest head of a request in bytes; a longer one is refused.
  std::size_t request_bytes_max = 16'384;
  /// A connection that says nothing for so long is closed; rounded up to seconds.
  duration_ms timeout_ms = 10'000;
};

/// Answers GET and HEAD of the given paths; others are 404, other methods 405. Destruction closes
/// every connection.
class http_server {
public:
  /// Called on one of the server's threads. What it throws is answered with 500.
  using handler = std::function<http_response()>;

  /// Refuses (`bad_request`) an address that cannot be listened on.
  [[nodiscard]] static checked<std::unique_ptr<http_server>>
  open(const http_options& options, std::map<std::string, handler> paths);

  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  [[nodiscard]] std::uint16_t port() const;

private:
  struct impl;
  explicit http_server(std::unique_ptr<impl> x);
  std::unique_ptr<impl> impl_;
};

} // namespace belay::metrics
