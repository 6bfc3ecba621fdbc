// A node as a service manager runs it: with a socket for what it says, and a pipe for its log.
#pragma once

#include "tests/support/program.hpp"
#include "tests/support/scratch_directory.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace belay::tests {

class service_process {
public:
  /// `flags` follow `belay node`; `watchdog_us` 0: no watchdog.
  service_process(std::vector<std::string> flags, std::int64_t watchdog_us);
  ~service_process();
  service_process(const service_process&) = delete;
  service_process& operator=(const service_process&) = delete;

  /// Returns the next message as names and values. Fails the test when there is none in a minute.
  std::map<std::string, std::string> next_notice();
  /// The same; returns nothing when there is none for so long.
  std::optional<std::map<std::string, std::string>> next_notice(std::chrono::milliseconds within);
  /// Reads on until there is one with this name, and returns it.
  std::map<std::string, std::string> notice_with(const std::string& name);

  /// Reads the log up to an event, and returns its line. Fails the test when the log ends, or says
  /// nothing for a minute.
  nlohmann::json log_line(const std::string& event);

  void send(int number) const;
  /// Sends a signal, waits for the end and returns the exit code (128 + signal).
  int end(int number);

private:
  scratch_directory scratch_;
  int notices_ = -1;
  int log_ = -1;
  std::string log_text_;
  int os_pid_ = -1;
};

} // namespace belay::tests
