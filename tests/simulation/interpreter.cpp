#include "tests/simulation/interpreter.hpp"

#include <functional>

namespace belay::simulation {

namespace {

using namespace std::chrono_literals;

/// All that the parts of one run share. Lives in the frame of `play`.
struct player {
  world& seen;
  workflow& wf;
  run_context at;

  void saw(const std::string& site, const std::string& what) {
    seen.saw(wf.id(), at, site + " " + what + (wf.cancelled() ? " (cancelled)" : ""));
  }
};

std::string site_of(const json& what) {
  return what.at("at").get<std::string>();
}

std::chrono::milliseconds length_of(const json& what, const char* name) {
  return std::chrono::milliseconds{what.at(name).get<std::int64_t>()};
}

/// Awaits an effect and notes what came of it.
task<json> observed(player& p, std::string site, effect<json> x) {
  try {
    auto value = co_await x;
    p.saw(site, value.dump());
    co_return value;
  } catch (const failure& no) {
    p.saw(site, "failed: " + no.code);
    throw;
  } catch (const cancellation&) {
    p.saw(site, "was interrupted");
    throw;
  }
}

task<json> block(player& p, const json& statements);

task<json> do_step(player& p, const json& what) {
  const auto site = site_of(what);
  const auto throws = what.at("throws").get<bool>();
  const auto code = [&p, &site, throws]() -> json {
    const auto count = p.seen.acts(p.wf.id(), p.at, site);
    if (throws) {
      throw failure{failure_class::execution, "planned", "a step that fails", true};
    }
    return count;
  };
  auto x = p.wf.step(site, code);
  co_await observed(p, site, x);
  co_return site;
}

call_options options_of(const json& what, const std::string& site) {
  call_options options;
  options.retry.attempts = what.at("attempts").get<std::uint32_t>();
  options.retry.backoff_ms = what.at("backoff").get<std::int64_t>();
  options.name = site;
  return options;
}

json work_of(const player& p, const json& what) {
  return {{"site", site_of(what)},
          {"run", p.at.run},
          {"fails", what.at("fails")},
          {"broken", what.at("broken")}};
}

task<json> do_call(player& p, const json& what) {
  const auto site = site_of(what);
  const auto args = work_of(p, what);
  auto x = p.wf.call("work", args, options_of(what, site));
  co_await observed(p, site, x);
  co_return site;
}

close_policy close_of(const json& what) {
  const auto name = what.at("close").get<std::string>();
  return name == "cancel"  ? close_policy::cancel
         : name == "await" ? close_policy::await
                           : close_policy::abandon;
}

started start(player& p, const json& what, const std::string& site) {
  child_options options;
  options.name = site;
  options.close = close_of(what);
  if (what.contains("program")) {
    const auto& program = what.at("program");
    options.retry.attempts = program.at("retries").get<std::uint32_t>() + 1;
    return p.wf.start_workflow("play", program, options);
  }
  options.retry.attempts = what.at("attempts").get<std::uint32_t>();
  options.retry.backoff_ms = what.at("backoff").get<std::int64_t>();
  const auto args = work_of(p, what);
  return p.wf.start("work", args, options);
}

task<json> do_child(player& p, const json& what) {
  const auto site = site_of(what);
  auto x = start(p, what, site);
  auto made = co_await x;
  p.saw(site, "started " + made.id());
  if (!what.at("await").get<bool>()) {
    co_return site;
  }
  auto end = made.result();
  co_return co_await observed(p, site, end);
}

task<json> do_children(player& p, const json& what) {
  std::vector<child> all;
  for (const auto& each : what.at("each")) {
    const auto site = site_of(each);
    auto x = start(p, each, site);
    all.push_back(co_await x);
    p.saw(site, "started " + all.back().id());
  }
  const auto site = site_of(what);
  json values;
  if (what.at("any").get<bool>()) {
    auto first = co_await when_any(all);
    values = json{first.index, first.value};
  } else {
    values = co_await when_all(all);
  }
  p.saw(site, values.dump());
  co_return values;
}

task<json> do_branches(player& p, const json& what) {
  std::vector<task<json>> all;
  for (const auto& each : what.at("each")) {
    all.push_back(block(p, each));
  }
  const auto site = site_of(what);
  json values;
  if (what.at("any").get<bool>()) {
    auto first = co_await when_any(std::move(all));
    values = json{first.index, first.value};
  } else {
    values = co_await when_all(std::move(all));
  }
  p.saw(site, "joined");
  co_return values;
}

task<json> do_race(player& p, const json& what) {
  const auto site = site_of(what);
  const auto name = what.at("signal").get<std::string>();
  auto signal = p.wf.wait_signal(name);
  auto late = p.wf.sleep(length_of(what, "ms"));
  auto first = co_await when_any(signal, late);
  auto value = first.index == 0 ? std::get<0>(first.value) : json("late");
  p.saw(site, "got " + name + " " + value.dump());
  co_return value;
}

task<json> do_signal(player& p, const json& what) {
  const auto site = site_of(what);
  const auto name = what.at("signal").get<std::string>();
  const auto length = length_of(what, "ms");
  json value = "late";
  try {
    if (length > 0ms) {
      auto x = p.wf.wait_signal(name, length);
      if (auto got = co_await x) {
        value = std::move(*got);
      }
    } else {
      auto x = p.wf.wait_signal(name);
      value = co_await x;
    }
  } catch (const cancellation&) {
    p.saw(site, "was interrupted");
    throw;
  }
  p.saw(site, "got " + name + " " + value.dump());
  co_return value;
}

task<json> do_sleep(player& p, const json& what) {
  const auto site = site_of(what);
  try {
    auto x = p.wf.sleep(length_of(what, "ms"));
    co_await x;
  } catch (const cancellation&) {
    p.saw(site, "was interrupted");
    throw;
  }
  p.saw(site, "slept");
  co_return site;
}

task<json> do_attach_to(player& p, const json& what) {
  auto x = p.wf.attach_to("root" + std::to_string(what.at("root").get<std::uint64_t>())).result();
  co_return co_await observed(p, site_of(what), x);
}

task<json> do_emit(player& p, const json& what) {
  p.wf.emit("said." + site_of(what), p.at.run);
  co_return nullptr;
}

task<json> do_status(player& p, const json& what) {
  p.wf.set_status(what);
  co_return nullptr;
}

task<json> do_attach(player& p, const json& what) {
  auto ref = p.wf.attach("bytes of " + site_of(what), site_of(what));
  p.saw(site_of(what), ref);
  co_return ref;
}

task<json> do_random(player& p, const json& what) {
  const auto number = p.wf.random();
  p.saw(site_of(what), std::to_string(number));
  co_return number;
}

task<json> do_now(player& p, const json&) {
  // Differs when it was not journaled before a crash; nothing has been done with it then.
  static_cast<void>(p.wf.now());
  co_return nullptr;
}

task<json> do_throw(player& p, const json& what) {
  if (what.contains("until")) {
    if (p.at.run < what.at("until").get<std::uint32_t>()) {
      throw failure{failure_class::unavailable, "again", "to be tried again", true};
    }
    co_return "enough";
  }
  if (what.at("kind") == "exception") {
    throw std::runtime_error{"thrown by the program"};
  }
  throw failure{failure_class::execution, "planned", "thrown by the program"};
}

task<json> do_catch(player& p, const json& what) {
  json caught;
  try {
    co_return co_await block(p, what.at("block"));
  } catch (const failure& x) {
    caught = x.code;
  } catch (const cancellation&) {
    throw;
  } catch (const std::exception& x) {
    caught = x.what();
  }
  p.saw(site_of(what), "caught " + caught.dump());
  co_return caught;
}

task<json> do_try(player& p, const json& what) {
  std::string why;
  try {
    co_return co_await block(p, what.at("block"));
  } catch (const cancellation& x) {
    why = x.what();
  }
  p.saw(site_of(what), "to be undone");
  co_await block(p, what.at("undo"));
  p.saw(site_of(what), "is undone");
  throw cancellation{why};
}

task<json> statement(player& p, const json& what) {
  static const std::map<std::string, task<json> (*)(player&, const json&)> all{
    {"step", do_step},
    {"call", do_call},
    {"child", do_child},
    {"children", do_children},
    {"branches", do_branches},
    {"race", do_race},
    {"signal", do_signal},
    {"sleep", do_sleep},
    {"attach_to", do_attach_to},
    {"emit", do_emit},
    {"status", do_status},
    {"attach", do_attach},
    {"random", do_random},
    {"now", do_now},
    {"throw", do_throw},
    {"catch", do_catch},
    {"try", do_try}};
  return all.at(what.at("do").get<std::string>())(p, what);
}

task<json> block(player& p, const json& statements) {
  json values = json::array();
  for (const auto& one : statements) {
    auto value = co_await statement(p, one);
    values.push_back(std::move(value));
  }
  co_return values;
}

task<json> play(world& seen, workflow& wf, json program) {
  player p{seen, wf, seen.begins(wf.id())};
  if (program.at("retries") != 0) {
    const auto which = [&p] { return p.seen.failures_of(p.wf.id()); };
    p.at.run = co_await wf.step("run", which);
  }
  co_return co_await block(p, program.at("block"));
}

outcome work(world& seen, running::tool_context& context, const json& args) {
  const auto site = args.at("site").get<std::string>();
  const auto& id = context.info().id;
  const auto is_call = seen.is_workflow(id);
  const auto count
    = is_call ? seen.is_called(id, args.at("run").get<std::uint32_t>(), site) : seen.works(id);
  if (args.at("broken").get<bool>()) {
    return make_failure(failure_class::execution, "broken", "it never works", false);
  }
  if (count <= args.at("fails").get<std::uint64_t>()) {
    return make_failure(failure_class::unavailable, "flaky", "not yet", true);
  }
  // What a call gives differs when it is made again, so that a result which is not the recorded one
  // is noticed. How often a process was run is no part of how it ends.
  return make_success(is_call ? json(count).dump() : json(site).dump());
}

} // namespace

void offer(testing::node& node, world& seen) {
  seen.watch(node);
  node
    .workflow("play",
              [&seen](workflow& wf, json program) { return play(seen, wf, std::move(program)); })
    .tool("work", running::tool_function{[&seen](running::tool_context& context, const json& args) {
            return work(seen, context, args);
          }});
}

} // namespace belay::simulation
