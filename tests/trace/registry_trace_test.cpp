// What the registry's operations and a worker's runs become in a trace.
#include "actors/trace/registry_trace.hpp"

#include "actors/trace/run_trace.hpp"

#include <catch2/catch.hpp>

using namespace belay;
using namespace belay::tracing;

namespace {

constexpr std::int64_t ms = 1'000'000;
const std::string their_trace = "0af7651916cd43dd8448eb211c80319c";
const std::string their_context = "00-" + their_trace + "-b7ad6b7169203331-01";

struct trace_fixture {
  std::vector<span> spans;
  std::int64_t now = 1'000 * ms;
  double ratio = 1.0;

  std::shared_ptr<const tracer> make() {
    return std::make_shared<const tracer>(
      ratio, [this](const span& x) { spans.push_back(x); }, [this] { return now; });
  }

  /// One batch of one operation that takes a millisecond to commit.
  void commit(registry_trace& x, operation op, answer result) {
    x.joined();
    now += ms;
    x.commit_begins();
    now += ms;
    const std::vector<operation> batch{std::move(op)};
    const std::vector<answer> answers{std::move(result)};
    x.committed(batch, answers);
  }

  [[nodiscard]] const span& only(const std::string& name) const {
    const span* found = nullptr;
    for (const auto& x : spans) {
      if (x.name == name) {
        REQUIRE(found == nullptr);
        found = &x;
      }
    }
    REQUIRE(found != nullptr);
    return *found;
  }

  [[nodiscard]] bool has(const std::string& name) const {
    return std::any_of(spans.begin(), spans.end(), [&](const span& x) { return x.name == name; });
  }
};

registration job(const std::string& traceparent) {
  registration x;
  x.id = "p";
  x.kind = "exec";
  x.input = R"({"args":{},"tool":"exec","type":"tool_call"})";
  x.rule = recovery_rule::rerunnable;
  x.traceparent = traceparent;
  return x;
}

claimed claim_of(const registration& what, std::uint64_t fence, std::uint32_t attempt) {
  claimed x;
  x.held.row = row_id{7};
  x.held.id = what.id;
  x.held.holder = {"w" + std::to_string(fence), 1};
  x.held.fence = fencing_token{fence};
  x.held.claimed_at = 900;
  x.registration_json = canonical_text(what);
  x.attempt = attempt;
  x.started_at = attempt == 1 ? 900 : 100;
  x.created_at = 600;
  x.due_at = 700;
  x.traceparent = what.traceparent;
  return x;
}

std::string text_of(const span& x, const std::string& key) {
  for (const auto& [name, value] : x.attributes) {
    if (name == key) {
      return std::get<std::string>(value);
    }
  }
  return "";
}

} // namespace

