#include "tests/service/service_process.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace belay::tests {

namespace {

constexpr std::chrono::milliseconds patience{60'000};

bool is_readable(int descriptor, std::chrono::milliseconds within) {
  pollfd watched{descriptor, POLLIN, 0};
  return poll(&watched, 1, static_cast<int>(within.count())) == 1;
}

} // namespace

service_process::service_process(std::vector<std::string> flags, std::int64_t watchdog_us) {
  const auto path = (scratch_.path() / "notify").string();
  notices_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::strcpy(address.sun_path, path.c_str());
  REQUIRE(bind(notices_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  std::array<int, 2> ends{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  log_ = ends[0];
  fcntl(log_, F_SETPIPE_SZ, 1 << 20); // A node must never wait for a test that reads its log late.
  flags.insert(flags.begin(), {BELAY_PROGRAM, "node"});
  std::vector<char*> words;
  for (auto& word : flags) {
    words.push_back(word.data());
  }
  words.push_back(nullptr);
  os_pid_ = fork();
  if (os_pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], 2);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    if (watchdog_us > 0) {
      setenv("WATCHDOG_USEC", std::to_string(watchdog_us).c_str(), 1);
    }
    execv(words[0], words.data());
    _exit(127);
  }
  close(ends[1]);
}

service_process::~service_process() {
  if (os_pid_ > 0) {
    end(SIGKILL);
  }
  close(notices_);
  close(log_);
}

std::optional<std::map<std::string, std::string>>
service_process::next_notice(std::chrono::milliseconds within) {
  if (!is_readable(notices_, within)) {
    return std::nullopt;
  }
  std::array<char, 4'096> bytes{};
  const auto size = recv(notices_, bytes.data(), bytes.size(), 0);
  REQUIRE(size > 0);
  std::map<std::string, std::string> result;
  std::istringstream lines{std::string{bytes.data(), static_cast<std::size_t>(size)}};
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    REQUIRE(equals != std::string::npos);
    result[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return result;
}

std::map<std::string, std::string> service_process::next_notice() {
  auto got = next_notice(patience);
  if (!got) {
    FAIL("the node says nothing");
  }
  return *got;
}

std::map<std::string, std::string> service_process::notice_with(const std::string& name) {
  for (;;) {
    auto got = next_notice();
    if (got.count(name) == 1) {
      return got;
    }
  }
}

nlohmann::json service_process::log_line(const std::string& event) {
  for (;;) {
    const auto end_of_line = log_text_.find('\n');
    if (end_of_line != std::string::npos) {
      const auto line = nlohmann::json::parse(log_text_.substr(0, end_of_line), nullptr, false);
      log_text_.erase(0, end_of_line + 1);
      if (line.is_object() && line.value("event", "") == event) {
        return line;
      }
      continue;
    }
    std::array<char, 4'096> bytes{};
    const auto size = is_readable(log_, patience) ? read(log_, bytes.data(), bytes.size()) : 0;
    if (size <= 0) {
      FAIL("the log does not say " << event);
    }
    log_text_.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

void service_process::send(int number) const {
  kill(os_pid_, number);
}

int service_process::end(int number) {
  const auto code = end_program(os_pid_, number);
  os_pid_ = -1;
  return code;
}

} // namespace belay::tests
