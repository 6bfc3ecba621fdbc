#include "tests/support/pseudo_terminal.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>
#include <vterm.h>

namespace belay::tests {

namespace {

constexpr std::chrono::seconds patience{60};
constexpr int poll_ms = 1'000;

int on_property(VTermProp prop, VTermValue* value, void* user) {
  auto& flags = *static_cast<std::array<bool, 2>*>(user);
  if (prop == VTERM_PROP_ALTSCREEN) {
    flags[0] = value->boolean != 0;
  } else if (prop == VTERM_PROP_CURSORVISIBLE) {
    flags[1] = value->boolean == 0;
  }
  return 1;
}

} // namespace

struct pseudo_terminal::impl {
  int master = -1;
  /// Held open, so that the line is there when the program is not.
  int slave = -1;
  int os_pid = -1;
  int pid_descriptor = -1;
  int rows = 0;
  int columns = 0;
  VTerm* emulator = nullptr;
  VTermScreen* shown = nullptr;
  VTermScreenCallbacks callbacks{};
  std::array<bool, 2> flags{};

  /// Reads what the program has written; waits a while for the first of it.
  void read_on(int wait_ms) {
    pollfd watched{master, POLLIN, 0};
    while (poll(&watched, 1, wait_ms) > 0) {
      std::array<char, 65'536> room{};
      const auto count = read(master, room.data(), room.size());
      if (count <= 0) {
        return;
      }
      vterm_input_write(emulator, room.data(), static_cast<std::size_t>(count));
      wait_ms = 0;
    }
  }
};

pseudo_terminal::pseudo_terminal(const std::vector<std::string>& argv, int rows, int columns,
                                 const std::vector<std::string>& environment)
  : impl_{std::make_unique<impl>()} {
  auto& x = *impl_;
  x.rows = rows;
  x.columns = columns;
  const winsize size{static_cast<unsigned short>(rows), static_cast<unsigned short>(columns), 0, 0};
  if (openpty(&x.master, &x.slave, nullptr, nullptr, &size) != 0) {
    throw std::runtime_error{"openpty"};
  }
  fcntl(x.master, F_SETFD, FD_CLOEXEC);
  fcntl(x.slave, F_SETFD, FD_CLOEXEC);
  x.emulator = vterm_new(rows, columns);
  vterm_set_utf8(x.emulator, 1);
  x.shown = vterm_obtain_screen(x.emulator);
  x.callbacks.settermprop = on_property;
  vterm_screen_set_callbacks(x.shown, &x.callbacks, &x.flags);
  vterm_screen_enable_altscreen(x.shown, 1);
  vterm_screen_reset(x.shown, 1);
  std::vector<char*> words;
  for (const auto& word : argv) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  x.os_pid = fork();
  if (x.os_pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    login_tty(dup(x.slave));
    setenv("TERM", "xterm-256color", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    for (const auto& one : environment) {
      putenv(const_cast<char*>(one.c_str()));
    }
    execv(words[0], words.data());
    _exit(127);
  }
  x.pid_descriptor = static_cast<int>(syscall(SYS_pidfd_open, x.os_pid, 0));
}

pseudo_terminal::~pseudo_terminal() {
  if (impl_->os_pid > 0) {
    kill(impl_->os_pid, SIGKILL);
    waitpid(impl_->os_pid, nullptr, 0);
  }
  vterm_free(impl_->emulator);
  close(impl_->pid_descriptor);
  close(impl_->master);
  close(impl_->slave);
}

void pseudo_terminal::type(const std::string& keys) {
  if (write(impl_->master, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) {
    throw std::runtime_error{"cannot type"};
  }
}

void pseudo_terminal::resize(int rows, int columns) {
  impl_->rows = rows;
  impl_->columns = columns;
  vterm_set_size(impl_->emulator, rows, columns);
  const winsize size{static_cast<unsigned short>(rows), static_cast<unsigned short>(columns), 0, 0};
  ioctl(impl_->master, TIOCSWINSZ, &size);
}

void pseudo_terminal::send(int number) const {
  kill(impl_->os_pid, number);
}

std::string pseudo_terminal::screen() const {
  std::string text;
  for (int row = 0; row < impl_->rows; ++row) {
    std::string line(static_cast<std::size_t>(impl_->columns) * 6, '\0');
    const auto length = vterm_screen_get_text(impl_->shown, line.data(), line.size(),
                                              {row, row + 1, 0, impl_->columns});
    line.resize(length);
    text += line + "\n";
  }
  return text;
}

bool pseudo_terminal::until(const std::string& part, bool there) {
  const auto start = std::chrono::steady_clock::now();
  while ((screen().find(part) != std::string::npos) != there) {
    if (std::chrono::steady_clock::now() - start > patience) {
      return false;
    }
    impl_->read_on(poll_ms);
  }
  return true;
}

bool pseudo_terminal::shows(const std::string& part) {
  return until(part, true);
}

bool pseudo_terminal::hides(const std::string& part) {
  return until(part, false);
}

int pseudo_terminal::end() {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    impl_->read_on(0); // A program that cannot write does not end.
    pollfd ended{impl_->pid_descriptor, POLLIN, 0};
    if (poll(&ended, 1, poll_ms / 10) > 0) {
      break;
    }
    if (std::chrono::steady_clock::now() - start > patience) {
      return -1;
    }
  }
  impl_->read_on(0);
  int status = 0;
  waitpid(impl_->os_pid, &status, 0);
  impl_->os_pid = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool pseudo_terminal::is_taken() const {
  return impl_->flags[0] || impl_->flags[1];
}

termios pseudo_terminal::settings() const {
  termios x{};
  tcgetattr(impl_->slave, &x);
  return x;
}

} // namespace belay::tests
