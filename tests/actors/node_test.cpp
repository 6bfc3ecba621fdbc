// Registry, sweeper, process and lease keeper together, on a scheduler and clocks the test owns.
#include "actors/registry/registry.hpp"
#include "tests/support/captured_log.hpp"
#include "tests/support/fake_tool.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/registry_fixture.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace belay;
using namespace std::chrono_literals;
using belay::tests::make_registration;

namespace {

/// A node on the test scheduler, with one fake tool and two slots.
struct node_fixture : tests::registry_fixture {
  node_fixture() {
    open();
  }

  ~node_fixture() {
    close(); // Before the tool goes, which its runs tell.
  }

  void open() {
    box = std::make_shared<running::toolbox>();
    box->add(tool.as_tool("fake"));
    actors::node_setup setup;
    setup.tools = box;
    setup.registry.ttl_ms = 30'000;
    setup.worker.slots = 2;
    setup.worker.cancel_grace_ms = 10'000;
    setup.worker.renew_interval_ms = 10'000;
    registry_fixture::open(std::move(setup), 3);
  }

  /// Ends the node as a crash would: nothing is told to anybody.
  void crash() {
    for (auto& x : tool.runs) {
      x->callbacks = {};
    }
    close();
  }

  std::vector<std::string> history(const std::string& id) {
    const auto page = store->events_after(id, 0, 1'000);
    REQUIRE(page);
    std::vector<std::string> types;
    for (const auto& x : page->events) {
      types.push_back(x.type);
    }
    return types;
  }

  std::size_t count(const std::string& id, const std::string& type) {
    const auto types = history(id);
    return static_cast<std::size_t>(std::count(types.begin(), types.end(), type));
  }

  /// The lease under which a process runs now: what its worker was granted.
  lease to_lease(const std::string& id) {
    const auto x = view(id);
    REQUIRE(x.state == process_state::running);
    // The store hands out random bits in order: a token is two of them.
    lease held{x.row, id, x.holder, {}, x.fence, 0, x.lease_expires_at};
    const auto exported = [this] {
      std::ostringstream out;
      store->export_lines(out);
      return out.str();
    }();
    std::istringstream lines{exported};
    for (std::string line; std::getline(lines, line);) {
      const auto text = nlohmann::json::parse(line);
      if (text.contains("process") && text["process"]["id"] == id) {
        held.token.high = text["process"]["lease"]["token_high"].get<std::uint64_t>();
        held.token.low = text["process"]["lease"]["token_low"].get<std::uint64_t>();
      }
    }
    return held;
  }

  /// Voids the leases of this node's worker behind its back.
  void void_leases() {
    const std::vector<operation> batch{void_request{{"local", 1}, "taken by the test"}};
    static_cast<void>(store->apply(batch, {time().wall(), [this] { return ++bits; }}));
  }

  /// Takes a row as a worker of another name would.
  lease steal(const std::string& name, std::uint32_t max = 1) {
    auto rows
      = ask<claimed_list>(to.registry, atom::claim_v, owner{name, 1},
                          std::vector<std::string>{"fake"}, std::vector<std::string>{}, max);
    REQUIRE(rows);
    REQUIRE(rows->items.size() == 1);
    return rows->items.front().held;
  }

  tests::fake_tool tool;
  std::shared_ptr<running::toolbox> box;
};

} // namespace

TEST_CASE_METHOD(node_fixture, "node: a registered process runs and its outcome is recorded",
                 "[actors][node][s5-59][s5-241][s5-269]") {
  enroll(make_registration("a"));
  REQUIRE(tool.runs.size() == 1);
  CHECK(word("a") == "running");
  CHECK(tool.last().info.attempt == 1);
  tool.last().finish(make_success("{\"answer\":42}"));
  run();
  CHECK(word("a") == "success");
  CHECK(history("a")
        == std::vector<std::string>{"process.registered", "process.started", "process.completed"});
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(node_fixture, "node: a waiter is answered by push and late waiters at once",
                 "[actors][watch]") {
  enroll(make_registration("a"));
  caf::scoped_actor self{sys};
  self->send(to.watcher, atom::wait_v, std::string{"a"}, duration_ms{60'000});
  run();
  CHECK_FALSE(self->has_next_message());
  tool.last().finish(make_success("1"));
  run();
  CHECK(self->has_next_message());
  const auto late = ask<outcome_view>(to.watcher, atom::wait_v, std::string{"a"}, duration_ms{1});
  REQUIRE(late);
  CHECK(late->kind == outcome_kind::success);
}

TEST_CASE_METHOD(node_fixture, "node: a wait ends at its deadline and an unknown id is refused",
                 "[actors][watch]") {
  enroll(make_registration("a"));
  caf::scoped_actor self{sys};
  auto pending
    = self->request(to.watcher, 3'600s, atom::wait_v, std::string{"a"}, duration_ms{5'000});
  run();
  advance(4'999ms);
  CHECK_FALSE(self->has_next_message());
  advance(2ms);
  REQUIRE(self->has_next_message());
  ec code = ec::none;
  pending.receive([](const outcome_view&) {},
                  [&code](const caf::error& x) { code = to_refusal(x).code; });
  CHECK(code == ec::timed_out);
  const auto unknown
    = ask<outcome_view>(to.watcher, atom::wait_v, std::string{"b"}, duration_ms{1});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.why().code == ec::unknown_process);
}

TEST_CASE_METHOD(node_fixture, "node: a follower sees each event once and in order",
                 "[actors][watch][s5-155]") {
  enroll(make_registration("a"));
  tool.last().callbacks.emit("step", "{\"n\":1}");
  run();
  auto page = ask<event_page>(to.watcher, atom::follow_v, std::string{"a"}, event_seq{2},
                              std::uint32_t{10}, duration_ms{1'000});
  REQUIRE(page);
  REQUIRE(page->events.size() == 1);
  CHECK(page->events.front().seq == 3);
  CHECK(page->events.front().type == "step");
  CHECK_FALSE(page->terminal);
  tool.last().finish(make_success("1"));
  run();
  page = ask<event_page>(to.watcher, atom::follow_v, std::string{"a"}, event_seq{3},
                         std::uint32_t{10}, duration_ms{1'000});
  REQUIRE(page);
  CHECK(page->terminal);
}

TEST_CASE_METHOD(node_fixture, "sweeper: never holds more rows than slots",
                 "[actors][sweeper][s5-242][s5-289][s5-244][s5-283]") {
  for (const auto* id : {"a", "b", "c", "d"}) {
    enroll(make_registration(id));
  }
  CHECK(tool.runs.size() == 2);
  CHECK(word("c") == "ready");
  tool.runs[0]->finish(make_success("1"));
  run();
  CHECK(tool.runs.size() == 3);
  tool.runs[1]->finish(make_success("1"));
  tool.runs[2]->finish(make_success("1"));
  run();
  REQUIRE(tool.runs.size() == 4);
  tool.runs[3]->finish(make_success("1"));
  run();
  CHECK(word("d") == "success");
}

TEST_CASE_METHOD(node_fixture, "sweeper: rows run by priority, then due time, then age",
                 "[actors][sweeper]") {
  enroll(make_registration("first"));
  enroll(make_registration("second"));
  auto low = make_registration("low");
  low.priority = -5;
  auto high = make_registration("high");
  high.priority = 5;
  enroll(low);
  enroll(make_registration("middle"));
  enroll(high);
  tool.runs[0]->finish(make_success("1"));
  tool.runs[1]->finish(make_success("1"));
  run();
  REQUIRE(tool.runs.size() == 4);
  CHECK(tool.runs[2]->info.id == "high");
  CHECK(tool.runs[3]->info.id == "middle");
}

TEST_CASE_METHOD(node_fixture, "timekeeper: a delayed row runs when it is due and not before",
                 "[actors][timekeeper]") {
  auto later = make_registration("later");
  later.due_at = time().wall() + 60'000;
  enroll(later);
  CHECK(tool.runs.empty());
  advance(59'900ms);
  CHECK(tool.runs.empty());
  advance(200ms);
  CHECK(tool.runs.size() == 1);
}

TEST_CASE_METHOD(node_fixture, "lease keeper: a renewed lease outlives its first ttl",
                 "[actors][lease]") {
  enroll(make_registration("a"));
  const auto fence = view("a").fence;
  advance(10min);
  CHECK(word("a") == "running");
  CHECK(view("a").fence == fence);
  CHECK(tool.runs.size() == 1);
  tool.last().finish(make_success("1"));
  run();
  CHECK(word("a") == "success");
}

TEST_CASE_METHOD(node_fixture,
                 "registry: a lease that is not renewed expires and another worker takes over",
                 "[actors][lease]") {
  enroll(make_registration("x"));
  enroll(make_registration("y"));
  enroll(make_registration("a")); // Both slots are taken: a stays ready for the strangers.
  const auto stale = steal("stranger");
  CHECK(stale.id == "a");
  advance(29s);
  CHECK(word("a") == "running");
  advance(2s);
  CHECK(word("a") == "ready");
  const auto fresh = steal("other");
  CHECK(fresh.id == "a");
  CHECK(fresh.fence > stale.fence);
  const auto refused
    = ask<completion>(to.registry, atom::complete_v, stale, make_success("\"stale\""));
  REQUIRE_FALSE(refused);
  CHECK(refused.why().code == ec::lease_superseded);
  const auto renewed = ask<lease>(to.registry, atom::renew_v, stale);
  CHECK_FALSE(renewed);
  const auto accepted
    = ask<completion>(to.registry, atom::complete_v, fresh, make_success("\"fresh\""));
  CHECK(accepted);
  CHECK(view("a").outcome_json.find("fresh") != std::string::npos);
  CHECK(count("a", "process.interrupted") == 1);
}

TEST_CASE_METHOD(node_fixture, "registry: a lease that was claimed by message expires on time",
                 "[actors][lease]") {
  advance(20s); // Away from the safety sweep.
  for (const auto* id : {"x", "y", "a"}) {
    enroll(make_registration(id));
  }
  CHECK(steal("stranger").id == "a");
  advance(29'990ms);
  CHECK(word("a") == "running");
  advance(20ms);
  CHECK(word("a") == "ready");
}

TEST_CASE_METHOD(node_fixture, "process: lease loss stops the run and writes nothing",
                 "[actors][lease][s5-270]") {
  enroll(make_registration("a"));
  auto& first = tool.last();
  const auto fence = view("a").fence;
  const auto before = history("a");
  void_leases();
  CHECK(word("a") == "ready");
  CHECK_FALSE(first.destroyed);
  advance(10s); // The next renewal is refused.
  CHECK(first.destroyed);
  // What it wrote: nothing. Then it was granted anew.
  CHECK(history("a").size() == before.size() + 2);
  CHECK(history("a").at(before.size()) == "process.interrupted");
  CHECK(history("a").back() == "process.started");
  CHECK(view("a").fence > fence);
}

TEST_CASE_METHOD(node_fixture, "process: a result that comes after the lease was lost is dropped",
                 "[actors][lease][s5-271][s5-267]") {
  enroll(make_registration("a"));
  auto& first = tool.last();
  auto late = first.callbacks;
  void_leases();
  late.finished(make_success("\"late\""));
  late = {};
  run();
  CHECK(word("a") != "success");
  CHECK(view("a").outcome_json.empty());
}

TEST_CASE_METHOD(node_fixture, "cancel: a running process is asked and ends cancelled",
                 "[actors][cancel][s5-74][s5-76][s5-307]") {
  enroll(make_registration("a"));
  const auto receipt
    = ask<cancel_receipt>(to.registry, atom::cancel_v, cancel_request{"a", "enough", false});
  REQUIRE(receipt);
  CHECK(receipt->stage == cancel_stage::requested);
  run();
  CHECK(tool.last().cancels == 1);
  CHECK(tool.last().kills == 0);
  CHECK(word("a") == "cancelled");
  CHECK(count("a", "process.cancel_requested") == 1);
}

TEST_CASE_METHOD(node_fixture, "cancel: a run that ignores it is killed after the grace",
                 "[actors][cancel]") {
  tool.obeys_cancel = false;
  enroll(make_registration("a"));
  REQUIRE(ask<cancel_receipt>(to.registry, atom::cancel_v, cancel_request{"a", "enough", false}));
  run();
  advance(9'900ms);
  CHECK(word("a") == "running");
  CHECK(tool.last().kills == 0);
  advance(200ms);
  CHECK(tool.last().kills == 1);
  CHECK(word("a") == "cancelled");
}

TEST_CASE_METHOD(node_fixture, "kill: ends a run at once", "[actors][cancel]") {
  tool.obeys_cancel = false;
  enroll(make_registration("a"));
  REQUIRE(ask<cancel_receipt>(to.registry, atom::cancel_v, cancel_request{"a", "now", true}));
  run();
  CHECK(tool.last().kills == 1);
  CHECK(word("a") == "cancelled");
}

TEST_CASE_METHOD(node_fixture, "cancel: a row that nobody runs is cancelled in the same write",
                 "[actors][cancel][s5-278]") {
  auto later = make_registration("later");
  later.due_at = time().wall() + 3'600'000;
  enroll(later);
  const auto receipt
    = ask<cancel_receipt>(to.registry, atom::cancel_v, cancel_request{"later", "no", false});
  REQUIRE(receipt);
  CHECK(receipt->stage == cancel_stage::done);
  CHECK(word("later") == "cancelled");
  const auto again
    = ask<cancel_receipt>(to.registry, atom::cancel_v, cancel_request{"later", "no", false});
  REQUIRE(again);
  CHECK(again->stage == cancel_stage::already_terminal);
  advance(2h);
  CHECK(tool.runs.empty());
}

TEST_CASE_METHOD(node_fixture, "process: an attempt that outlives its timeout fails as timed out",
                 "[actors][process]") {
  auto x = make_registration("a");
  x.timeout_ms = 5'000;
  enroll(x);
  advance(4'900ms);
  CHECK(word("a") == "running");
  advance(200ms);
  CHECK(tool.last().cancels == 1);
  CHECK(word("a") == "failure");
  CHECK(view("a").outcome_json.find("timed_out") != std::string::npos);
}

TEST_CASE_METHOD(node_fixture, "process: a retryable failure is tried again after its pause",
                 "[actors][process]") {
  auto x = make_registration("a");
  x.retry.attempts = 2;
  x.retry.backoff_ms = 10'000;
  enroll(x);
  tool.last().finish(make_failure(failure_class::execution, "exit_1", "no", true));
  run();
  CHECK(tool.runs.size() == 1);
  CHECK(view("a").state == process_state::ready);
  advance(13s); // The pause, and its jitter of a fifth.
  REQUIRE(tool.runs.size() == 2);
  CHECK(tool.last().info.attempt == 2);
  tool.last().finish(make_failure(failure_class::execution, "exit_1", "no", true));
  run();
  CHECK(word("a") == "failure");
  CHECK(count("a", "process.attempt_failed") == 1);
}

TEST_CASE_METHOD(node_fixture, "clock: an hour's jump of the wall clock changes no lease",
                 "[actors][clock][s5-A3][s5-392][s5-383]") {
  enroll(make_registration("a"));
  const auto fence = view("a").fence;
  for (const auto jump : {3'600'000, -7'200'000}) {
    wall_jump_ms += jump;
    advance(25s);
    CHECK(word("a") == "running");
    CHECK(view("a").fence == fence);
  }
  CHECK(tool.runs.size() == 1);
}

TEST_CASE_METHOD(node_fixture, "clock: time does not go back over a restart",
                 "[actors][clock][restart][s5-383]") {
  enroll(make_registration("a"));
  tool.last().finish(make_success("1"));
  run();
  advance(5s);
  enroll(make_registration("b"));
  const auto before = view("b").created_at;
  close();
  wall_jump_ms -= 3'600'000;
  open();
  enroll(make_registration("c"));
  CHECK(view("c").created_at >= before);
}

TEST_CASE_METHOD(node_fixture, "node: what a crashed incarnation ran is run again at once",
                 "[actors][restart][s5-386]") {
  enroll(make_registration("a"));
  const auto fence = view("a").fence;
  crash();
  tool.runs.clear();
  open();
  REQUIRE(tool.runs.size() == 1);
  CHECK(tool.last().info.attempt == 2);
  CHECK(view("a").fence > fence);
  CHECK(view("a").interruptions == 1);
  tool.last().finish(make_success("1"));
  run();
  CHECK(word("a") == "success");
}

TEST_CASE_METHOD(node_fixture, "node: a process that keeps crashing its owner is quarantined",
                 "[actors][restart]") {
  enroll(make_registration("a"));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(tool.runs.size() == 1);
    crash();
    tool.runs.clear();
    open();
  }
  CHECK(tool.runs.empty());
  CHECK(word("a") == "quarantined");
  REQUIRE(ask<cancel_receipt>(to.registry, atom::cancel_v, cancel_request{"a", "give up", false}));
  CHECK(word("a") == "cancelled");
}

TEST_CASE_METHOD(node_fixture, "node: an owner-bound process is never run by another incarnation",
                 "[actors][restart]") {
  auto x = make_registration("a");
  x.rule = recovery_rule::owner_bound;
  enroll(x);
  REQUIRE(tool.runs.size() == 1);
  crash();
  tool.runs.clear();
  open();
  CHECK(tool.runs.empty());
  CHECK(word("a") == "quarantined");
}

TEST_CASE_METHOD(node_fixture, "drain: waits for what runs and claims nothing new",
                 "[actors][drain][s5-275][s5-285]") {
  for (const auto* id : {"a", "b", "c"}) {
    enroll(make_registration(id));
  }
  caf::anon_send(node, atom::stop_v, true);
  run();
  tool.runs[0]->finish(make_success("1"));
  run();
  CHECK(tool.runs.size() == 2);
  CHECK(word("a") == "success");
  CHECK(word("c") == "ready");
  tool.runs[1]->finish(make_success("1"));
  run();
  CHECK(word("b") == "success");
  const auto refused = ask<welcome>(node, atom::hello_v, protocol_version, std::string{"late"});
  CHECK_FALSE(refused);
  CHECK(fault.empty());
}

TEST_CASE_METHOD(node_fixture, "drain: what still runs at the end is released, not interrupted",
                 "[actors][drain]") {
  tool.obeys_cancel = false;
  enroll(make_registration("a"));
  caf::anon_send(node, atom::stop_v, true);
  advance(29s);
  CHECK(word("a") == "running");
  advance(2s);
  CHECK(tool.last().destroyed);
  CHECK(word("a") == "ready");
  CHECK(view("a").interruptions == 0);
  CHECK(history("a").back() == "process.released");
}

TEST_CASE_METHOD(node_fixture, "node: a client of another protocol version is refused",
                 "[actors][node][s5-137]") {
  const auto refused = ask<welcome>(node, atom::hello_v, protocol_version + 1, std::string{"new"});
  REQUIRE_FALSE(refused);
  CHECK(refused.why().code == ec::protocol_mismatch);
  CHECK(refused.why().text.find("version " + std::to_string(protocol_version + 1))
        != std::string::npos);
}

TEST_CASE_METHOD(node_fixture, "registry: one bad item refuses its whole message",
                 "[actors][registry]") {
  auto bad = make_registration("b");
  bad.timeout_ms = -1;
  const auto refused = ask<registered_list>(
    to.registry, atom::enroll_v,
    std::vector<registration>{make_registration("a"), bad, make_registration("c")});
  REQUIRE_FALSE(refused);
  CHECK(refused.why().code == ec::bad_request);
  CHECK(refused.why().text.find("item 2: ") == 0);
  CHECK_FALSE(store->get("a"));
  CHECK_FALSE(store->get("c"));
}

TEST_CASE_METHOD(node_fixture, "registry: a worker that goes down loses its leases at once",
                 "[actors][registry][s5-386]") {
  enroll(make_registration("x"));
  enroll(make_registration("y"));
  enroll(make_registration("a"));
  lease held;
  {
    caf::scoped_actor worker{sys};
    const auto in
      = ask<enlisted>(to.registry, atom::enlist_v, worker_card{"remote", 7, 0, 1, {"fake"}, {}},
                      caf::actor_cast<caf::actor>(worker.ptr()));
    REQUIRE(in);
    auto rows
      = ask<claimed_list>(to.registry, atom::claim_v, in->who, std::vector<std::string>{"fake"},
                          std::vector<std::string>{}, std::uint32_t{1});
    REQUIRE(rows);
    REQUIRE(rows->items.size() == 1);
    CHECK(word("a") == "running");
  }
  run();
  CHECK(word("a") == "ready");
  CHECK(count("a", "process.interrupted") == 1);
}

TEST_CASE_METHOD(node_fixture, "node: every actor answers a snapshot", "[actors][snapshot]") {
  enroll(make_registration("a"));
  const auto parsed = [](const checked<std::string>& text) {
    REQUIRE(text);
    return nlohmann::json::parse(*text);
  };
  CHECK(parsed(ask<std::string>(to.registry, atom::snapshot_v)).at("workers").size() == 1);
  CHECK(parsed(ask<std::string>(to.watcher, atom::snapshot_v)).at("actor") == "watcher");
  CHECK(parsed(ask<std::string>(to.reader, atom::snapshot_v)).at("actor") == "reader");
  CHECK(parsed(ask<std::string>(node, atom::snapshot_v)).at("tools") == nlohmann::json{"fake"});
}

// -- what the registry does for sessions, operators and projections
// ---------------------------------

TEST_CASE_METHOD(node_fixture, "signals: a parked process goes on in the slot that is free",
                 "[actors][wait][s5-246]") {
  auto x = tests::make_declaring("a", {"signal.go"});
  x.kind = "fake";
  enroll(x);
  REQUIRE(tool.runs.size() == 1);
  // A run that parks itself: by the lease it was given.
  const auto held = to_lease("a");
  REQUIRE(ask<park_receipt>(to.registry, atom::park_v, held,
                            wait_condition{wait_kind::signal, "go", 1, 0}));
  run();
  CHECK(word("a") == "waiting");
  REQUIRE(
    ask<event>(to.registry, atom::append_v, append_request{"a", "signal.go", "1", "", false, {}}));
  run();
  CHECK(word("a") == "running");
  CHECK(view("a").attempt == 1);
}

TEST_CASE_METHOD(node_fixture, "timers: a parked process is woken by the clock", "[actors][wait]") {
  enroll(tests::make_registration("a"));
  REQUIRE(ask<park_receipt>(
    to.registry, atom::park_v, to_lease("a"),
    wait_condition{wait_kind::timer, "", 0, store->get("a")->updated_at + 3'600'000}));
  run();
  advance(std::chrono::minutes{59});
  CHECK(word("a") == "waiting");
  advance(std::chrono::minutes{2});
  CHECK(word("a") == "running");
}

TEST_CASE_METHOD(node_fixture, "watcher: the next event of a type, and none after the end",
                 "[actors][watch][s5-6][s5-221][s5-223][s5-227][s5-238]") {
  enroll(tests::make_declaring("a", {"step"}));
  caf::scoped_actor first{sys};
  caf::scoped_actor second{sys};
  auto one
    = first->request(to.watcher, std::chrono::seconds{3'600}, atom::follow_v, process_id{"a"},
                     std::string{"step"}, event_seq{0}, duration_ms{50'000});
  auto two
    = second->request(to.watcher, std::chrono::seconds{3'600}, atom::follow_v, process_id{"a"},
                      std::string{"step"}, event_seq{0}, duration_ms{50'000});
  run();
  CHECK_FALSE(first->has_next_message());
  REQUIRE(ask<event>(to.registry, atom::append_v, append_request{"a", "step", "1", "", false, {}}));
  run();
  event_seq got = 0;
  event_seq same = 0;
  one.receive([&](event& x) { got = x.seq; }, [](const caf::error&) { FAIL("no event"); });
  two.receive([&](event& x) { same = x.seq; }, [](const caf::error&) { FAIL("no event"); });
  CHECK(got == 3);
  CHECK(same == 3);
  // One that was there before is not told again; an unknown process is refused.
  caf::scoped_actor early{sys};
  auto none = early->request(to.watcher, std::chrono::seconds{3'600}, atom::follow_v,
                             process_id{"a"}, std::string{"step"}, event_seq{3}, duration_ms{500});
  advance(std::chrono::milliseconds{600});
  auto ended = ec::none;
  none.receive([](event&) {}, [&](const caf::error& x) { ended = to_refusal(x).code; });
  CHECK(ended == ec::timed_out);
  const auto unknown = ask<event>(to.watcher, atom::follow_v, process_id{"x"}, std::string{"step"},
                                  event_seq{0}, duration_ms{0});
  CHECK(unknown.why().code == ec::unknown_process);
  caf::scoped_actor third{sys};
  auto late
    = third->request(to.watcher, std::chrono::seconds{3'600}, atom::follow_v, process_id{"a"},
                     std::string{"step"}, event_seq{3}, duration_ms{50'000});
  run();
  tool.last().finish(make_success("1"));
  run();
  auto why = ec::none;
  late.receive([](event&) {}, [&](const caf::error& x) { why = to_refusal(x).code; });
  CHECK(why == ec::already_terminal);
}

TEST_CASE_METHOD(node_fixture, "watcher: a session's wake is told by push", "[actors][watch]") {
  auto x = tests::make_declaring("a", {"step"});
  x.event_types.front().wake = "{}";
  x.wake_session = "s";
  enroll(x);
  caf::scoped_actor receiver{sys};
  auto waits = receiver->request(to.watcher, std::chrono::seconds{3'600}, atom::wakes_v,
                                 std::string{"s"}, duration_ms{50'000});
  run();
  CHECK_FALSE(receiver->has_next_message());
  REQUIRE(ask<event>(to.registry, atom::append_v, append_request{"a", "step", "1", "", false, {}}));
  run();
  std::uint64_t there = 0;
  waits.receive([&](done& answer) { there = answer.count; }, [](const caf::error&) {});
  CHECK(there == 1);
  const auto got = ask<wake_list>(to.registry, atom::wakes_v, take_wakes_request{"s", 5, 1'000});
  REQUIRE(got);
  CHECK(got->wakes.size() == 1);
}

TEST_CASE_METHOD(node_fixture, "waiters: many on one process, each is told once",
                 "[actors][watch][s5-11][s5-153][s5-239][s5-A8]") {
  enroll(tests::make_registration("a"));
  std::vector<std::unique_ptr<caf::scoped_actor>> waiters;
  std::vector<std::string> outcomes;
  for (int i = 0; i < 50; ++i) {
    waiters.push_back(std::make_unique<caf::scoped_actor>(sys));
    auto& me = *waiters.back();
    me->send(to.watcher, atom::wait_v, process_id{"a"}, duration_ms{50'000});
  }
  run();
  tool.last().finish(make_success("7"));
  run();
  for (auto& me : waiters) {
    REQUIRE((*me)->has_next_message());
    (*me)->receive([&](outcome_view& x) { outcomes.push_back(x.outcome_json); });
    CHECK_FALSE((*me)->has_next_message());
  }
  CHECK(outcomes.size() == 50);
  CHECK(std::all_of(outcomes.begin(), outcomes.end(),
                    [&](const auto& x) { return x == outcomes.front(); }));
}

TEST_CASE_METHOD(node_fixture, "children: a running child is told when its parent ends",
                 "[actors][cancel]") {
  enroll(tests::make_registration("p"));
  auto child = tests::make_registration("c");
  child.parent = "p";
  enroll(child);
  REQUIRE(tool.runs.size() == 2);
  tool.runs.front()->finish(make_success("1"));
  run();
  CHECK(tool.last().cancels == 1);
  CHECK(word("c") == "cancelled");
}

TEST_CASE_METHOD(node_fixture, "process: a worker without the tool gives the row back unrun",
                 "[actors][process][s5-262]") {
  enroll(tests::make_registration("a", "other"));
  const auto rows
    = ask<claimed_list>(to.registry, atom::claim_v, owner{"elsewhere", 1},
                        std::vector<std::string>{"other"}, std::vector<std::string>{}, 1U);
  REQUIRE(rows);
  REQUIRE(rows->items.size() == 1);
  REQUIRE(ask<done>(to.registry, atom::release_v, rows->items.front().held)->count == 1);
  CHECK(word("a") == "ready");
  CHECK(view("a").attempt == 0);
  CHECK(view("a").first_owner.name.empty());
}

TEST_CASE_METHOD(node_fixture, "reader: everything it answers is there from afar",
                 "[actors][reader][s5-1]") {
  enroll(tests::make_declaring("a", {"step"}));
  CHECK(ask<event_page>(to.reader, atom::recent_v, process_id{"a"}, 1U)->events.size() == 1);
  CHECK(*ask<std::uint64_t>(to.reader, atom::count_v, process_id{"a"},
                            std::string{"process.started"}, event_seq{9})
        == 1);
  CHECK(ask<change_page>(to.reader, atom::changes_v, std::uint64_t{0}, 10U)->changes.size() == 1);
  CHECK(ask<process_counts>(to.reader, atom::reference_v)->by_state.at("fake") == 1);
  CHECK(ask<wake_list>(to.reader, atom::wakes_v, wakes_query{})->wakes.empty());
  session_query session;
  session.session = "s";
  const auto seen = ask<session_snapshot>(to.reader, atom::session_v, session);
  REQUIRE(seen);
  CHECK(seen->entries.empty());
  CHECK(seen->now > 0);
  session.limit = 0;
  CHECK(ask<session_snapshot>(to.reader, atom::session_v, session).why().code == ec::bad_request);
  session.limit = 1;
  session.events = 1'001;
  CHECK(ask<session_snapshot>(to.reader, atom::session_v, session).why().code == ec::bad_request);
  session.events = 1;
  session.session = " ";
  CHECK(ask<session_snapshot>(to.reader, atom::session_v, session).why().code == ec::bad_request);
  CHECK(ask<check_report>(to.reader, atom::check_v)->findings.empty());
  CHECK_FALSE(ask<change_page>(to.reader, atom::changes_v, std::uint64_t{0}, 0U));
}

TEST_CASE_METHOD(node_fixture, "worker: frozen past its lease, it writes nothing once it wakes",
                 "[actors][lease][s5-A2]") {
  enroll(make_registration("a"));
  enroll(make_registration("b"));
  const auto frozen = tool.runs.front();
  REQUIRE(frozen->info.id == "a");
  const auto held = view("a").fence;
  // Time passes while no alarm rings and nothing is renewed: the worker stands still. The registry
  // alone goes on, as it does on another machine.
  sched.clock().current_time += 31s;
  caf::anon_send(to.registry, atom::sweep_v);
  const auto next = [this] {
    auto rows = ask<claimed_list>(to.registry, atom::claim_v, owner{"successor", 1},
                                  std::vector<std::string>{"fake"}, std::vector<std::string>{}, 1U);
    REQUIRE(rows);
    REQUIRE(rows->items.size() == 1);
    return rows->items.front().held;
  }();
  REQUIRE(next.id == "a");
  CHECK(next.fence > held);
  const auto before = history("a");
  // It wakes: what its run says and what came of it is refused, or is not even sent.
  frozen->callbacks.emit("step", "{\"late\": true}");
  frozen->finish(make_success("\"late\""));
  advance(1s);
  CHECK(history("a") == before);
  CHECK(frozen->destroyed);
  CHECK(view("a").fence == next.fence);
  CHECK(view("a").holder.name == "successor");
  REQUIRE(ask<completion>(to.registry, atom::complete_v, next, make_success("\"in time\"")));
  CHECK(view("a").outcome_json.find("in time") != std::string::npos);
  CHECK(count("a", "process.completed") == 1);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(node_fixture, "faults: what goes wrong with a run is in the log",
                 "[actors][process][s5-284]") {
  const tests::captured_log out{{}};
  enroll(make_registration("a", "other"));
  auto rows = ask<claimed_list>(to.registry, atom::claim_v, owner{"silent", 1},
                                std::vector<std::string>{"other"}, std::vector<std::string>{}, 1U);
  REQUIRE(rows);
  advance(31s); // Nobody renews it.
  const auto lines = out.lines();
  const auto found = std::find_if(lines.begin(), lines.end(), [](const std::string& line) {
    return nlohmann::json::parse(line).at("event") == "lease.expired";
  });
  REQUIRE(found != lines.end());
  CHECK(nlohmann::json::parse(*found).at("level") == "warn");
}