TEST_CASE_METHOD(trace_fixture,
                 "registry trace: register hangs on the caller, wait and claim on it", "[trace]") {
  registry_trace x{make()};
  const auto what = job(their_context);
  commit(x, register_request{{what}}, registered_list{{{"p", row_id{7}, true}}});
  const auto made = only("register");
  CHECK(made.trace_id == their_trace);
  CHECK(made.parent_id == "b7ad6b7169203331");
  CHECK(made.start_ns == 1'000 * ms);
  CHECK(made.end_ns == 1'002 * ms);
  CHECK(text_of(made, "belay.kind") == "exec");

  commit(x, claim_request{}, claimed_list{{claim_of(what, 3, 1)}});
  const auto wait = only("wait");
  CHECK(wait.trace_id == their_trace);
  CHECK(wait.parent_id == made.span_id);
  CHECK(wait.end_ns - wait.start_ns == 200 * ms);
  const auto claim = only("claim");
  CHECK(claim.parent_id == made.span_id);
  CHECK(claim.start_ns == wait.end_ns);
  CHECK(claim.end_ns == 1'004 * ms);
  CHECK(text_of(claim, "belay.owner") == "w3");
}

TEST_CASE_METHOD(trace_fixture, "registry trace: commits are linked to what they hold", "[trace]") {
  registry_trace x{make()};
  const auto what = job(their_context);
  commit(x, renew_request{}, lease{});
  CHECK(spans.empty());
  commit(x, claim_request{}, claimed_list{{claim_of(what, 3, 1)}});
  const auto first = only("commit");
  REQUIRE(first.links.size() == 1);
  CHECK(first.links[0].trace_id == their_trace);
  CHECK(first.links[0].span_id == only("claim").span_id);
  CHECK(first.trace_id != their_trace);

  spans.clear();
  auto held = claim_of(what, 3, 1).held;
  commit(x, complete_request{held, make_success("1")}, completion{});
  REQUIRE(only("commit").links.size() == 1);
  CHECK(only("commit").links[0].span_id == derive_span_id(their_trace, "p", held.fence, "run"));
  spans.clear();
  commit(x, complete_request{held, make_success("1")}, completion{}); // Over before.
  CHECK(spans.empty());
}

TEST_CASE_METHOD(trace_fixture, "registry trace: a lost run is told when its successor is claimed",
                 "[trace]") {
  registry_trace x{make()};
  const auto what = job(their_context);
  commit(x, claim_request{}, claimed_list{{claim_of(what, 3, 1)}});
  spans.clear();
  now = 5'000 * ms;
  commit(x, claim_request{}, claimed_list{{claim_of(what, 4, 2)}});
  const auto lost = only("run");
  CHECK(lost.span_id == derive_span_id(their_trace, "p", fencing_token{3}, "run"));
  CHECK(lost.failed);
  CHECK(text_of(lost, "belay.outcome") == "interrupted");
  CHECK(text_of(lost, "belay.owner") == "w3");
  CHECK(text_of(lost, "belay.kind") == "exec");
  CHECK(lost.end_ns > lost.start_ns);
  CHECK_FALSE(has("wait")); // How long it could have been claimed is not known.

  spans.clear();
  const auto held = claim_of(what, 4, 2).held;
  commit(x, release_request{held, "drained"}, done{1});
  commit(x, claim_request{}, claimed_list{{claim_of(what, 5, 3)}});
  CHECK_FALSE(has("run"));
}

TEST_CASE_METHOD(trace_fixture,
                 "registry trace: what is refused, there before or not sampled is "
                 "in no trace",
                 "[trace]") {
  registry_trace x{make()};
  const auto what = job(their_context);
  commit(x, register_request{{what}}, refusal{ec::store_full, "full"});
  commit(x, register_request{{what}}, registered_list{{{"p", row_id{7}, false}}});
  const auto quiet = job(their_context.substr(0, their_context.size() - 1) + "0");
  commit(x, register_request{{quiet}}, registered_list{{{"p", row_id{7}, true}}});
  commit(x, claim_request{}, claimed_list{{claim_of(quiet, 3, 1)}});
  x.joined();
  x.commit_failed();
  CHECK(spans.empty());
}

TEST_CASE_METHOD(trace_fixture,
                 "registry trace: without a trace context one is made, for a part "
                 "of the processes",
                 "[trace]") {
  registry_trace x{make()};
  commit(x, register_request{{job("")}}, registered_list{{{"p", row_id{7}, true}}});
  CHECK(only("register").trace_id == derive_trace_id("p", row_id{7}));
  CHECK(only("register").parent_id.empty());
  spans.clear();
  ratio = 0.0;
  registry_trace none{make()};
  commit(none, register_request{{job("")}}, registered_list{{{"p", row_id{7}, true}}});
  CHECK(spans.empty());
  commit(none, register_request{{job(their_context)}}, registered_list{{{"p", row_id{7}, true}}});
  CHECK(has("register")); // The caller has decided.
}

TEST_CASE_METHOD(trace_fixture,
                 "registry trace: children of a workflow are registered in its trace", "[trace]") {
  registry_trace x{make()};
  const auto child = job(their_context);
  commit(x, journal_request{{}, {}, {child}, {}, {}, {}}, journal_receipt{});
  CHECK(only("register").parent_id == "b7ad6b7169203331");
}

TEST_CASE_METHOD(trace_fixture, "run trace: what a run starts is told of the run's span",
                 "[trace]") {
  const auto what = job(their_context);
  const auto row = claim_of(what, 3, 1);
  run_trace run{make(), row, what};
  const auto id = derive_span_id(their_trace, "p", fencing_token{3}, "run");
  CHECK(run.traceparent() == "00-" + their_trace + "-" + id + "-01");
  run.begin();
  now += 5 * ms;
  run.over();
  now += 5 * ms;
  run.ended(make_failure(failure_class::execution, "exit_1", "exit code 1", true), true);
  run.ended("released"); // Only the first end counts.
  const auto written = only("run");
  CHECK(written.span_id == id);
  CHECK(written.parent_id == derive_span_id(their_trace, "p", fencing_token{0}, "register"));
  CHECK(written.end_ns - written.start_ns == 5 * ms);
  CHECK(written.failed);
  CHECK(written.message == "exit code 1");
  CHECK(text_of(written, "belay.outcome") == "failure");
  CHECK(text_of(written, "belay.queue") == "default");
}

TEST_CASE_METHOD(trace_fixture, "run trace: without traces a context is handed on as it is",
                 "[trace]") {
  const auto with = job(their_context);
  CHECK(run_trace{nullptr, claim_of(with, 3, 1), with}.traceparent() == their_context);
  const auto without = job("");
  run_trace none{nullptr, claim_of(without, 3, 1), without};
  CHECK(none.traceparent().empty());
  CHECK_FALSE(none.begin_part("call", "exec", "1"));
  CHECK_FALSE(none.step_watch());
  none.begin();
  none.ended("released");

  // Those that are not sampled say so to what they start.
  const auto quiet = job(their_context.substr(0, their_context.size() - 1) + "0");
  CHECK(run_trace{make(), claim_of(quiet, 3, 1), quiet}.traceparent() == quiet.traceparent);
  ratio = 0.0;
  const auto made = run_trace{make(), claim_of(without, 3, 1), without}.traceparent();
  CHECK(made.substr(3, 32) == derive_trace_id("p", row_id{7}));
  CHECK(made.substr(made.size() - 2) == "00");
  CHECK(spans.empty());
}

TEST_CASE_METHOD(trace_fixture, "run trace: steps and calls are spans inside the run", "[trace]") {
  const auto what = job(their_context);
  run_trace run{make(), claim_of(what, 3, 1), what};
  const auto watch = run.step_watch();
  const auto ended = watch("resize", 4);
  now += ms;
  ended(true);
  CHECK(only("step").failed);
  CHECK(text_of(only("step"), "belay.step") == "resize");
  CHECK(only("step").parent_id == derive_span_id(their_trace, "p", fencing_token{3}, "run"));
  auto call = run.begin_part("call", "exec", "5.0");
  REQUIRE(call);
  CHECK(run.traceparent(call) == "00-" + their_trace + "-" + call->span_id + "-01");
  run.end_part(std::move(call), false, "");
  CHECK_FALSE(only("call").failed);
}
