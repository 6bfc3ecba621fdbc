// Drives a workflow engine in memory: every commit goes into a vector, every want is answered from
// a table, and it can crash before or after any commit.
#pragma once

#include "actors/workflow/engine.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

namespace belay::tests {

/// Thrown out of the driver where it is to crash.
struct crash {};

class workflow_driver {
public:
  using tool = std::function<outcome(const json&)>;

  explicit workflow_driver(workflow_function function) : code{std::move(function)} {}

  /// Runs from the journal until the code has ended, or waits for what does not come.
  std::optional<outcome> run() {
    const auto running = start();
    while (step(*running)) {
    }
    if (running->is_dirty()) {
      commit(*running); // As it is parked.
    }
    return running->result();
  }

  /// Makes an engine from the journal.
  [[nodiscard]] std::unique_ptr<workflows::engine> start() {
    waiting.clear();
    if (at_start) {
      at_start();
    }
    workflows::engine_setup setup;
    setup.id = id;
    setup.attempt = ++attempt;
    setup.run = run_number;
    setup.args = args;
    setup.originator = "session-7";
    setup.journal = journal;
    setup.now = [this] { return clock; };
    setup.limits = limits;
    setup.check_child = check_child;
    setup.log = [this](const std::string& text, const json& /*fields*/) { logs.push_back(text); };
    return std::make_unique<workflows::engine>(std::move(setup), code);
  }

  /// Does one round. Returns whether there is anything left to do.
  bool step(workflows::engine& x) {
    x.advance();
    if (after_advance) {
      after_advance(x);
    }
    if (x.must_commit() || (x.result() && x.is_dirty())) {
      commit(x);
      return true;
    }
    if (x.result()) {
      return false;
    }
    if (random && x.is_dirty() && (*random)() % 4 == 0) {
      commit(x); // Nothing asks for it, but it may be done at any time.
    }
    if (cancel_at_commit && commits >= *cancel_at_commit) {
      x.request_cancel(cancel_reason);
    }
    for (const auto op : x.take_dropped()) {
      waiting.erase(op);
      dropped.push_back(op);
    }
    for (auto& one : x.take_wants()) {
      if (on_want) {
        on_want(one);
      }
      handed_out.push_back(one.name);
      REQUIRE(waiting.emplace(one.op, std::move(one)).second);
    }
    return x.must_commit() || answer_some(x);
  }

  void commit(workflows::engine& x) {
    const auto batch = x.take_batch();
    ++commits;
    if (crash_before == commits) {
      throw crash{};
    }
    write(batch);
    if (after_commit) {
      after_commit();
    }
    if (crash_after == commits) {
      throw crash{};
    }
    x.committed();
  }

  /// Runs to the end, crashing where it is told; starts again after each crash.
  std::optional<outcome> run_through_crashes() {
    for (;;) {
      try {
        return run();
      } catch (const crash&) {
        ++crashes;
      }
    }
  }

  [[nodiscard]] std::size_t count(effect_kind kind) const {
    return static_cast<std::size_t>(std::count_if(
      journal.begin(), journal.end(), [kind](const auto& one) { return one.kind == kind; }));
  }

  workflow_function code;
  json args = json::object();
  process_id id = "p";
  std::uint32_t run_number = 0;
  workflows::engine_limits limits;
  timestamp_ms clock = 1'000'000;
  std::function<std::optional<refusal>(const registration&)> check_child;
  /// By name; of children too. Others echo their arguments.
  std::map<std::string, tool> tools;
  /// By name; sequence numbers are given in this order, from 1.
  std::vector<std::pair<std::string, json>> signals;
  /// Picks what comes first; without it wants are answered one by one in order.
  std::optional<std::mt19937_64> random;

  std::function<void()> at_start;
  std::function<void(workflows::engine&)> after_advance;
  std::function<void(const workflows::want&)> on_want;
  std::function<void()> after_commit;
  std::uint64_t crash_before = 0;
  std::uint64_t crash_after = 0;
  std::optional<std::uint64_t> cancel_at_commit;
  std::string cancel_reason = "stop it";

