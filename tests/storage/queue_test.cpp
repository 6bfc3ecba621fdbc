// Queues: pauses, bounds on what runs at once, per key, rates, and what is said of them.
#include "messages/queues.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/store_fixture.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using namespace belay;
using tests::make_registration;
using tests::store_fixture;
using tests::ttl;

namespace {

registration keyed(const std::string& id, const std::string& key, std::int32_t priority = 0) {
  auto x = make_registration(id);
  x.concurrency_key = key;
  x.priority = priority;
  return x;
}

struct queue_fixture : store_fixture {
  queue_settings configure(queue_request x) {
    x.queue = x.queue.empty() ? "default" : x.queue;
    return apply<queue_settings>(std::move(x));
  }

  /// A grant to one worker with this much room: what it got, and when there may be more.
  grant_list grant(std::uint32_t room, std::vector<std::string> kinds = {"fake"}) {
    return apply<grant_list>(
      grant_request{{claimant{{"w", 1}, std::move(kinds), {}, room, room}}, ttl});
  }

  std::vector<std::string> ids(std::uint32_t room, std::vector<std::string> kinds = {"fake"}) {
    std::vector<std::string> result;
    const auto got = grant(room, std::move(kinds));
    for (const auto& x : got.each.front().items) {
      result.push_back(x.held.id);
      held[x.held.id] = x.held;
    }
    return result;
  }

  storage::batch_result finish(const std::string& id) {
    return apply_all({complete_request{held.at(id), make_success("1")}});
  }

  queue_view view(const std::string& name = "default") {
    for (auto& x : store->queues(now).queues) {
      if (x.name == name) {
        return x;
      }
    }
    FAIL("there is no queue " + name);
    return {};
  }

