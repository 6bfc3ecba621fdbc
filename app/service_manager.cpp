#include "app/service_manager.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>

namespace belay::app {

namespace {

/// Lines are separated by line breaks, so a text must not have any.
std::string without_breaks(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// What RELOADING=1 goes with (sd_notify(3)): the clock is the one systemd reads.
std::string monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1'000);
}

} // namespace

service_manager::service_manager(service_link link) : link_{std::move(link)} {}

void service_manager::say(const std::string& lines) const {
  if (link_.notify) {
    link_.notify(lines);
  }
}

void service_manager::starting(const std::string& status) {
  const std::lock_guard guard{mutex_};
  say("STATUS=" + without_breaks(status));
}

void service_manager::started(const std::string& status) {
  const std::lock_guard guard{mutex_};
  started_ = true;
  status_ = without_breaks(status);
  say_state(false);
}

void service_manager::takes_work(bool yes) {
  const std::lock_guard guard{mutex_};
  takes_work_ = yes;
  say_state(false);
}

void service_manager::say_state(bool again) {
  if (!started_ || stopping_ || reloading_ || (!takes_work_ && !ready_)) {
    return;
  }
  const std::string word = ready_ && !again ? "" : "READY=1\n";
  ready_ = true;
  say(word + "STATUS=" + (takes_work_ ? "" : "no link to the registry, trying again; ") + status_
      + remark_);
}

void service_manager::reloading() {
  const std::lock_guard guard{mutex_};
  reloading_ = true;
  if (ready_ && !stopping_) {
    say("RELOADING=1\nMONOTONIC_USEC=" + monotonic_microseconds()
        + "\nSTATUS=reading the configuration again");
  }
}

void service_manager::reloaded(const std::optional<std::string>& failure) {
  const std::lock_guard guard{mutex_};
  reloading_ = false;
  remark_ = failure ? "; the last reload was refused: " + without_breaks(*failure) : "";
  say_state(true); // A reload ends with the word that a start ends with.
}

void service_manager::stopping(const std::string& status, std::chrono::milliseconds at_most) {
  const std::lock_guard guard{mutex_};
  stopping_ = true;
  say("STOPPING=1\nSTATUS=" + without_breaks(status)
      + "\nEXTEND_TIMEOUT_USEC=" + std::to_string(std::chrono::microseconds{at_most}.count()));
}

void service_manager::alive() {
  say("WATCHDOG=1");
}

struct watchdog::question {
  std::atomic<bool> open = false;
};

watchdog::watchdog(setup given)
  : setup_{std::move(given)}, question_{std::make_shared<question>()} {
  if (setup_.limit.count() > 0) {
    due_ = time_point::min();
  }
}

std::optional<watchdog::time_point> watchdog::due() const {
  return due_;
}

void watchdog::tick(time_point now) {
  if (!due_ || now < *due_) {
    return;
  }
  due_ = now + setup_.limit / 2;
  if (question_->open.exchange(true)) {
    setup_.silent();
    return;
  }
  const auto patience = std::chrono::ceil<std::chrono::milliseconds>(setup_.limit);
  setup_.ask(patience, [open = question_, alive = setup_.alive](bool answered) {
    if (answered) {
      alive();
    }
    open->open = false;
  });
}

} // namespace belay::app
