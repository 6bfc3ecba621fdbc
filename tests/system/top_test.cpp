// belay top on a terminal, against a real node.
#include "tests/support/pseudo_terminal.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <sstream>

using namespace belay;
using tests::has;

namespace {

struct top_fixture {
  tests::scratch_directory scratch;
  std::uint16_t port = tests::free_port();
  tests::node_process node{scratch.path() / "data",
                           {"node.port=" + std::to_string(port), "tools.exec.allow=[\"*\"]",
                            "worker.slots=4", "worker.cancel_grace=200ms",
                            "worker.interruptions_max=0"}};

  void start(const std::string& id) {
    const auto got = node.ask({"start", "--id", id, "exec", "--", "sleep", "600"});
    INFO(got.err);
    REQUIRE(got.code == 0);
    while (!has(node.ask({"get", id}).out, "lease")) {
    }
  }

  [[nodiscard]] std::vector<std::string> command() const {
    return {BELAY_PROGRAM, "top", "--data", node.directory().string(), "--interval", "200ms"};
  }
};

void check_restored(const tests::pseudo_terminal& terminal, const termios& before) {
  CHECK_FALSE(terminal.is_taken());
  const auto after = terminal.settings();
  CHECK(after.c_lflag == before.c_lflag);
  CHECK(after.c_iflag == before.c_iflag);
  CHECK(after.c_oflag == before.c_oflag);
  CHECK(after.c_cflag == before.c_cflag);
  CHECK(std::memcmp(static_cast<const void*>(after.c_cc), static_cast<const void*>(before.c_cc),
                    sizeof after.c_cc)
        == 0);
}

} // namespace

TEST_CASE_METHOD(top_fixture, "top: keys do what they say, and q leaves the terminal as it was",
                 "[system][cli][top]") {
  start("first");
  start("second");
  tests::pseudo_terminal terminal{command(), 24, 80};
  const auto before = terminal.settings(); // Nothing is drawn before the first answer is awaited.
  CHECK(terminal.shows("rows 1-2 of 2"));
  CHECK(terminal.shows("running 2"));
  CHECK(terminal.shows("slots 2/4"));
  CHECK(terminal.is_taken());
  INFO(terminal.screen());

  terminal.type("/fir\r");
  CHECK(terminal.hides("second "));
  CHECK(terminal.shows("first "));
  CHECK(terminal.shows("/fir"));
  terminal.type("\r");
  CHECK(terminal.shows("'local' runs it; its lease is good until"));
  CHECK(terminal.shows("process.started"));
  terminal.type("\x1b");
  CHECK(terminal.hides("process.started"));

  terminal.type("c");
  CHECK(terminal.shows("cancel first? y or n"));
  terminal.type("n");
  CHECK(terminal.shows("left as it is"));
  CHECK(has(node.ask({"get", "first"}).out, "running"));
  terminal.type("c");
  CHECK(terminal.shows("cancel first? y or n"));
  terminal.type("y");
  CHECK(node.ask({"wait", "first", "--timeout", "60s"}).code == 3);
  CHECK(terminal.shows("cancelled 1"));
  CHECK(terminal.shows("none"));

  terminal.type("/\x7f\x7f\x7fstate=cancelled\r");
  CHECK(terminal.shows("rows 1-1"));
  terminal.type("r");
  CHECK(terminal.shows("register anew first? y or n"));
  terminal.type("y");
  CHECK(terminal.shows("first~1 registered, as first was"));
  CHECK(has(node.ask({"get", "first~1"}).out, "sleep"));

  terminal.type("2");
  CHECK(terminal.shows("1 of 1 queues"));
  terminal.type("p");
  CHECK(terminal.shows("pause queue default? y or n"));
  terminal.type("y");
  CHECK(terminal.shows("PAUSED"));
  CHECK(has(node.ask({"queues"}).out, "paused"));
  terminal.type("3");
  CHECK(terminal.shows("1 of 1 nodes"));
  terminal.type("4");
  CHECK(terminal.shows("local/keeper/second"));
  terminal.type("?");
  CHECK(terminal.shows("registered/s"));
  terminal.type("xq");
  CHECK(terminal.end() == 0);
  check_restored(terminal, before);
  tests::stop_and_check(node);
}