  std::map<std::string, lease> held;
};

using names = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(queue_fixture, "queues: a paused one hands out nothing, and goes on as it was",
                 "[storage][queues]") {
  enroll(make_registration("a"));
  enroll(make_registration("b"));
  auto other = make_registration("c");
  other.queue = "other";
  enroll(other);
  CHECK(ids(1) == names{"a"});
  queue_request pause;
  pause.paused = 1;
  CHECK(configure(pause).limits.paused);
  CHECK(ids(5) == names{"c"});
  CHECK(view().ready == 1);
  CHECK(view().running == 1);
  CHECK(view().limits.paused);
  finish("a"); // What runs goes on.
  open();      // It is kept.
  CHECK(ids(5).empty());
  pause.paused = 0;
  const auto resumed = apply_all({[&] {
    pause.queue = "default";
    return pause;
  }()});
  CHECK(resumed.ready_changed);
  CHECK(ids(5) == names{"b"});
  check_store();
}

TEST_CASE_METHOD(queue_fixture, "queues: no more run at once than the bound says",
                 "[storage][queues]") {
  for (const auto* id : {"a", "b", "c", "d"}) {
    enroll(make_registration(id));
  }
  queue_request bound;
  bound.concurrency_max = 2;
  configure(bound);
  CHECK(ids(4) == names{"a", "b"});
  CHECK(ids(4).empty());
  // Another may run in its place: whoever waits for rows is to be asked again.
  CHECK(finish("a").ready_changed);
  CHECK(ids(4) == names{"c"});
  SECTION("a lease that is lost makes room as well") {
    now += ttl;
    CHECK(apply<done>(expire_request{}).count == 2);
    CHECK(ids(4).size() == 2);
  }
  SECTION("a higher bound counts at once, a lower one ends nothing") {
    bound.concurrency_max = 3;
    configure(bound);
    CHECK(ids(4) == names{"d"});
    bound.concurrency_max = 1;
    configure(bound);
    CHECK(view().running == 3);
    finish("b");
    finish("c");
    enroll(make_registration("e"));
    CHECK(ids(4).empty());
    finish("d");
    CHECK(ids(4) == names{"e"});
  }
  check_store();
}

TEST_CASE_METHOD(queue_fixture, "queues: of each key no more than the bound, others pass by",
                 "[storage][queues]") {
  queue_request bound;
  bound.per_key_max = 1;
  configure(bound);
  for (int i = 0; i < 4; ++i) {
    enroll(keyed("x" + std::to_string(i), "x"));
  }
  enroll(keyed("y0", "y"));
  enroll(make_registration("free"));
  CHECK(ids(10) == names{"x0", "y0", "free"});
  CHECK(store->get("x1")->blocked);
  CHECK(store->get("x1")->concurrency_key == "x");
  CHECK(store->get("x1")->state == process_state::ready);
  CHECK(view().ready == 0);
  CHECK(view().blocked == 3);
  CHECK(view().oldest_ready_at == tests::start);
  check_store();

  CHECK(finish("x0").ready_changed);
  CHECK_FALSE(store->get("x1")->blocked);
  SECTION("the next in order, one at a time") {
    CHECK(ids(10) == names{"x1"});
    finish("x1");
    enroll(keyed("urgent", "x", 5));
    CHECK(ids(10) == names{"urgent"});
    finish("urgent");
    CHECK(ids(10) == names{"x2"});
  }
  SECTION("the next one is cancelled before anybody took it") {
    apply<cancel_receipt>(cancel_request{"x1", "no"});
    CHECK(ids(10) == names{"x2"});
  }
  SECTION("one that stands aside is cancelled") {
    apply<cancel_receipt>(cancel_request{"x2", "no"});
    CHECK(ids(10) == names{"x1"});
    finish("x1");
    CHECK(ids(10) == names{"x3"});
  }
  SECTION("without a bound all go") {
    CHECK(ids(1) == names{"x1"});
    bound.per_key_max = 0;
    configure(bound);
    CHECK(ids(10) == names{"x2", "x3"});
    CHECK(view().blocked == 0);
  }
  SECTION("a lost lease and a retry make room") {
    CHECK(ids(1) == names{"x1"});
    now += ttl;
    apply<done>(expire_request{});
    CHECK(ids(1) == names{"x1"}); // Ready again, and first in order.
  }
  check_store();
}

TEST_CASE_METHOD(queue_fixture, "queues: a kind that nobody runs holds back no other of its key",
                 "[storage][queues]") {
  queue_request bound;
  bound.per_key_max = 1;
  configure(bound);
  enroll(keyed("a", "k"));
  auto rare = keyed("rare", "k", 5);
  rare.kind = "rare";
  rare.input = R"({"args":{},"tool":"rare","type":"tool_call"})";
  CHECK(ids(1) == names{"a"});
  enroll(rare);
  enroll(keyed("b", "k"));
  CHECK(ids(5, {"fake", "rare"}).empty()); // Both stand aside now.
  CHECK(view().blocked == 2);
  finish("a");
  CHECK(ids(5) == names{"b"}); // The worker for "rare" is gone.
  check_store();
}

TEST_CASE_METHOD(queue_fixture,
                 "queues: a rate spreads claims, says when the next one is due, and "
                 "survives a restart",
                 "[storage][queues]") {
  for (int i = 0; i < 10; ++i) {
    enroll(make_registration("p" + std::to_string(i)));
  }
  queue_request bound;
  bound.rate = 2;
  bound.rate_period_ms = 1'000;
  bound.burst = 1;
  configure(bound);
  auto got = grant(10);
  CHECK(got.each.front().items.size() == 1);
  CHECK(got.again_at == now + 500);
  open();
  now += 499;
  got = grant(10);
  CHECK(got.each.front().items.empty());
  CHECK(got.again_at == now + 1);
  CHECK(view().next_claim_at == now + 1);
  now += 1;
  CHECK(grant(10).each.front().items.size() == 1);
  CHECK(grant(0).again_at == 0); // Nobody has room: nobody need be woken.
  SECTION("quiet time is not made up for beyond the burst") {
    now += 60'000;
    CHECK(grant(10).each.front().items.size() == 1);
    bound.burst = 3;
    configure(bound);
    now += 60'000;
    CHECK(grant(10).each.front().items.size() == 3);
  }
  SECTION("a slow rate that was raised counts at once") {
    bound.rate = 1;
    bound.rate_period_ms = 86'400'000;
    configure(bound);
    now += 500;
    CHECK(grant(10).each.front().items.size() == 1);
    now += 10'000;
    CHECK(grant(10).each.front().items.empty());
    bound.rate = 1'000;
    bound.rate_period_ms = 1'000;
    configure(bound);
    now += 1;
    CHECK_FALSE(grant(10).each.front().items.empty());
  }
  SECTION("without a rate all go") {
    bound.rate = 0;
    configure(bound);
    CHECK(grant(10).each.front().items.size() == 8);
  }
  check_store();
}

TEST_CASE_METHOD(queue_fixture, "queues: what a fast rate allows is handed out",
                 "[storage][queues]") {
  for (int i = 0; i < 400; ++i) {
    enroll(make_registration("p" + std::to_string(i)));
  }
  queue_request bound;
  bound.rate = 2'000;
  bound.rate_period_ms = 1'000;
  configure(bound);
  std::size_t claimed = grant(400).each.front().items.size();
  for (int ms = 0; ms < 100; ms += 5) {
    now += 5;
    claimed += grant(400).each.front().items.size();
  }
  // A tenth of a second at once, and a tenth that has passed.
  CHECK(claimed >= 398);
  CHECK(claimed <= 402);
}

TEST_CASE_METHOD(queue_fixture, "queues: failures of the last hour, to the minute",
                 "[storage][queues]") {
  enroll(make_registration("a"));
  enroll(make_registration("b"));
  const auto fail = [this] {
    apply<completion>(
      complete_request{claim_one(), make_failure(failure_class::execution, "c", "m", false)});
  };
  fail();
  now += 30 * 60'000;
  fail();
  CHECK(view().failed_last_hour == 2);
  now += 31 * 60'000;
  CHECK(view().failed_last_hour == 1);
  now += 60 * 60'000;
  CHECK(store->queues(now).queues.empty());
  // What is older than an hour is forgotten with the next failure.
  enroll(make_registration("c"));
  fail();
  CHECK(store->stat().records.at("failed") == 1);
  check_store();
}

TEST_CASE_METHOD(queue_fixture, "queues: what stands in them", "[storage][queues]") {
  enroll(make_registration("now"));
  auto later = make_registration("later");
  later.due_at = now + 60'000;
  enroll(later);
  auto high = make_registration("high");
  high.priority = 9;
  high.due_at = now + 1;
  enroll(high);
  CHECK(view().ready == 1);
  CHECK(view().delayed == 2);
  CHECK(view().oldest_ready_at == now);
  now += 1;
  CHECK(view().ready == 2);
  CHECK(view().delayed == 1);
  CHECK(ids(1) == names{"high"});
  now += 60'000;
  CHECK(view().ready == 2);
  CHECK(view().oldest_ready_at == tests::start);
  CHECK_FALSE(view().estimated);
}

TEST_CASE_METHOD(queue_fixture, "queues: bad requests are refused by name, and change nothing",
                 "[storage][queues]") {
  const auto text = [this](const std::function<void(queue_request&)>& change) {
    queue_request x;
    x.queue = "default";
    change(x);
    const auto no = refused(x);
    CHECK(no.code == ec::bad_request);
    return no.text;
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(text([](auto& x) { x.queue = "no queue"; }), Contains("queue: \"no queue\""));
  CHECK_THAT(text([](auto& x) { x.queue.clear(); }), Contains("queue: \"\""));
  CHECK_THAT(text([](auto& x) { x.paused = 2; }), Contains("paused: 2"));
  CHECK_THAT(text([](auto& x) { x.concurrency_max = 1'000'001; }), Contains("concurrency_max"));
  CHECK_THAT(text([](auto& x) { x.per_key_max = -2; }), Contains("per_key_max: -2"));
  CHECK_THAT(text([](auto& x) { x.rate_period_ms = 0; }), Contains("rate_period_ms: 0"));
  CHECK_THAT(text([](auto& x) {
               x.rate = 1'001;
               x.rate_period_ms = 1;
             }),
             Contains("at most 1000 in each millisecond"));
  CHECK(store->queues(now).queues.empty());
  queue_request nothing;
  nothing.paused = 0;
  nothing.queue = "never";
  CHECK_FALSE(apply<queue_settings>(nothing).known);
  CHECK(store->stat().records.at("queue") == 0);
  check_store();
}

TEST_CASE_METHOD(queue_fixture, "queues: an export brings bounds, keys and who stands aside",
                 "[storage][queues]") {
  queue_request bound;
  bound.per_key_max = 1;
  bound.concurrency_max = 7;
  bound.rate = 100;
  configure(bound);
  enroll(keyed("a", "k"));
  enroll(keyed("b", "k"));
  auto traced = make_registration("t");
  traced.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  enroll(traced);
  CHECK(ids(5) == names{"a", "t"});
  std::ostringstream first;
  store->export_lines(first);
  directory_name = "other";
  open();
  std::istringstream in{first.str()};
  store->import_lines(in);
  std::ostringstream second;
  store->export_lines(second);
  CHECK(first.str() == second.str());
  CHECK(store->get("b")->blocked);
  CHECK(store->get("t")->traceparent == traced.traceparent);
  CHECK(view().limits.concurrency_max == 7);
  finish("a");
  CHECK(ids(5) == names{"b"});
  check_store();
}

TEST_CASE_METHOD(queue_fixture, "queues: a trace is no part of what is asked for",
                 "[storage][queues]") {
  auto x = make_registration("a");
  x.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  enroll(x);
  auto again = x;
  again.traceparent = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-00";
  const auto answer = apply<registered_list>(register_request{{again}});
  CHECK_FALSE(answer.items.front().created);
  CHECK(store->get("a")->traceparent == x.traceparent);
  CHECK(claim(1).front().traceparent == x.traceparent);
  for (const auto* bad : {"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                          "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                          "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0-"}) {
    CHECK_FALSE(is_traceparent(bad));
  }
}
