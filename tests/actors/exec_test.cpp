// The exec tool with real programs, and the tools on threads.
#include "actors/running/tool.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <future>
#include <mutex>
#include <unistd.h>

using namespace belay;
using namespace belay::running;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// Collects what one run says.
struct listener {
  run_callbacks callbacks() {
    return {[this](outcome x) { done.set_value(std::move(x)); },
            [this](std::string type, std::string payload) {
              const std::lock_guard guard{mutex};
              events.emplace_back(std::move(type), json::parse(payload));
              heard.notify_all();
            }};
  }

  void await_event() {
    std::unique_lock guard{mutex};
    heard.wait(guard, [this] { return !events.empty(); });
  }

  std::promise<outcome> done;
  std::future<outcome> ended = done.get_future();
  std::mutex mutex;
  std::condition_variable heard;
  std::vector<std::pair<std::string, json>> events;
};

struct exec_fixture {
  outcome run(const json& args) {
    listener said;
    const auto handle = exec.start({"the-id", 3}, args, said.callbacks());
    return said.ended.get();
  }

  outcome shell(const std::string& script) {
    return run({{"argv", {"sh", "-c", script}}});
  }

  exec_service service{exec_options{{"*"}, 1'000, 100'000, 8}};
  tool exec = service.as_tool();
};

std::size_t open_files() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& x : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    ++count;
  }
  return count;
}

json value(const outcome& x) {
  return json::parse(x.value);
}

} // namespace

TEST_CASE_METHOD(exec_fixture, "exec: exit codes and signals become outcomes", "[actors][exec]") {
  const auto good = shell("echo out; echo err >&2");
  CHECK(good.kind == outcome_kind::success);
  CHECK(value(good).at("stdout") == "out\n");
  CHECK(value(good).at("stderr") == "err\n");
  CHECK(value(good).at("exit_code") == 0);
  const auto bad = shell("exit 7");
  CHECK(bad.kind == outcome_kind::failure);
  CHECK(bad.code == "exit_7");
  CHECK(bad.retryable);
  const auto killed = shell("kill -SEGV $$");
  CHECK(killed.code == "signal_SIGSEGV");
  CHECK(value(killed).at("signal") == "SIGSEGV");
  CHECK(run({{"argv", {"sh", "-c", "exit 7"}}, {"success_codes", {0, 7}}}).kind
        == outcome_kind::success);
}

