// belay top: a node as it runs, on the screen.
#include "app/commands/commands.hpp"
#include "app/top/fetcher.hpp"
#include "app/top/keys.hpp"
#include "app/top/source.hpp"
#include "app/top/terminal.hpp"
#include "app/top/view.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace belay::app {

namespace {

constexpr duration_ms interval_default_ms = 1'000;
/// More often nobody can read it.
constexpr duration_ms interval_min_ms = 100;
constexpr duration_ms interval_max_ms = 3'600'000;
/// How long the end waits for requests under way before it leaves them behind.
constexpr std::chrono::milliseconds end_patience{500};
/// Columns of --once where nobody says how many, and at most.
constexpr int once_columns = 80;
constexpr int once_columns_max = 500;

struct top_options {
  std::string interval;
  bool once = false;
};

duration_ms interval_of(const top_options& x) {
  if (x.interval.empty()) {
    return interval_default_ms;
  }
  const auto length = parse_duration_flag("--interval", x.interval);
  if (length < interval_min_ms || length > interval_max_ms) {
    throw command_failure{exit_code::usage, "--interval: '" + x.interval
                                              + "' is not acceptable, expected 100ms to 1h"};
  }
  return length;
}

/// Signals as something to poll.
class signal_source {
public:
  signal_source() {
    sigset_t set{};
    sigemptyset(&set);
    for (const int x : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP}) {
      sigaddset(&set, x);
    }
    // In every thread that is started from here on too.
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    descriptor_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) {
      throw std::runtime_error{"no signalfd"};
    }
  }
  ~signal_source() {
    close(descriptor_);
  }
  signal_source(const signal_source&) = delete;
  signal_source& operator=(const signal_source&) = delete;

  [[nodiscard]] int descriptor() const {
    return descriptor_;
  }

  /// Returns the next signal that came; 0 when there is none.
  [[nodiscard]] int next() const {
    signalfd_siginfo x{};
    return read(descriptor_, &x, sizeof x) == sizeof x ? static_cast<int>(x.ssi_signo) : 0;
  }

private:
  int descriptor_ = -1;
};

/// The screen's loop: keys, signals and news, one at a time.
class top_screen {
public:
  top_screen(top::terminal& terminal, top::fetcher& node, const signal_source& signals,
             top::model state)
    : terminal_{terminal}, node_{node}, signals_{signals}, state_{std::move(state)} {}

  void run() {
    // Once a second anew, so that what is late can be seen to be.
    constexpr int redraw_ms = 1'000;
    while (!ended_) {
      state_.clock_ms = top::steady_ms();
      terminal_.draw(top::draw(state_, terminal_.size()));
      std::array<pollfd, 3> watched{{{STDIN_FILENO, POLLIN, 0},
                                     {signals_.descriptor(), POLLIN, 0},
                                     {node_.descriptor(), POLLIN, 0}}};
      poll(watched.data(), watched.size(), redraw_ms);
      take_signals();
      take_news();
      while (const auto pressed = ended_ ? std::nullopt : terminal_.next_key()) {
        obey(top::update(state_, *pressed, terminal_.size()));
      }
      if ((watched[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
        ended_ = true; // The terminal is gone.
      }
    }
  }

private:
  void take_signals() {
    while (const auto number = signals_.next()) {
      if (number == SIGWINCH) {
        terminal_.resize();
      } else if (number == SIGTSTP) {
        terminal_.leave();
        raise(SIGSTOP);
        terminal_.enter();
      } else {
        ended_ = true;
      }
    }
  }

  void take_news() {
    auto fresh = node_.take();
    if (fresh.got) {
      top::receive(state_, std::move(*fresh.got), terminal_.size());
    }
    if (fresh.lost) {
      top::receive(state_, std::move(*fresh.lost));
    }
    for (auto& text : fresh.said) {
      top::receive(state_, std::move(text));
    }
  }

  void obey(const top::wish& wanted) {
    switch (wanted.what) {
      case top::wish::kind::none:
        break;
      case top::wish::kind::quit:
        ended_ = true;
        break;
      case top::wish::kind::ask:
        node_.ask(state_.asks);
        break;
      default:
        node_.act(wanted);
        break;
    }
  }

  top::terminal& terminal_;
  top::fetcher& node_;
  const signal_source& signals_;
  top::model state_;
  bool ended_ = false;
};

exit_code once(const common_options& common, const top_options& x) {
  const auto client = connect(common);
  top::screen on{0, once_columns, top::speaks_utf8()};
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    on.columns = std::clamp<int>(size.ws_col, once_columns, once_columns_max);
  }
  auto state = top::make_model(interval_of(x));
  const auto take_in = [&] {
    auto got = expect(top::look(*client, state.asks));
    got.at_ms = top::steady_ms();
    state.clock_ms = got.at_ms;
    top::receive(state, std::move(got), on);
  };
  take_in();
  if (!x.interval.empty()) {
    poll(nullptr, 0, static_cast<int>(state.interval_ms)); // Two looks make a rate.
    take_in();
  }
  if (common.quiet) {
    return exit_code::success;
  }
  state.places = {};
  for (const auto& line : top::draw_once(state, on)) {
    print_line(line.plain());
  }
  return exit_code::success;
}

exit_code watch(const common_options& common, const top_options& x) {
  if (isatty(STDOUT_FILENO) == 0 || isatty(STDIN_FILENO) == 0) {
    throw command_failure{exit_code::usage,
                          "top needs a terminal for its screen and its keys; `belay top --once` "
                          "prints one frame as text"};
  }
  const auto interval = interval_of(x);
  const signal_source signals;
  auto state = top::make_model(interval);
  top::fetcher node{[common] { return connect(common); }, std::chrono::milliseconds{interval},
                    state.asks};
  {
    top::terminal terminal;
    top_screen{terminal, node, signals, std::move(state)}.run();
  }
  if (!node.stop(end_patience)) {
    // A request waits for a node that does not answer. The terminal is as it was, and nothing else
    // is held.
    std::fflush(stdout);
    std::_Exit(static_cast<int>(exit_code::success));
  }
  return exit_code::success;
}

exit_code top_command(const common_options& common, const top_options& x) {
  if (common.format == output_format::json) {
    throw command_failure{exit_code::usage,
                          "-o: top has no JSON; `belay list`, `nodes` and `tree` have"};
  }
  if (common.quiet && !x.once) {
    throw command_failure{exit_code::usage, "-q: top without --once is nothing but its screen"};
  }
  return x.once ? once(common, x) : watch(common, x);
}

} // namespace

void add_top_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("top", "Watch a node as it runs");
  auto x = std::make_shared<top_options>();
  add_common(command, common);
  command.add_option("--interval", x->interval, "From one look to the next (default: 1s)");
  command.add_flag("--once", x->once,
                   "Print one frame as text; with --interval two looks, for the rates");
  command.footer("Keys: ? shows them; q quits.\n"
                 "Example: belay top --node 127.0.0.1:7400 --interval 2s");
  command.callback(
    [&common, &action, x] { action = [&common, x] { return top_command(common, *x); }; });
}

} // namespace belay::app