TEST_CASE_METHOD(top_fixture, "top: signals, and a terminal that is resized, leave it as it was",
                 "[system][cli][top]") {
  start("a");
  const auto number = GENERATE(SIGTERM, SIGINT, SIGHUP);
  tests::pseudo_terminal terminal{command(), 30, 100};
  const auto before = terminal.settings();
  CHECK(terminal.shows("rows 1-1 of 1"));
  terminal.resize(20, 60);
  CHECK(terminal.shows("belay top needs 80x24, this is 60x20"));
  terminal.resize(40, 130);
  CHECK(terminal.shows("rows 1-1 of 1"));
  if (number == SIGINT) {
    terminal.type("\x03"); // As Ctrl-C does it.
  } else {
    terminal.send(number);
  }
  CHECK(terminal.end() == 0);
  check_restored(terminal, before);
}

TEST_CASE_METHOD(top_fixture, "top: a node that is killed is said to be gone, and found again",
                 "[system][cli][top]") {
  start("a");
  tests::pseudo_terminal terminal{command(), 24, 80};
  const auto before = terminal.settings();
  CHECK(terminal.shows("rows 1-1 of 1"));
  node.end(SIGKILL);
  CHECK(terminal.shows("no node for "));
  CHECK(terminal.shows("a  ")); // What was last known.
  node.start();
  CHECK(terminal.hides("no node for "));
  CHECK(terminal.shows("running 1"));
  node.end(SIGKILL);
  CHECK(terminal.shows("no node for "));
  terminal.type("q");
  CHECK(terminal.end() == 0);
  check_restored(terminal, before);
}

TEST_CASE_METHOD(top_fixture, "top: a node that does not answer holds up neither keys nor the end",
                 "[system][cli][top]") {
  start("a");
  tests::pseudo_terminal terminal{command(), 24, 80};
  const auto before = terminal.settings();
  CHECK(terminal.shows("rows 1-1 of 1"));
  kill(node.os_pid(), SIGSTOP);
  terminal.type("?");
  CHECK(terminal.shows("any key back"));
  terminal.type("x");
  CHECK(terminal.shows("no answer for "));
  terminal.type("q");
  CHECK(terminal.end() == 0);
  check_restored(terminal, before);
  kill(node.os_pid(), SIGCONT);
}

TEST_CASE_METHOD(top_fixture, "top: without colours and without UTF-8", "[system][cli][top]") {
  start("a");
  const auto kind = GENERATE(as<std::string>{}, "xterm", "vt100", "linux");
  tests::pseudo_terminal terminal{command(), 24, 80, {"TERM=" + kind, "LC_ALL=C", "NO_COLOR=1"}};
  CHECK(terminal.shows("rows 1-1 of 1"));
  const auto text = terminal.screen();
  CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; }));
  terminal.type("q");
  CHECK(terminal.end() == 0);
}

TEST_CASE_METHOD(top_fixture, "top: without a terminal it says what to do, and prints one frame",
                 "[system][cli][top]") {
  start("a");
  const auto refused = node.ask({"top"});
  CHECK(refused.code == 2);
  CHECK(has(refused.err, "`belay top --once` prints one frame as text"));
  const auto frame = node.ask({"top", "--once", "--interval", "100ms"});
  INFO(frame.out);
  CHECK(frame.code == 0);
  CHECK(has(frame.out, "running 1  ready 0"));
  CHECK(has(frame.out, "finished 0.0/s"));
  CHECK(has(frame.out, "\na  "));
  CHECK(frame.out.find('\x1b') == std::string::npos);
  std::istringstream lines{frame.out};
  for (std::string line; std::getline(lines, line);) {
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
    CHECK(line.size() - static_cast<std::size_t>(std::count_if(line.begin(), line.end(), continues))
          <= 80);
  }
  CHECK(has(node.ask({"top", "--once", "--interval", "1ms"}).err,
            "--interval: '1ms' is not acceptable, expected 100ms to 1h"));
  CHECK(node.ask({"top", "--once", "-o", "json"}).code == 2);
  tests::pseudo_terminal unknown{
    {BELAY_PROGRAM, "top", "--data", node.directory().string()}, 24, 80, {"TERM=no-such-thing"}};
  CHECK(unknown.shows("'no-such-thing' is no terminal whose cursor can be moved"));
  CHECK(unknown.end() == 2);
  tests::pseudo_terminal dumb{
    {BELAY_PROGRAM, "top", "--data", node.directory().string()}, 24, 80, {"TERM=dumb"}};
  CHECK(dumb.shows("'dumb' is no terminal whose cursor can be moved"));
  CHECK(dumb.end() == 2);
  CHECK(tests::run_belay({"top", "--data", scratch.path().string(), "--once"}).code == 69);
}