  std::vector<journal_entry> journal;
  std::map<process_id, registration> children;
  std::vector<journal_event> events;
  std::vector<attachment> attachments;
  std::string status;
  std::vector<std::string> logs;
  std::vector<std::string> handed_out;
  std::vector<std::uint64_t> dropped;
  std::map<std::string, std::size_t> calls;
  std::uint64_t commits = 0;
  std::size_t crashes = 0;
  std::uint32_t attempt = 0;
  /// Of the running engine: handed out and not answered.
  std::map<std::uint64_t, workflows::want> waiting;

private:
  void write(const workflows::journal_batch& batch) {
    std::uint64_t last = 0;
    for (const auto& one : batch.entries) {
      REQUIRE(one.number > last);
      last = one.number;
      if (one.number <= journal.size()) {
        auto& old = journal[one.number - 1];
        REQUIRE(old.done == 0); // A finished entry never changes.
        REQUIRE(old.kind == one.kind);
        old = one;
      } else {
        REQUIRE(one.number == journal.size() + 1);
        journal.push_back(one);
      }
    }
    for (const auto& one : batch.children) {
      REQUIRE(children.emplace(one.id, one).second);
    }
    events.insert(events.end(), batch.events.begin(), batch.events.end());
    attachments.insert(attachments.end(), batch.attachments.begin(), batch.attachments.end());
    if (!batch.status.empty()) {
      status = batch.status;
    }
  }

  outcome run_tool(const std::string& name, const json& given) {
    const auto found = tools.find(name);
    return found == tools.end() ? make_success(given.dump()) : found->second(given);
  }

  /// Returns the result of a want that has one now.
  std::optional<std::string> answer(const workflows::engine& x, const workflows::want& wanted) {
    switch (wanted.kind) {
      case effect_kind::call:
        ++calls[wanted.name];
        return to_json_value(run_tool(wanted.name, wanted.args)).dump();
      case effect_kind::child: {
        const auto found = children.find(wanted.name);
        if (found == children.end()) {
          return std::nullopt;
        }
        const auto input = json::parse(found->second.input);
        const auto& what = input.contains("tool") ? input["tool"] : input["workflow"];
        return to_json_value(run_tool(what.get<std::string>(), input["args"])).dump();
      }
      case effect_kind::signal:
        for (std::size_t i = 0; i < signals.size(); ++i) {
          if (signals[i].first == wanted.name && !x.is_taken(wanted.name, i + 1)) {
            const json result{{"seq", i + 1}, {"payload", signals[i].second}};
            return result.dump();
          }
        }
        break;
      default:
        break;
    }
    return wanted.deadline != 0 && wanted.deadline <= clock ? std::optional<std::string>{"null"}
                                                            : std::nullopt;
  }

  bool answer_some(workflows::engine& x) {
    std::vector<std::uint64_t> order;
    for (const auto& [op, wanted] : waiting) {
      order.push_back(op);
    }
    if (random) {
      std::shuffle(order.begin(), order.end(), *random);
    }
    auto any = false;
    for (const auto op : order) {
      if (const auto result = answer(x, waiting.at(op))) {
        x.complete(op, *result);
        waiting.erase(op);
        any = true;
        if (!random || (*random)() % 2 == 0) {
          return true;
        }
      }
    }
    return any || move_clock();
  }

  /// Goes on to the next deadline. Returns false when there is none.
  bool move_clock() {
    timestamp_ms next = 0;
    for (const auto& [op, wanted] : waiting) {
      if (wanted.deadline > clock && (next == 0 || wanted.deadline < next)) {
        next = wanted.deadline;
      }
    }
    clock = std::max(clock, next);
    return next != 0;
  }
};

/// Runs a workflow once without a crash, then again with one before and one after every commit, and
/// checks that all end the same. `make` returns a fresh driver.
template <class Make>
void check_every_crash(Make make) {
  auto calm = make();
  const auto expected = calm.run();
  REQUIRE(expected);
  for (std::uint64_t n = 1; n <= calm.commits; ++n) {
    for (const auto before : {true, false}) {
      auto one = make();
      (before ? one.crash_before : one.crash_after) = n;
      const auto ended = one.run_through_crashes();
      CAPTURE(n, before);
      CHECK(one.crashes == 1);
      CHECK(ended == expected);
      CHECK(one.journal == calm.journal);
      CHECK(one.children == calm.children);
      CHECK(one.events.size() == calm.events.size());
    }
  }
}

} // namespace belay::tests
