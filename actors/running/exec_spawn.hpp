// Starting a child so that it cannot outlive this program.
#pragma once

#include <string>
#include <vector>

namespace belay::running {

struct spawn_request {
  std::string path;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string cwd;
};

/// A started child: its process, a descriptor that becomes readable when it has ended, and our ends
/// of its standard streams.
struct spawned_child {
  int os_pid = -1;
  int pid_fd = -1;
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
};

/// Starts a child in a session and process group of its own. The kernel kills it when the calling
/// thread ends (PR_SET_PDEATHSIG): call it from a thread that lives as long as the program.
/// Throws `std::system_error` naming the step that failed.
[[nodiscard]] spawned_child spawn_child(const spawn_request& request);

/// Kills whole process groups when this program ends, however it ends: PR_SET_PDEATHSIG reaches
/// only children, not what they have started.
///
/// It is a shell in a session of its own that reads group ids from a socket; at end of file, which
/// the kernel sends even after SIGKILL, it kills every group it still knows.
class group_guard {
public:
  group_guard();
  ~group_guard();
  group_guard(const group_guard&) = delete;
  group_guard& operator=(const group_guard&) = delete;

  void add(int group) const;
  void remove(int group) const;

private:
  void say(char what, int group) const;

  int fd_ = -1;
  int os_pid_ = -1;
};

} // namespace belay::running
