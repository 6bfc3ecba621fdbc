// Workflows of random shape, answered in random order, crashed at random commits: code sees the
// same in the same order on every replay, and no effect is had too early or twice.
#include "tests/support/workflow_driver.hpp"

using namespace belay;
using namespace belay::tests;
using namespace std::chrono_literals;

namespace {

enum class shape { step, call, broken, kid, signal, late, sleep, now, emit, random, all, any, row };

struct node {
  shape kind = shape::row;
  std::string name;
  std::vector<node> parts;
};

/// What the code has seen, and what it did wrong.
struct witness {
  std::vector<std::string> seen;
  std::vector<std::string> wrong;
  std::size_t steps = 0;
  /// Values that code has seen and no commit has kept.
  bool values = false;
  const workflow_driver* driver = nullptr;

  void see(const std::string& name, const json& value) {
    seen.push_back(name + "=" + value.dump());
  }
  void run_step(const std::string& name) {
    ++steps;
    if (values) {
      wrong.push_back(name + " was run before the commit of values");
    }
    for (const auto& one : driver->journal) {
      if (one.kind == effect_kind::step && one.name == name && one.done != 0) {
        wrong.push_back(name + " was run again");
      }
    }
  }
};

node make_node(std::mt19937_64& random, int depth, int& count) {
  node x;
  const auto leaf = depth == 0 || random() % 3 == 0;
  x.kind = leaf ? static_cast<shape>(random() % 10) : static_cast<shape>(10 + random() % 3);
  x.name = "n" + std::to_string(++count);
  if (!leaf) {
    const auto parts = 1 + random() % 4;
    for (std::size_t i = 0; i < parts; ++i) {
      x.parts.push_back(make_node(random, depth - 1, count));
    }
  }
  return x;
}

task<json> interpret(workflow& wf, const node& x, witness& w);

task<json> leaf(workflow& wf, const node& x, witness& w) {
  switch (x.kind) {
    case shape::step:
      co_return co_await wf.step(x.name, [&] {
        w.run_step(x.name);
        return x.name;
      });
    case shape::call:
      co_return co_await wf.call("echo", {{"n", x.name}});
    case shape::broken:
      co_return co_await wf.call("broken", {{"n", x.name}});
    case shape::kid: {
      w.values = w.values || !wf.replaying();
      auto kid = co_await wf.start("echo", {{"n", x.name}});
      co_return co_await kid;
    }
    case shape::signal:
      co_return co_await wf.wait_signal("s" + std::to_string(x.name.size() % 2));
    case shape::late: {
      auto got = co_await wf.wait_signal("never", 5s);
      co_return got.has_value();
    }
    case shape::sleep:
      co_await wf.sleep(1s * x.name.size());
      co_return 0;
    case shape::now: {
      w.values = w.values || !wf.replaying();
      co_return wf.now().time_since_epoch().count();
    }
    case shape::emit:
      w.values = w.values || !wf.replaying();
      wf.emit("e." + x.name, x.name);
      co_return 0;
    default:
      co_return wf.random();
  }
}

task<json> branches(workflow& wf, const node& x, witness& w) {
  std::vector<task<json>> parts;
  for (const auto& one : x.parts) {
    parts.push_back(interpret(wf, one, w));
  }
  if (x.kind == shape::all) {
    auto values = co_await when_all(std::move(parts));
    co_return values;
  }
  auto first = co_await when_any(std::move(parts));
  co_return {first.index, first.value};
}

task<json> row(workflow& wf, const node& x, witness& w) {
  json values = json::array();
  for (const auto& one : x.parts) {
    values.push_back(co_await interpret(wf, one, w));
  }
  co_return values;
}

task<json> interpret(workflow& wf, const node& x, witness& w) {
  json value;
  auto stopped = false;
  try {
    if (x.kind == shape::row) {
      value = co_await row(wf, x, w);
    } else if (x.kind == shape::all || x.kind == shape::any) {
      value = co_await branches(wf, x, w);
    } else {
      value = co_await leaf(wf, x, w);
    }
  } catch (const failure& e) {
    value = e.code;
  } catch (const cancellation&) {
    stopped = true;
  }
  if (stopped) {
    value = co_await wf.call("undo", {{"n", x.name}});
    w.see(x.name + "-cancelled", wf.cancelled());
    if (x.name.back() % 2 == 0) {
      throw cancellation{"passed on"};
    }
  }
  w.see(x.name, value);
  co_return value;
}

workflow_driver make_driver(std::uint64_t seed, const node& root, witness& w) {
  workflow_driver driver{[&root, &w](workflow& wf, json /*args*/) -> task<json> {
    auto value = co_await interpret(wf, root, w);
    co_return value;
  }};
  driver.random.emplace(seed);
  driver.limits.batch_children_max = 2;
  driver.tools["broken"]
    = [](const json&) { return make_failure(failure_class::external, "broken", "", false); };
  for (auto i = 0; i < 200; ++i) {
    driver.signals.push_back({i % 2 == 0 ? "s0" : "s1", json(i)});
  }
  return driver;
}

void run_seed(std::uint64_t seed) {
  std::mt19937_64 random{seed};
  auto count = 0;
  node root;
  for (auto i = 0; i < 3; ++i) {
    root.parts.push_back(make_node(random, 3, count));
  }
  root.name = "root";
  witness w;
  auto driver = make_driver(seed, root, w);
  w.driver = &driver;
  if (random() % 2 == 0) {
    driver.cancel_at_commit = random() % 12;
  }
  std::vector<std::string> kept;
  auto fresh = false;
  driver.at_start = [&] {
    w.seen.clear();
    w.values = false;
    fresh = true;
    (random() % 2 == 0 ? driver.crash_before : driver.crash_after)
      = driver.commits + 1 + random() % 6;
  };
  driver.after_advance = [&](workflows::engine& /*x*/) {
    if (std::exchange(fresh, false)
        && (w.seen.size() < kept.size() || !std::equal(kept.begin(), kept.end(), w.seen.begin()))) {
      w.wrong.push_back("replay saw something else");
    }
  };
  driver.after_commit = [&] {
    kept = w.seen;
    w.values = false;
  };
  driver.on_want = [&](const workflows::want& x) {
    if (w.values && (x.kind == effect_kind::call || x.kind == effect_kind::child)) {
      w.wrong.push_back("call handed out before the commit of values");
    }
  };
  const auto ended = driver.run_through_crashes();
  REQUIRE(ended);
  CAPTURE(ended->message);
  CHECK(ended->code != "journal_mismatch");
  CHECK(w.wrong == std::vector<std::string>{});
  const auto seen = w.seen;
  const auto steps = w.steps;
  const auto engine = driver.start();
  engine->advance();
  CHECK(engine->result() == ended);
  CHECK(w.seen == seen);
  CHECK(w.steps == steps);
  CHECK_FALSE(engine->is_dirty());
  CHECK(engine->take_wants().empty());
}

} // namespace

TEST_CASE("workflow: random shapes, orders, cancels and crashes replay as they ran",
          "[workflow][random]") {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    CAPTURE(seed);
    run_seed(seed);
  }
}
