// A tiny collector: takes OTLP over HTTP on a port of 127.0.0.1.
#pragma once

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace belay::tests {

class collector {
public:
  /// A request as it came.
  struct request {
    std::string head;
    std::string body;
  };

  /// 0 lets the system choose. `status` is answered to all.
  explicit collector(std::uint16_t port = 0, int status = 200) : status_{status} {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    if (fd_ < 0 || bind(fd_, address, length) != 0 || listen(fd_, 16) != 0
        || getsockname(fd_, address, &length) != 0) {
      throw std::runtime_error{"the test's collector cannot listen"};
    }
    port_ = ntohs(at.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }

  ~collector() {
    shutdown(fd_, SHUT_RDWR); // Ends accept.
    thread_.join();
    close(fd_);
  }

  collector(const collector&) = delete;
  collector& operator=(const collector&) = delete;

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/v1/traces";
  }

  void answer(int status) {
    status_ = status;
  }

  /// Waits until so many requests have come; returns all.
  std::vector<request> wait_for(std::size_t count) {
    std::unique_lock guard{mutex_};
    came_.wait(guard, [&] { return requests_.size() >= count; });
    return requests_;
  }

  /// Waits until a body that was taken holds this text.
  void wait_for(const std::string& text) {
    std::unique_lock guard{mutex_};
    came_.wait(guard, [&] { return taken_.find(text) != std::string::npos; });
  }

private:
  void serve() {
    for (;;) {
      const int peer = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) {
        return;
      }
      take(peer);
      close(peer);
    }
  }

  void take(int peer) {
    std::string text;
    std::string::size_type end = std::string::npos;
    std::size_t wanted = 0;
    while (end == std::string::npos || text.size() < wanted) {
      std::array<char, 4'096> part{};
      const auto count = read(peer, part.data(), part.size());
      if (count <= 0) {
        return;
      }
      text.append(part.data(), static_cast<std::size_t>(count));
      if (end == std::string::npos && (end = text.find("\r\n\r\n")) != std::string::npos) {
        const auto length = text.find("Content-Length: ");
        wanted = end + 4 + std::stoul(text.substr(length + 16));
      }
    }
    const int status = status_;
    const auto answer = "HTTP/1.1 " + std::to_string(status)
                        + " X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                          "Connection: close\r\n\r\n{}";
    static_cast<void>(!send(peer, answer.data(), answer.size(), MSG_NOSIGNAL));
    const std::lock_guard guard{mutex_};
    requests_.push_back({text.substr(0, end), text.substr(end + 4)});
    if (status == 200) {
      taken_ += requests_.back().body;
    }
    came_.notify_all();
  }

  std::atomic<int> status_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<request> requests_;
  std::string taken_;
  std::thread thread_;
};

} // namespace belay::tests
