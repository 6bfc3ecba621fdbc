// The belay program as a person runs it: real processes, real files.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace belay::tests {

struct program_result {
  /// The exit code, or 128 + the signal.
  int code = 0;
  std::string out;
  std::string err;
};

/// Runs a program to its end and returns what it said.
program_result run_program(const std::vector<std::string>& argv, const std::string& input = {});

/// Runs `belay` with these arguments.
program_result run_belay(std::vector<std::string> arguments, const std::string& input = {});

/// Starts a program that says nothing; returns its pid. It ends with this one.
int start_program(const std::vector<std::string>& argv);

/// Sends a signal (0: none), waits for the end and returns the exit code (128 + signal).
int end_program(int os_pid, int number);

/// Waits; for tests whose subject is an instant, never to let something happen.
void let_pass(std::chrono::milliseconds length);

/// A node in a process of its own on one data directory.
class node_process {
public:
  /// `program` is one with belay's command line.
  node_process(std::filesystem::path directory, std::vector<std::string> settings,
               std::string program = BELAY_PROGRAM, std::vector<std::string> flags = {});
  ~node_process();
  node_process(const node_process&) = delete;
  node_process& operator=(const node_process&) = delete;

  void start();
  /// Sends a signal; returns the exit code (128 + signal when it was killed).
  int end(int number);
  [[nodiscard]] bool running() const {
    return os_pid_ > 0;
  }
  [[nodiscard]] const std::filesystem::path& directory() const {
    return directory_;
  }
  [[nodiscard]] int os_pid() const {
    return os_pid_;
  }
  /// Runs a client command against this node.
  program_result ask(std::vector<std::string> arguments, const std::string& input = {}) const;

private:
  std::filesystem::path directory_;
  std::vector<std::string> settings_;
  std::string program_;
  std::vector<std::string> flags_;
  int os_pid_ = -1;
};

/// A worker node in a process of its own.
class worker_process {
public:
  worker_process(std::uint16_t registry_port, std::string name, std::vector<std::string> flags,
                 std::string program = BELAY_PROGRAM);
  /// `registry` is HOST:PORT.
  worker_process(std::string registry, std::string name, std::vector<std::string> flags,
                 std::string program = BELAY_PROGRAM);
  ~worker_process();
  worker_process(const worker_process&) = delete;
  worker_process& operator=(const worker_process&) = delete;

  void start();
  /// Sends a signal (0: none) and waits for the end; returns the exit code (128 + signal when
  /// killed).
  int end(int number);
  /// Sends a signal that does not end it.
  void send(int number) const;
  [[nodiscard]] const std::string& name() const {
    return name_;
  }
  [[nodiscard]] bool running() const {
    return os_pid_ > 0;
  }

private:
  std::string registry_;
  std::string name_;
  std::vector<std::string> flags_;
  std::string program_;
  int os_pid_ = -1;
};

/// Returns how many descriptors a process has open (/proc).
std::size_t open_descriptors_of(int os_pid);

/// Returns a port of 127.0.0.1 that nobody listens on.
std::uint16_t free_port();

/// Returns the pids whose environment holds `NAME=value` (/proc).
std::vector<int> processes_with(const std::string& variable);

} // namespace belay::tests
