#include "tests/support/program.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace belay::tests {

namespace {

std::vector<char*> pointers(const std::vector<std::string>& argv) {
  std::vector<char*> result;
  for (const auto& word : argv) {
    result.push_back(const_cast<char*>(word.c_str()));
  }
  result.push_back(nullptr);
  return result;
}

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int spawn(const std::vector<std::string>& argv) {
  auto words = pointers(argv);
  const auto child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(words[0], words.data());
    _exit(127);
  }
  return child;
}

/// Sends a signal, waits for the end and returns the exit code.
int end_child(int& pid, int number) {
  kill(pid, number);
  int status = 0;
  waitpid(pid, &status, 0);
  pid = -1;
  return code_of(status);
}

struct pipe_pair {
  pipe_pair() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw std::runtime_error{"pipe"};
    }
  }
  std::array<int, 2> ends{};
};

} // namespace

int start_program(const std::vector<std::string>& argv) {
  auto words = pointers(argv);
  const auto child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, 0);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    execv(words[0], words.data());
    _exit(127);
  }
  return child;
}

int end_program(int os_pid, int number) {
  return end_child(os_pid, number);
}

program_result run_program(const std::vector<std::string>& argv, const std::string& input) {
  const pipe_pair in;
  const pipe_pair out;
  const pipe_pair err;
  auto words = pointers(argv);
  const auto child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in.ends[0], 0);
    dup2(out.ends[1], 1);
    dup2(err.ends[1], 2);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(in.ends[0]);
  close(out.ends[1]);
  close(err.ends[1]);
  std::signal(SIGPIPE, SIG_IGN);
  // Inputs of tests fit into a pipe.
  if (!input.empty() && write(in.ends[1], input.data(), input.size()) < 0) {
    throw std::runtime_error{"cannot write the input"};
  }
  close(in.ends[1]);
  program_result result;
  std::array<pollfd, 2> watched{{{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}}};
  std::array<std::string*, 2> texts{&result.out, &result.err};
  for (int open = 2; open > 0;) {
    poll(watched.data(), watched.size(), -1);
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].fd < 0 || watched[i].revents == 0) {
        continue;
      }
      std::array<char, 65'536> room{};
      const auto count = read(watched[i].fd, room.data(), room.size());
      if (count > 0) {
        texts[i]->append(room.data(), static_cast<std::size_t>(count));
      } else {
        close(watched[i].fd);
        watched[i].fd = -1;
        --open;
      }
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  result.code = code_of(status);
  return result;
}

program_result run_belay(std::vector<std::string> arguments, const std::string& input) {
  arguments.insert(arguments.begin(), BELAY_PROGRAM);
  return run_program(arguments, input);
}

void let_pass(std::chrono::milliseconds length) {
  poll(nullptr, 0, static_cast<int>(length.count()));
}

node_process::node_process(std::filesystem::path directory, std::vector<std::string> settings,
                           std::string program, std::vector<std::string> flags)
  : directory_{std::move(directory)},
    settings_{std::move(settings)},
    program_{std::move(program)},
    flags_{std::move(flags)} {
  start();
}

node_process::~node_process() {
  if (running()) {
    end(SIGKILL);
  }
}

void node_process::start() {
  std::vector<std::string> argv{program_, "node",           "--data", directory_.string(),
                                "--set",  "log.level=error"};
  for (const auto& x : settings_) {
    argv.insert(argv.end(), {"--set", x});
  }
  argv.insert(argv.end(), flags_.begin(), flags_.end());
  // Clients must not find the address of the one before.
  std::filesystem::remove(directory_ / "node.json");
  os_pid_ = spawn(argv);
}

int node_process::end(int number) {
  return end_child(os_pid_, number);
}

program_result
node_process::ask(std::vector<std::string> arguments, const std::string& input) const {
  // The --data of a signal is what it says.
  const auto* directory = arguments.at(0) == "signal" ? "--directory" : "--data";
  const auto words = arguments.at(0) == "queue" ? 2 : 1;
  arguments.insert(arguments.begin() + words,
                   {directory, directory_.string(), "--connect-timeout", "20s"});
  arguments.insert(arguments.begin(), program_);
  return run_program(arguments, input);
}

worker_process::worker_process(std::uint16_t registry_port, std::string name,
                               std::vector<std::string> flags, std::string program)
  : worker_process{"127.0.0.1:" + std::to_string(registry_port), std::move(name), std::move(flags),
                   std::move(program)} {}

worker_process::worker_process(std::string registry, std::string name,
                               std::vector<std::string> flags, std::string program)
  : registry_{std::move(registry)},
    name_{std::move(name)},
    flags_{std::move(flags)},
    program_{std::move(program)} {
  start();
}

worker_process::~worker_process() {
  if (running()) {
    end(SIGKILL);
  }
}

void worker_process::start() {
  std::vector<std::string> argv{program_, "node", "--join", registry_,
                                "--name", name_,  "--set",  "log.level=error"};
  argv.insert(argv.end(), flags_.begin(), flags_.end());
  os_pid_ = spawn(argv);
}

int worker_process::end(int number) {
  return end_child(os_pid_, number);
}

void worker_process::send(int number) const {
  kill(os_pid_, number);
}

std::size_t open_descriptors_of(int os_pid) {
  const std::filesystem::directory_iterator all{"/proc/" + std::to_string(os_pid) + "/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::uint16_t free_port() {
  const auto descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(descriptor, raw, length) != 0 || getsockname(descriptor, raw, &length) != 0) {
    throw std::runtime_error{"no free port"};
  }
  close(descriptor);
  return ntohs(address.sin_port);
}

std::vector<int> processes_with(const std::string& variable) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    std::ifstream in{entry.path() / "environ", std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (text.find(variable) != std::string::npos) {
      found.push_back(std::stoi(name));
    }
  }
  return found;
}

} // namespace belay::tests
