#include "actors/running/exec_spawn.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace belay::running {

namespace {

/// Two connected descriptors, closed unless taken.
class fd_pair {
public:
  explicit fd_pair(bool socket) {
    const auto made = socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_.data())
                             : pipe2(fds_.data(), O_CLOEXEC);
    if (made != 0) {
      throw std::system_error{errno, std::generic_category(), "pipe"};
    }
  }

  ~fd_pair() {
    close_end(0);
    close_end(1);
  }

  fd_pair(const fd_pair&) = delete;
  fd_pair& operator=(const fd_pair&) = delete;

  [[nodiscard]] int end(std::size_t which) const {
    return fds_.at(which);
  }

  int take(std::size_t which) {
    const int fd = fds_.at(which);
    fds_.at(which) = -1;
    return fd;
  }

  void close_end(std::size_t which) {
    if (fds_.at(which) >= 0) {
      close(take(which));
    }
  }

private:
  std::array<int, 2> fds_{-1, -1};
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const auto& text : texts) {
    result.push_back(const_cast<char*>(text.c_str())); // execve(2) does not write to them.
  }
  result.push_back(nullptr);
  return result;
}

/// What the child does between fork and exec: async-signal-safe calls only.
struct child_plan {
  const char* path;
  char* const* argv;
  char* const* environment;
  const char* cwd;
  std::array<int, 3> streams;
  int error_fd;
  pid_t parent;
  bool dies_with_parent;

  [[noreturn]] void fail() const {
    const int why = errno;
    static_cast<void>(!write(error_fd, &why, sizeof why));
    _exit(127);
  }

  [[noreturn]] void run() const {
    setsid();
    if (dies_with_parent) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) {
        _exit(127); // The parent died before the line above.
      }
    }
    for (int i = 0; i < 3; ++i) {
      if (dup2(streams[static_cast<std::size_t>(i)], i) < 0) {
        fail();
      }
    }
    if (cwd != nullptr && chdir(cwd) != 0) {
      fail();
    }
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) {
      sigaction(number, &standard, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    // Whatever a library has left open to children.
    syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    execve(path, argv, environment);
    fail();
  }
};

/// Forks and waits until the child has executed its program. Throws when it could not.
pid_t launch(child_plan plan, fd_pair& errors) {
  plan.error_fd = errors.end(1);
  plan.parent = getpid();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto child = fork();
  if (child == 0) {
    plan.run();
  }
  const int fork_errno = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) {
    throw std::system_error{fork_errno, std::generic_category(), "fork"};
  }
  errors.close_end(1);
  int why = 0;
  ssize_t count = 0;
  do {
    count = read(errors.end(0), &why, sizeof why);
  } while (count < 0 && errno == EINTR);
  if (count == sizeof why) {
    waitpid(child, nullptr, 0);
    throw std::system_error{why, std::generic_category(), "exec"};
  }
  return child;
}

constexpr const char* guard_script = R"(trap '' TERM INT HUP QUIT
g=
while read -r op pid; do
  case $op in
    +) g="$g $pid" ;;
    -) n=; for p in $g; do [ "$p" = "$pid" ] || n="$n $p"; done; g=$n ;;
  esac
done
for p in $g; do kill -9 -"$p" 2>/dev/null; done
)";

} // namespace

spawned_child spawn_child(const spawn_request& request) {
  fd_pair in{false};
  fd_pair out{false};
  fd_pair err{false};
  fd_pair errors{false};
  auto argv = pointers(request.argv);
  auto environment = pointers(request.environment);
  child_plan plan{};
  plan.path = request.path.c_str();
  plan.argv = argv.data();
  plan.environment = environment.data();
  plan.cwd = request.cwd.empty() ? nullptr : request.cwd.c_str();
  plan.streams = {in.end(0), out.end(1), err.end(1)};
  plan.dies_with_parent = true;
  spawned_child child;
  child.os_pid = launch(plan, errors);
  child.pid_fd = static_cast<int>(syscall(SYS_pidfd_open, child.os_pid, 0));
  if (child.pid_fd < 0) {
    const int why = errno;
    kill(-child.os_pid, SIGKILL);
    waitpid(child.os_pid, nullptr, 0);
    throw std::system_error{why, std::generic_category(), "pidfd_open"};
  }
  fcntl(child.pid_fd, F_SETFD, FD_CLOEXEC);
  child.stdin_fd = in.take(1);
  child.stdout_fd = out.take(0);
  child.stderr_fd = err.take(0);
  return child;
}

group_guard::group_guard() {
  fd_pair talk{true};
  fd_pair errors{false};
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  const std::vector<std::string> words{"/bin/sh", "-c", guard_script, "belay-group-guard"};
  const std::vector<std::string> environment{"PATH=/usr/bin:/bin"};
  auto argv = pointers(words);
  auto env = pointers(environment);
  child_plan plan{};
  plan.path = "/bin/sh";
  plan.argv = argv.data();
  plan.environment = env.data();
  plan.cwd = "/";
  plan.streams = {talk.end(1), nowhere, nowhere};
  plan.dies_with_parent = false;
  try {
    os_pid_ = launch(plan, errors);
  } catch (...) {
    close(nowhere);
    throw;
  }
  close(nowhere);
  fd_ = talk.take(0);
}

group_guard::~group_guard() {
  close(fd_);
  waitpid(os_pid_, nullptr, 0);
}

void group_guard::say(char what, int group) const {
  const auto line = std::string{what} + " " + std::to_string(group) + "\n";
  static_cast<void>(!send(fd_, line.data(), line.size(), MSG_NOSIGNAL));
}

void group_guard::add(int group) const {
  say('+', group);
}

void group_guard::remove(int group) const {
  say('-', group);
}

} // namespace belay::running