TEST_CASE_METHOD(exec_fixture, "exec: input, environment and working directory arrive",
                 "[actors][exec]") {
  const std::string input(50'000, 'i');
  CHECK(value(run({{"argv", {"wc", "-c"}}, {"stdin", input}})).at("stdout") == "50000\n");
  CHECK(value(run({{"argv", {"pwd"}}, {"cwd", "/usr"}})).at("stdout") == "/usr\n");
  CHECK(value(run({{"argv", {"sh", "-c", "echo $X $BELAY_PROCESS_ID $BELAY_ATTEMPT"}},
                   {"env", {{"X", "y z"}}}}))
          .at("stdout")
        == "y z the-id 3\n");
  CHECK(value(run({{"argv", {"/usr/bin/env"}}, {"clear_env", true}})).at("stdout")
        == "BELAY_ATTEMPT=3\nBELAY_PROCESS_ID=the-id\n");
  CHECK(run({{"argv", {"true"}}, {"cwd", "/no/such"}}).code == "cwd_not_found");
  // A child that does not read its input, and one that has none.
  CHECK(run({{"argv", {"true"}}, {"stdin", input}}).kind == outcome_kind::success);
  CHECK(run({{"argv", {"cat"}}}).kind == outcome_kind::success);
}

TEST_CASE_METHOD(exec_fixture, "exec: output is kept up to the bound and counted beyond it",
                 "[actors][exec]") {
  const auto x = value(shell("head -c 300000 /dev/zero | tr '\\0' x"));
  CHECK(x.at("stdout").get<std::string>() == std::string(1'000, 'x'));
  CHECK(x.at("stdout_bytes") == 300'000);
  CHECK(x.at("stdout_truncated") == true);
  CHECK(x.at("stderr_truncated") == false);
  const auto binary = value(shell("printf '\\377\\376'"));
  CHECK_FALSE(binary.contains("stdout"));
  CHECK(binary.at("stdout_base64") == "//4=");
}

TEST_CASE_METHOD(exec_fixture, "exec: streams output as events when asked", "[actors][exec]") {
  listener said;
  const auto handle = exec.start(
    {"id", 1},
    {{"argv", {"sh", "-c", "echo up; read x; echo $x"}}, {"stdin", "down\n"}, {"stream", true}},
    said.callbacks());
  CHECK(said.ended.get().kind == outcome_kind::success);
  std::string text;
  for (const auto& [type, payload] : said.events) {
    CHECK(type == "exec.stdout");
    text += payload.at("text").get<std::string>();
  }
  CHECK(text == "up\ndown\n");
}

TEST_CASE_METHOD(exec_fixture, "exec: cancel asks, kill ends the whole group", "[actors][exec]") {
  SECTION("a program that listens") {
    listener said;
    const auto handle = exec.start({"id", 1}, {{"argv", {"sleep", "600"}}}, said.callbacks());
    handle->cancel();
    const auto x = said.ended.get();
    CHECK(x.kind == outcome_kind::cancelled);
  }
  SECTION("one that does not, and its child") {
    listener said;
    const auto handle
      = exec.start({"id", 1},
                   {{"argv", {"sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"}},
                    {"stream", true}},
                   said.callbacks());
    said.await_event();
    handle->cancel();
    CHECK(said.ended.wait_for(50ms) == std::future_status::timeout);
    handle->kill();
    CHECK(said.ended.get().kind == outcome_kind::cancelled);
    const auto child = std::stoi(said.events.front().second.at("text").get<std::string>());
    // The kill was sent before the outcome; the child may still be a zombie of init's.
    while (kill(child, 0) == 0) {
      if (json(std::filesystem::exists("/proc/" + std::to_string(child) + "/fd")) == false) {
        break;
      }
    }
    SUCCEED("gone");
  }
}

TEST_CASE_METHOD(exec_fixture, "exec: a dropped run is killed without a word", "[actors][exec]") {
  const tests::scratch_directory scratch;
  listener said;
  auto handle
    = exec.start({"id", 1}, {{"argv", {"sh", "-c", "echo $$; exec sleep 60"}}, {"stream", true}},
                 said.callbacks());
  said.await_event();
  handle.reset();
  // A later run on the same loop ends after the drop was carried out.
  CHECK(shell("true").kind == outcome_kind::success);
  CHECK(said.ended.wait_for(0s) == std::future_status::timeout);
}

TEST_CASE_METHOD(exec_fixture, "exec: many short runs leave no descriptor behind",
                 "[actors][exec]") {
  shell("true");
  const auto before = open_files();
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<listener>> all;
    std::vector<std::unique_ptr<tool_run>> handles;
    for (int i = 0; i < 30; ++i) { // More than may run at once.
      all.push_back(std::make_unique<listener>());
      handles.push_back(exec.start({"id", 1}, {{"argv", {"true"}}}, all.back()->callbacks()));
    }
    for (auto& x : all) {
      CHECK(x->ended.get().kind == outcome_kind::success);
    }
  }
  shell("true");
  shell("true");
  CHECK(open_files() <= before + 5); // The last run's own may still be closing.
}

TEST_CASE("exec: only allowed programs run, by the path that will really run", "[actors][exec]") {
  const tests::scratch_directory scratch;
  std::filesystem::create_symlink("/bin/sh", scratch.path() / "true");
  exec_service service{exec_options{{"true", "/usr/bin/e*"}, 100, 100, 8}};
  const auto exec = service.as_tool();
  const auto code = [&exec](const json& args) {
    listener said;
    const auto handle = exec.start({"id", 1}, args, said.callbacks());
    const auto x = said.ended.get();
    return x.kind == outcome_kind::success ? "success" : x.code;
  };
  CHECK(code({{"argv", {"true"}}}) == "success");
  CHECK(code({{"argv", {"echo"}}}) == "success");
  CHECK(code({{"argv", {"sh", "-c", "true"}}}) == "program_not_allowed");
  CHECK(code({{"argv", {(scratch.path() / "true").string()}}}) == "program_not_allowed");
  CHECK(code({{"argv", {"../usr/bin/true"}}, {"cwd", "/etc"}}) == "program_not_allowed");
  CHECK(code({{"argv", {"no-such-program"}}}) == "program_not_found");
  CHECK(code({{"argv", {""}}}) == "bad_arguments");
  CHECK(code({{"argv", {"true"}}, {"stdin", std::string(200, 'x')}}) == "bad_arguments");
}

TEST_CASE("toolbox: arguments are checked against the schema by path", "[actors][tools]") {
  toolbox box;
  tool_threads threads{2};
  add_small_tools(box, threads);
  exec_service service{{}};
  box.add(service.as_tool());
  CHECK(box.names() == std::vector<std::string>{"echo", "exec", "fail", "sleep"});
  CHECK_FALSE(box.check_args("sleep", {{"ms", 5}}));
  const auto text = [&box](const std::string& name, const json& args) {
    const auto no = box.check_args(name, args);
    return no ? no->text : std::string{};
  };
  CHECK(text("sleep", {{"ms", "5"}}).find("args/ms: \"5\"") == 0);
  CHECK(text("sleep", json::object()).find("ms") != std::string::npos);
  CHECK(text("exec", {{"argv", {"a", 5}}}).find("args/argv/1: 5") == 0);
  CHECK(text("exec", {{"argv", {"a"}}, {"cmd", 1}}).find("cmd") != std::string::npos);
  CHECK_THROWS_AS(box.add({"echo", json::object(), {}}), std::invalid_argument);
  CHECK_THROWS_AS(box.add({"", json::object(), {}}), std::invalid_argument);
}

TEST_CASE("tool threads: results, exceptions, cancel, and functions that hang", "[actors][tools]") {
  tool_threads threads{2};
  std::promise<void> release;
  auto released = release.get_future().share();
  const auto run = [](const tool_start& start, const json& args, auto act) {
    listener said;
    const auto handle = start({"id", 1}, args, said.callbacks());
    act(*handle, said);
    return said.ended.get();
  };
  const auto nothing = [](tool_run&, listener&) {};
  CHECK(
    run(threads.blocking([](tool_context&, const json& args) { return make_success(args.dump()); }),
        {{"a", 1}}, nothing)
      .value
    == "{\"a\":1}");
  const auto thrown = run(threads.blocking([](tool_context&, const json&) -> outcome {
    throw std::runtime_error{"broken"};
  }),
                          json::object(), nothing);
  CHECK(thrown.code == "exception");
  CHECK(thrown.message == "broken");
  const auto waits = threads.blocking([](tool_context& context, const json&) {
    context.emit("up", 1);
    return context.wait_for(1h) ? make_success("1") : make_cancelled("woken");
  });
  CHECK(run(waits, json::object(),
            [](tool_run& x, listener& said) {
              said.await_event();
              x.cancel();
            })
          .message
        == "woken");
  const auto hangs = threads.blocking([released](tool_context& context, const json&) {
    context.emit("up", 1);
    released.wait();
    return make_success("\"too late\"");
  });
  CHECK(run(hangs, json::object(),
            [](tool_run& x, listener& said) {
              said.await_event();
              x.cancel();
              x.kill();
            })
          .kind
        == outcome_kind::cancelled);
  release.set_value();
}
