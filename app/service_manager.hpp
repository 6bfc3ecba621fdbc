// What a node tells the service manager that started it (systemd), and when it says that it lives.
//
// Free of libsystemd, which only the program itself is linked with (app/main.cpp): programs that
// embed belay need it as little as they need systemd.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace belay::app {

/// The way to the service manager. Without `notify` there is none, and nothing is done.
struct service_link {
  /// Takes lines as sd_notify(3) does. Called from any thread.
  std::function<void(const std::string&)> notify;
  /// How long it waits for a sign of life before it ends the program (WatchdogSec); 0: for ever.
  std::chrono::microseconds watchdog{0};
};

/// Says READY, RELOADING, STOPPING and STATUS. The node is ready once it listens *and* takes work;
/// those two are learnt on different threads.
///
/// Concurrency: every member from any thread.
class service_manager {
public:
  explicit service_manager(service_link link);

  /// What is waited for until the node is ready, for people.
  void starting(const std::string& status);
  /// The program is set up. `status` is what it does from now on.
  void started(const std::string& status);
  /// The node takes work; or, once it has, its link to the registry is lost.
  void takes_work(bool yes);

  /// Around a reload. `failure` is why it was refused, when it was.
  void reloading();
  void reloaded(const std::optional<std::string>& failure);

  /// The end has begun; it takes `at_most`.
  void stopping(const std::string& status, std::chrono::milliseconds at_most);
  void alive();

private:
  /// Requires the mutex. `again`: says that it is ready also when it has said so.
  void say_state(bool again);
  void say(const std::string& lines) const;

  const service_link link_;
  std::mutex mutex_;
  std::string status_;
  /// Of the last reload.
  std::string remark_;
  bool started_ = false;
  bool takes_work_ = false;
  bool ready_ = false;
  bool reloading_ = false;
  bool stopping_ = false;
};

/// Decides when a sign of life is sent: at half of what the service manager waits, and only as the
/// answer of the node's own actors, so that a node that is stuck is started again.
///
/// No thread of its own: who waits for signals calls `tick` when `due` has come.
class watchdog {
public:
  using time_point = std::chrono::steady_clock::time_point;

  struct setup {
    /// How long the service manager waits; 0: for ever.
    std::chrono::microseconds limit{0};
    /// Asks the node for a sign of life, which may take `patience`; answers once, from any thread.
    std::function<void(std::chrono::milliseconds patience, std::function<void(bool)>)> ask;
    /// Sends one.
    std::function<void()> alive;
    /// The node has not answered for half the time or more.
    std::function<void()> silent;
  };

  explicit watchdog(setup given);

  /// Returns when `tick` is to be called; nothing: never.
  [[nodiscard]] std::optional<time_point> due() const;

  /// Asks, if it is time and the last question is answered.
  void tick(time_point now);

private:
  /// Outlives the watchdog while a question is open.
  struct question;

  setup setup_;
  std::optional<time_point> due_;
  std::shared_ptr<question> question_;
};

} // namespace belay::app
