// Workers on their own nodes: joining, sharing, losing and finding the registry again.
#include "tests/cluster/cluster_fixture.hpp"

using namespace belay;
using namespace std::chrono_literals;
using tests::cluster_fixture;

TEST_CASE_METHOD(cluster_fixture, "cluster: a worker joins and runs what is registered",
                 "[cluster]") {
  enroll("a");
  CHECK(word("a") == "ready");
  auto& w = add("w1", 2);
  REQUIRE(w.running() == std::vector<std::string>{"a"});
  CHECK(view("a").holder == owner{"w1", 1});
  w.run_of("a").finish(make_success("7"));
  run();
  CHECK(word("a") == "success");
  const auto x = shown("w1");
  CHECK(x.role == "worker");
  CHECK(x.state == "connected");
  CHECK(x.slots == 2);
  CHECK(x.kinds == std::vector<std::string>{"fake"});
  CHECK(shown("registry").role == "registry");
  CHECK(w.clock->now() == time().wall());
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(cluster_fixture, "cluster: work is shared in the proportion of slots",
                 "[cluster][fair]") {
  auto& large = add("large", 8);
  auto& small = add("small", 2);
  SECTION("a backlog") {
    for (int i = 0; i < 200; ++i) {
      enroll("p" + std::to_string(i));
      CHECK(large.running().size() <= 8);
      CHECK(small.running().size() <= 2);
    }
    for (int i = 0; i < 20; ++i) {
      large.finish_all();
      small.finish_all();
      run();
    }
    CHECK(large.tool.runs.size() == 160);
    CHECK(small.tool.runs.size() == 40);
  }
  SECTION("one at a time") {
    for (int i = 0; i < 100; ++i) {
      enroll("p" + std::to_string(i));
      CHECK(large.finish_all() + small.finish_all() == 1);
      run();
    }
    CHECK(large.tool.runs.size() == 80);
    CHECK(small.tool.runs.size() == 20);
  }
  SECTION("who was busy does not make up for it afterwards") {
    for (int i = 0; i < 60; ++i) {
      enroll("p" + std::to_string(i)); // The small one sits on its two.
      large.finish_all();
      run();
    }
    const auto before = small.tool.runs.size();
    CHECK(before == 2);
    small.finish_all();
    run();
    for (int i = 0; i < 50; ++i) {
      enroll("q" + std::to_string(i));
      large.finish_all();
      small.finish_all();
      run();
    }
    CHECK(small.tool.runs.size() - before <= 12);
  }
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a slow worker holds nobody up", "[cluster][fair]") {
  auto& slow = add("slow", 4);
  auto& quick = add("quick", 4);
  for (int i = 0; i < 40; ++i) {
    enroll("p" + std::to_string(i));
  }
  for (int i = 0; i < 20; ++i) {
    quick.finish_all();
    run();
  }
  CHECK(slow.running().size() == 4);
  CHECK(quick.tool.runs.size() == 36);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a killed worker's rows run elsewhere at once",
                 "[cluster][loss]") {
  auto& w1 = add("w1", 2);
  enroll("a");
  auto& w2 = add("w2", 2);
  end(w1);
  CHECK(w2.running() == std::vector<std::string>{"a"});
  CHECK(view("a").interruptions == 1);
  CHECK(shown("w1").name.empty());
  // Started again it is another incarnation.
  begin(w1, 2);
  CHECK(shown("w1").incarnation == 2);
}

TEST_CASE_METHOD(cluster_fixture,
                 "cluster: a cut link voids the leases, and the worker writes nothing",
                 "[cluster][loss]") {
  auto& w1 = add("w1", 2);
  enroll("a");
  auto& lost = w1.run_of("a");
  cut(w1);
  CHECK(word("a") == "ready");
  CHECK_FALSE(lost.destroyed); // It does not know yet.
  auto& w2 = add("w2", 2);
  CHECK(w2.running() == std::vector<std::string>{"a"});
  SECTION("mended: it is told that the row is another's") {
    mend(w1);
    CHECK(lost.destroyed);
    CHECK(shown("w1").incarnation == 1);
    enroll("b");
    enroll("c");
    CHECK(w1.running().size() + w2.running().size() == 3);
    CHECK_FALSE(w1.running().empty());
  }
  SECTION("not mended: it gives up by its own clock, before its lease can have run out") {
    advance(ttl - ttl / 10 - 1s);
    CHECK_FALSE(lost.destroyed);
    advance(1s);
    CHECK(lost.destroyed);
  }
  w2.run_of("a").finish(make_success("2"));
  run();
  CHECK(word("a") == "success");
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(cluster_fixture, "cluster: within the link's grace a worker keeps what it has",
                 "[cluster][loss]") {
  close();
  link_grace_ms = 5'000;
  open();
  auto& w1 = add("w1", 2);
  auto& w2 = add("w2", 2);
  enroll("a");
  auto& holder = w1.running().empty() ? w2 : w1;
  auto& other = w1.running().empty() ? w1 : w2;
  auto& its = holder.run_of("a");
  cut(holder);
  CHECK(word("a") == "running");
  SECTION("mended in time, also when the outcome came meanwhile") {
    its.finish(make_success("1"));
    run();
    CHECK(word("a") == "running");
    mend(holder);
    CHECK(word("a") == "success");
    CHECK(view("a").interruptions == 0);
    CHECK(shown(holder.name).incarnation == 1);
    advance(10s); // The grace that is over means nobody.
    enroll("b");
    enroll("c");
    CHECK(holder.running().size() + other.running().size() == 2);
  }
  SECTION("mended and cut again: it begins anew") {
    advance(4s);
    mend(holder);
    cut(holder);
    advance(4'900ms);
    CHECK(view("a").interruptions == 0);
    advance(200ms);
    CHECK(view("a").interruptions == 1);
  }
  SECTION("not mended") {
    advance(5'001ms);
    CHECK(view("a").interruptions == 1);
    CHECK(other.running() == std::vector<std::string>{"a"});
  }
}

TEST_CASE_METHOD(cluster_fixture,
                 "cluster: a worker that comes back before it was missed is taken in",
                 "[cluster][loss]") {
  auto& w = add("w1", 2);
  enroll("a");
  worker_loses_link(w); // One side only.
  mend(w);
  CHECK(shown("w1").incarnation == 1);
  CHECK(word("a") == "running");
  w.run_of("a").finish(make_success("1"));
  run();
  CHECK(word("a") == "success");
  for (const auto* id : {"b", "c", "d"}) {
    enroll(id);
  }
  CHECK(w.running().size() == 2);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: running work outlives a restart of the registry",
                 "[cluster][restart]") {
  auto& w = add("w1", 4);
  for (const auto* id : {"a", "b"}) {
    enroll(id);
  }
  close();
  w.run_of("a").finish(make_success("1")); // While nobody is there to be told.
  advance(10s);
  open();
  advance(3s);
  CHECK(word("a") == "success");
  CHECK(word("b") == "running");
  CHECK(view("b").interruptions == 0);
  CHECK(shown("w1").incarnation == 1);
  w.run_of("b").finish(make_success("2"));
  run();
  CHECK(word("b") == "success");
  enroll("c");
  CHECK(w.running() == std::vector<std::string>{"c"});
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a registry away for longer than the lease",
                 "[cluster][restart]") {
  auto& w = add("w1", 4);
  enroll("a");
  auto& first = w.run_of("a");
  close();
  advance(ttl);
  CHECK(first.destroyed);
  open();
  CHECK(word("a") == "running"); // Nobody has told the registry; the lease was extended at start.
  advance(ttl + 1s);
  CHECK(w.running() == std::vector<std::string>{"a"});
  CHECK(view("a").interruptions == 1);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a name belongs to one worker at a time", "[cluster]") {
  auto& w = add("w1", 2);
  auto& twin = add("w1", 2);
  CHECK(twin.running().empty());
  enroll("a");
  CHECK(w.running() == std::vector<std::string>{"a"});
  end(w);
  advance(1s); // It has tried all the time.
  CHECK(twin.running() == std::vector<std::string>{"a"});
  CHECK(shown("w1").incarnation == 2);
  auto& impostor = add("registry", 2);
  enroll("b");
  CHECK(impostor.running().empty());
}

TEST_CASE_METHOD(cluster_fixture, "cluster: who lost its name while it was away begins anew",
                 "[cluster]") {
  auto& w = add("w1", 2);
  enroll("a");
  cut(w);
  auto& heir = add("w1", 2);
  CHECK(heir.running() == std::vector<std::string>{"a"});
  end(heir);
  mend(w);
  advance(1s);
  CHECK(shown("w1").incarnation == 3);
  CHECK(w.running() == std::vector<std::string>{"a"});
  CHECK(w.tool.runs.size() == 2);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: cards that are not acceptable", "[cluster][input]") {
  const auto refused = [this](worker_card card) {
    caf::scoped_actor me{sys};
    const auto no = ask<enlisted>(to.registry, atom::enlist_v, std::move(card),
                                  caf::actor_cast<caf::actor>(me.ptr()));
    REQUIRE_FALSE(no);
    CHECK(no.why().code == ec::bad_request);
    return no.why().text;
  };
  CHECK(refused({"", 1, 0, 1, {}, {}}).find("name: ''") == 0);
  CHECK(refused({std::string(129, 'x'), 1, 0, 1, {}, {}}).find("name: ") == 0);
  CHECK(refused({"a\n", 1, 0, 1, {}, {}}).find("name: ") == 0);
  CHECK(refused({"w", 0, 0, 1, {}, {}}).find("run: 0") == 0);
  CHECK(refused({"w", 1, 0, 0, {}, {}}).find("slots: 0") == 0);
  CHECK(refused({"w", 1, 0, 65'537, {}, {}}).find("slots: 65537") == 0);
  CHECK(refused({"w", 1, 0, 1, {""}, {}}).find("kinds: ''") == 0);
  CHECK(refused({"w", 1, 0, 1, {}, std::vector<std::string>(10'001, "q")}).find("queues: 10001")
        == 0);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: drained from afar, and let go on", "[cluster][drain]") {
  auto& w = add("w1", 2);
  enroll("a");
  enroll("b");
  caf::scoped_actor me{sys};
  auto draining
    = me->request(to.membership, 3'600s, atom::drain_v, std::string{"w1"}, duration_ms{10'000});
  run();
  CHECK(shown("w1").state == "draining");
  enroll("c");
  w.run_of("a").finish(make_success("1"));
  run();
  CHECK(word("c") == "ready");
  CHECK_FALSE(me->has_next_message());
  advance(10'001ms); // What still runs is given back.
  REQUIRE(me->has_next_message());
  std::uint64_t given_back = 99;
  draining.receive([&given_back](const done& x) { given_back = x.count; },
                   [](const caf::error&) {});
  CHECK(given_back == 1);
  CHECK(word("b") == "ready");
  CHECK(view("b").interruptions == 0);
  CHECK(shown("w1").state == "drained");
  const auto again = ask<done>(to.membership, atom::drain_v, std::string{"w1"}, duration_ms{1'000});
  CHECK(again); // It is drained already.
  const auto on = ask<done>(to.membership, atom::undrain_v, std::string{"w1"});
  REQUIRE(on);
  CHECK(on->count == 1);
  CHECK(w.running().size() == 2);
  CHECK(ask<done>(to.membership, atom::undrain_v, std::string{"w1"})->count == 0);
  const auto nobody = ask<done>(to.membership, atom::undrain_v, std::string{"w2"});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.why().code == ec::unknown_node);
  CHECK(nobody.why().text.find("did you mean 'w1'?") != std::string::npos);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a drain is called off", "[cluster][drain]") {
  auto& w = add("w1", 2);
  enroll("a");
  caf::scoped_actor me{sys};
  auto draining
    = me->request(to.membership, 3'600s, atom::drain_v, std::string{"w1"}, duration_ms{10'000});
  run();
  CHECK(ask<done>(to.membership, atom::undrain_v, std::string{"w1"})->count == 1);
  auto code = ec::none;
  REQUIRE(me->has_next_message());
  draining.receive([](const done&) {}, [&code](const caf::error& x) { code = to_refusal(x).code; });
  CHECK(code == ec::wrong_state);
  advance(20s);
  CHECK(w.running() == std::vector<std::string>{"a"});
  enroll("b");
  CHECK(w.running().size() == 2);
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a drained worker whose link is cut keeps what it runs",
                 "[cluster][drain]") {
  auto& w = add("w1", 2);
  enroll("a");
  caf::scoped_actor me{sys};
  me->send(to.membership, atom::drain_v, std::string{"w1"}, duration_ms{60'000});
  run();
  worker_loses_link(w);
  mend(w);
  enroll("b");
  CHECK(w.running() == std::vector<std::string>{"a"});
  advance(ttl * 2 - 10s);
  CHECK(word("a") == "running");
  w.run_of("a").finish(make_success("1"));
  run();
  CHECK(word("a") == "success");
  CHECK(word("b") == "ready");
}

TEST_CASE_METHOD(cluster_fixture, "uplink: what a lost link leaves open is answered", "[cluster]") {
  auto& w = add("w1", 1);
  enroll("a");
  caf::scoped_actor me{sys};
  auto waiting = me->request(w.uplink, 3'600s, atom::wait_v, std::string{"a"}, duration_ms{30'000});
  run();
  CHECK_FALSE(me->has_next_message());
  worker_loses_link(w);
  auto code = ec::none;
  REQUIRE(me->has_next_message());
  waiting.receive([](const outcome_view&) {},
                  [&code](const caf::error& x) { code = to_refusal(x).code; });
  CHECK(code == ec::outcome_unknown);
  const auto refused = ask<outcome_view>(w.uplink, atom::wait_v, std::string{"a"}, duration_ms{1});
  REQUIRE_FALSE(refused);
  CHECK(refused.why().code == ec::shutting_down);
}

TEST_CASE_METHOD(cluster_fixture, "uplink: tries again with pauses that grow", "[cluster]") {
  auto& w = add("w1", 1);
  int tries = 0;
  cut(w);
  const auto failures = [&] {
    const auto said = ask<std::string>(w.uplink, atom::snapshot_v);
    REQUIRE(said);
    return nlohmann::json::parse(*said).at("failures").get<int>();
  };
  advance(1s);
  tries = failures();
  CHECK(tries >= 4);
  CHECK(tries <= 12);
  advance(60s);
  CHECK(failures() - tries >= 30);
  CHECK(failures() - tries <= 61);
  mend(w);
  CHECK(shown("w1").state == "connected");
}

TEST_CASE_METHOD(cluster_fixture, "cluster: a thousand rows due at once go out in one stroke",
                 "[cluster][fair]") {
  for (int i = 0; i < 16; ++i) {
    add("w" + std::to_string(i), 8);
  }
  auto item = tests::make_registration("x");
  std::vector<registration> many;
  for (int i = 0; i < 1'000; ++i) {
    item.id = "p" + std::to_string(i);
    item.due_at = time().wall() + 60'000;
    many.push_back(item);
  }
  REQUIRE(ask<registered_list>(to.registry, atom::enroll_v, many));
  const auto commits = [this] {
    return nlohmann::json::parse(*ask<std::string>(to.registry, atom::snapshot_v))
      .at("commits")
      .get<int>();
  };
  advance(59s);
  const auto before = commits();
  advance(2s);
  for (const auto& w : workers) {
    CHECK(w.running().size() == 8);
  }
  CHECK(commits() - before <= 3);
}
