// Parking and waking, parents and children.
#include "tests/support/store_fixture.hpp"

using namespace belay;
using tests::make_declaring;
using tests::make_registration;
using tests::start;
using tests::store_fixture;
using tests::ttl;

namespace {

struct wait_fixture : store_fixture {
  lease claim_id(const std::string& id) {
    for (auto& row : claim(100)) {
      last = row;
      if (row.held.id == id) {
        return row.held;
      }
    }
    FAIL("not claimed: " + id);
    return {};
  }

  park_receipt park(const lease& held, wait_condition until) {
    return apply<park_receipt>(park_request{held, std::move(until)});
  }

  void signal(const std::string& id, const std::string& name, const std::string& key = {}) {
    apply<event>(append_request{id, "signal." + name, "{}", key, false, {}});
  }

  process_state state(const std::string& id) {
    return store->get(id)->state;
  }

  void enroll_child(const std::string& id, const std::string& parent, close_policy close) {
    auto x = make_registration(id);
    x.parent = parent;
    x.close = close;
    enroll(x);
  }

  claimed last;
};

wait_condition
for_signal(const std::string& name, std::uint64_t ordinal, timestamp_ms deadline = 0) {
  return {wait_kind::signal, name, ordinal, deadline};
}

} // namespace

TEST_CASE_METHOD(wait_fixture, "wait: a parked process holds nothing and goes on at its signal",
                 "[storage][s5-12][s5-61][s5-173][s5-395][s5-191][s5-297]") {
  enroll(make_declaring("a", {"signal.go"}));
  const auto held = claim_id("a");
  CHECK_FALSE(park(held, for_signal("go", 1)).woken);
  CHECK(state("a") == process_state::waiting);
  CHECK(store->get("a")->waiting.until.name == "go");
  CHECK(store->get("a")->waiting.since == now);
  CHECK(code_of(complete_request{held, make_success("1")}) == ec::lease_superseded);
  CHECK(claim().empty());
  list_query waiting;
  waiting.state = "waiting";
  CHECK(store->list(waiting, now).processes.size() == 1);
  signal("a", "go");
  CHECK(state("a") == process_state::ready);
  const auto again = claim_id("a");
  CHECK(last.attempt == 1); // The same attempt goes on.
  CHECK(last.woken.find("\"by\":\"signal\"") != std::string::npos);
  CHECK(static_cast<std::uint64_t>(again.fence) == 2);
  // The second wait on the same name waits for the second signal.
  CHECK_FALSE(park(again, for_signal("go", 2)).woken);
  signal("a", "go", "k");
  signal("a", "go", "k");
  const auto third = claim_id("a");
  apply<completion>(complete_request{third, make_success("1")});
  CHECK(code_of(append_request{"a", "signal.go", "{}", "", false, {}}) == ec::already_terminal);
  CHECK(code_of(park_request{third, for_signal("go", 3)}) == ec::lease_superseded);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: a condition that holds already wakes at once",
                 "[storage][s5-226][s5-154]") {
  enroll(make_declaring("a", {"signal.go"}));
  enroll(make_registration("done"));
  apply<completion>(complete_request{claim_id("done"), make_success("1")});
  now += ttl;
  apply<done>(expire_request{});
  signal("a", "go");
  auto held = claim_id("a");
  CHECK(park(held, for_signal("go", 1)).woken);
  held = claim_id("a");
  CHECK(park(held, {wait_kind::child, "done", 0, 0}).woken);
  held = claim_id("a");
  CHECK(park(held, {wait_kind::timer, "", 0, now}).woken);
  held = claim_id("a");
  CHECK_FALSE(park(held, for_signal("go", 2)).woken);
  CHECK(code_of(park_request{held, for_signal("go", 2)}) == ec::lease_superseded);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: timers and deadlines wake, also after a restart",
                 "[storage][wait]") {
  enroll(make_declaring("a", {"signal.go"}));
  park(claim_id("a"), {wait_kind::timer, "", 0, now + 60'000});
  CHECK(store->upcoming(now).timer_at == now + 60'000);
  open();
  now += 59'999;
  apply<done>(expire_request{});
  CHECK(state("a") == process_state::waiting);
  now += 1;
  apply<done>(expire_request{});
  const auto held = claim_id("a");
  CHECK(last.woken.find("timer") != std::string::npos);
  park(held, for_signal("go", 1, now + 10));
  now += 10;
  apply<done>(expire_request{});
  static_cast<void>(claim_id("a"));
  CHECK(last.woken.find("deadline") != std::string::npos);
  CHECK(store->upcoming(now).timer_at == 0);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: cancelling and abandoning end a waiting process at once",
                 "[storage][wait][s5-306]") {
  for (const auto* id : {"a", "b", "c"}) {
    enroll(make_declaring(id, {"signal.go"}));
    park(claim_id(id), for_signal("go", 1, now + 60'000));
  }
  CHECK(apply<cancel_receipt>(cancel_request{"a", "why", false}).stage == cancel_stage::done);
  CHECK(apply<abandon_receipt>(abandon_request{"b", "me", "why"}).abandoned);
  signal("c", "go");
  apply<cancel_receipt>(cancel_request{"c", "why", false});
  CHECK(store->get("a")->ended == outcome_kind::cancelled);
  CHECK(store->get("b")->ended == outcome_kind::abandoned);
  CHECK(store->get("c")->ended == outcome_kind::cancelled);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: a cancel that came before the wait is not slept through",
                 "[storage][wait]") {
  enroll(make_declaring("a", {"signal.go"}));
  const auto held = claim_id("a");
  apply<cancel_receipt>(cancel_request{"a", "why", false});
  park(held, for_signal("go", 1));
  CHECK(store->get("a")->ended == outcome_kind::cancelled);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: bad conditions are refused and the lease stays",
                 "[storage][wait]") {
  enroll(make_registration("a"));
  const auto held = claim_id("a");
  CHECK(code_of(park_request{held, for_signal("go", 0)}) == ec::bad_request);
  CHECK(code_of(park_request{held, for_signal("g o", 1)}) == ec::bad_request);
  CHECK(code_of(park_request{held, {wait_kind::timer, "", 0, 0}}) == ec::bad_request);
  CHECK(code_of(park_request{held, {wait_kind::child, "none", 0, 0}}) == ec::unknown_process);
  CHECK(code_of(park_request{held, {wait_kind::child, "a", 0, 0}}) == ec::bad_request);
  CHECK(code_of(park_request{held, {wait_kind::closing, "", 0, 0}}) == ec::bad_request);
  CHECK(state("a") == process_state::running);
  CHECK(store->get("a")->last_seq == 2);
}

TEST_CASE_METHOD(wait_fixture, "children: a parent waits for its child and is told its outcome",
                 "[storage][s5-62]") {
  enroll(make_registration("p"));
  const auto parent = claim_id("p");
  enroll_child("c", "p", close_policy::cancel);
  park(parent, {wait_kind::child, "c", 0, 0});
  CHECK(state("p") == process_state::waiting);
  apply<completion>(
    complete_request{claim_id("c"), make_failure(failure_class::execution, "x", "y", false)});
  CHECK(state("p") == process_state::ready);
  const auto again = claim_id("p");
  CHECK(last.woken.find("\"outcome\":\"failure\"") != std::string::npos);
  apply<completion>(complete_request{again, make_success("1")});
  list_query children;
  children.parent = "p";
  REQUIRE(store->list(children, now).processes.size() == 1);
  CHECK(store->list(children, now).processes.front().id == "c");
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "children: each goes by its policy when the parent ends",
                 "[storage][s5-185]") {
  enroll(make_registration("p"));
  const auto parent = claim_id("p");
  enroll_child("cancelled", "p", close_policy::cancel);
  enroll_child("free", "p", close_policy::abandon);
  enroll_child("running", "p", close_policy::cancel);
  enroll_child("grandchild", "cancelled", close_policy::cancel);
  auto urgent = make_registration("x");
  const auto rows = claim(3);
  lease running;
  for (const auto& row : rows) {
    if (row.held.id == "running") {
      running = row.held;
    }
  }
  REQUIRE(running.id == "running");
  for (const auto& row : rows) {
    if (row.held.id != "running") {
      apply<done>(release_request{row.held, "not mine", false});
    }
  }
  const auto result = apply_all({complete_request{parent, make_success("1")}});
  CHECK(state("p") == process_state::finished);
  CHECK(store->get("cancelled")->ended == outcome_kind::cancelled);
  CHECK(store->get("grandchild")->state == process_state::finished);
  CHECK(state("free") == process_state::ready);
  CHECK(state("running") == process_state::running);
  CHECK(store->get("running")->cancel_requested);
  REQUIRE(result.pushes.size() == 1);
  CHECK(result.pushes.front().fence == running.fence);
  auto late = make_registration("late");
  late.parent = "p";
  CHECK(code_of(register_request{{late}}) == ec::already_terminal);
  late.parent = "nobody";
  CHECK(code_of(register_request{{late}}) == ec::unknown_process);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "children: an awaited one holds the parent's outcome back",
                 "[storage][wait]") {
  enroll(make_registration("p"));
  const auto parent = claim_id("p");
  enroll_child("c1", "p", close_policy::await);
  enroll_child("c2", "p", close_policy::await);
  const auto first = apply<completion>(complete_request{parent, make_success("7")});
  CHECK(first.status == completion_status::closing);
  CHECK(apply<completion>(complete_request{parent, make_success("7")}).status
        == completion_status::closing);
  CHECK(code_of(complete_request{parent, make_success("8")}) == ec::lease_superseded);
  CHECK(state("p") == process_state::waiting);
  check_store();
  open();
  for (const auto& row : claim(2)) {
    CHECK(state("p") == process_state::waiting);
    apply<completion>(complete_request{row.held, make_success("1")});
  }
  CHECK(state("p") == process_state::finished);
  CHECK(store->get("p")->outcome_json.find("7") != std::string::npos);
  CHECK(apply<completion>(complete_request{parent, make_success("7")}).status
        == completion_status::already_applied);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "children: cancelling a parent that closes cancels what it awaits",
                 "[storage][wait]") {
  enroll(make_registration("p"));
  const auto parent = claim_id("p");
  enroll_child("c1", "p", close_policy::await);
  enroll_child("c2", "p", close_policy::await);
  apply<completion>(complete_request{parent, make_success("7")});
  CHECK(apply<cancel_receipt>(cancel_request{"p", "why", false}).stage == cancel_stage::requested);
  CHECK(store->get("c1")->ended == outcome_kind::cancelled);
  CHECK(store->get("p")->ended == outcome_kind::success); // Its outcome was known before.
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: for several things, the first that comes wakes",
                 "[storage][wait]") {
  enroll(make_registration("other"));
  enroll(make_declaring("a", {"signal.go", "signal.no"}));
  const auto rows = claim(2);
  REQUIRE(rows.size() == 2);
  const auto park_for_all = [&](const lease& held) {
    park_request x{held, for_signal("go", 1)};
    x.also = {{wait_kind::child, "other", 0, 0},
              {wait_kind::timer, "", 0, now + 50'000},
              for_signal("no", 1, now + 10'000)};
    return apply<park_receipt>(x).woken;
  };
  CHECK_FALSE(park_for_all(rows.back().held));
  CHECK(store->get("a")->waiting.also.size() == 3);
  CHECK(store->get("a")->waiting.also.back().name == "no");
  CHECK(store->upcoming(now).timer_at == now + 10'000);
  check_store();
  open();
  signal("a", "no");
  CHECK(state("a") == process_state::ready);
  auto held = claim_id("a");
  CHECK(last.woken == R"({"by":"signal","name":"no","ordinal":1})");
  CHECK(store->upcoming(now).timer_at == 0);
  CHECK(park_for_all(held)); // It is there still.
  held = claim_id("a");
  park_request x{held, for_signal("go", 1)};
  x.also = {{wait_kind::child, "other", 0, 0}, {wait_kind::child, "other", 0, 0}};
  CHECK_FALSE(apply<park_receipt>(x).woken);
  apply<completion>(complete_request{rows.front().held, make_success("1")});
  static_cast<void>(claim_id("a"));
  CHECK(last.woken.find("\"child\":\"other\"") != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: for so many of some processes", "[storage][wait]") {
  enroll(make_registration("a"));
  const auto held = claim_id("a");
  for (const auto* id : {"c1", "c2", "c3", "c4"}) {
    enroll_child(id, "a", close_policy::cancel);
  }
  const auto children = claim(4);
  apply<completion>(complete_request{children[0].held, make_success("1")});
  park_request x{held, {wait_kind::child, "c1", 0, 0}};
  x.also = {{wait_kind::child, "c2", 0, 0},
            {wait_kind::child, "c3", 0, now + 90'000},
            {wait_kind::child, "c4", 0, 0}};
  for (const auto bad : {0U, 5U}) {
    x.needed = bad;
    CHECK(code_of(x) == ec::bad_request);
  }
  x.needed = 3;
  auto mixed = x;
  mixed.also.push_back(for_signal("go", 1));
  CHECK(code_of(mixed) == ec::bad_request);
  mixed = x;
  mixed.also.push_back({wait_kind::child, "c4", 0, 0});
  CHECK(code_of(mixed) == ec::bad_request);
  CHECK_FALSE(apply<park_receipt>(x).woken);
  apply<completion>(complete_request{children[1].held, make_success("1")});
  CHECK(state("a") == process_state::waiting);
  check_store();
  open();
  apply<completion>(complete_request{children[2].held, make_success("1")});
  CHECK(state("a") == process_state::ready);
  check_store();
  const auto again = claim_id("a");
  x.held = again;
  CHECK(apply<park_receipt>(x).woken);
  x.held = claim_id("a");
  x.needed = 4;
  CHECK_FALSE(apply<park_receipt>(x).woken);
  now += 90'000; // A deadline wakes all the same; the fourth has not ended.
  apply<done>(expire_request{});
  static_cast<void>(claim_id("a"));
  CHECK(last.woken.find("deadline") != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: too many conditions and bad ones are refused",
                 "[storage][wait]") {
  enroll(make_registration("a"));
  const auto held = claim_id("a");
  park_request x{held, {wait_kind::timer, "", 0, now + 1}};
  x.also.assign(10'000, {wait_kind::timer, "", 0, now + 1});
  CHECK(code_of(x) == ec::bad_request);
  x.also.resize(1);
  x.also[0] = for_signal("go", 0);
  CHECK(refused(x).text.find("also[0].ordinal: ") == 0);
  x.also[0] = {wait_kind::timer, std::string(513, 'n'), 0, now + 1};
  CHECK(code_of(x) == ec::bad_request);
  x.also[0].name = "\xFF";
  CHECK(code_of(x) == ec::bad_request);
  x.also.assign(9'999, {wait_kind::timer, "", 0, now + 1});
  CHECK_FALSE(apply<park_receipt>(x).woken);
  CHECK(store->get("a")->waiting.also.size() == 100); // As many as are shown.
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: two that would wait for each other are refused",
                 "[storage][wait]") {
  for (const auto* id : {"a", "b", "c"}) {
    enroll(make_registration(id));
  }
  const auto rows = claim(3);
  park(rows[0].held, {wait_kind::child, "b", 0, 0});
  park_request x{rows[1].held, {wait_kind::timer, "", 0, now + 9}};
  x.also = {{wait_kind::child, "c", 0, 0}};
  apply<park_receipt>(x);
  CHECK(refused(park_request{rows[2].held, {wait_kind::child, "a", 0, 0}}).text.find("in turn")
        != std::string::npos);
  CHECK(code_of(park_request{rows[2].held, {wait_kind::child, "b", 0, 0}}) == ec::bad_request);
  CHECK(state("c") == process_state::running);
  check_store();
}

TEST_CASE_METHOD(wait_fixture, "wait: for an ancestor, or one that holds back for it, is refused",
                 "[storage][wait]") {
  enroll(make_registration("p"));
  const auto top = claim_id("p");
  enroll_child("c", "p", close_policy::await);
  const auto child = claim_id("c");
  enroll_child("g", "c", close_policy::cancel);
  const auto grandchild = claim_id("g");
  for (const auto* id : {"p", "c"}) {
    CHECK(code_of(park_request{grandchild, {wait_kind::child, id, 0, 0}}) == ec::bad_request);
  }
  enroll(make_registration("x"));
  const auto other = claim_id("x");
  CHECK(apply<completion>(complete_request{top, make_success("1")}).status
        == completion_status::closing);
  park(child, {wait_kind::child, "x", 0, 0});
  CHECK(code_of(park_request{other, {wait_kind::child, "p", 0, 0}}) == ec::bad_request);
  CHECK_FALSE(park(other, {wait_kind::child, "g", 0, 0}).woken);
  check_store();
}
