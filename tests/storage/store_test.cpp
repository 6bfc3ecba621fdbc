// The store, operation by operation.
#include "storage/store.hpp"

#include "storage/rules.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/store_fixture.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <set>

using namespace belay;
using tests::make_declaring;
using tests::make_registration;
using tests::start;
using tests::store_fixture;
using tests::ttl;

TEST_CASE_METHOD(store_fixture, "register: the same again is unchanged and another hash refused",
                 "[storage][register][s5-2][s5-309][s5-255]") {
  enroll(make_registration("a"));
  const auto again = apply<registered_list>(register_request{{make_registration("a")}});
  CHECK_FALSE(again.items.front().created);
  CHECK(store->get("a")->last_seq == 1);
  auto other = make_registration("a");
  other.priority = 1;
  const auto no = refused(register_request{{other}});
  CHECK(no.code == ec::registration_conflict);
  CHECK(no.text.find(hash_hex(canonical_text(other))) != std::string::npos);
  CHECK(no.text.find(store->get("a")->registration_hash) != std::string::npos);
}

TEST_CASE_METHOD(store_fixture, "claim: by priority, due time, age, and never another's kind",
                 "[storage][claim]") {
  auto urgent = make_registration("urgent");
  urgent.priority = 10;
  auto later = make_registration("later");
  later.due_at = start + 1'000;
  auto delayed_urgent = make_registration("delayed-urgent");
  delayed_urgent.priority = 10;
  delayed_urgent.due_at = start + 60'000;
  auto queued = make_registration("queued");
  queued.queue = "other";
  queued.priority = 5;
  enroll(make_registration("unserved", "nobody"));
  enroll(make_registration("plain"));
  enroll(later);
  enroll(delayed_urgent);
  enroll(urgent);
  enroll(queued);
  now += 2'000;
  std::vector<std::string> order;
  for (const auto& row : claim()) {
    order.push_back(row.held.id);
  }
  CHECK(order == std::vector<std::string>{"urgent", "queued", "plain", "later"});
  CHECK(store->upcoming(now).due_at == start + 60'000);
  CHECK(store->get("unserved")->state == process_state::ready);
  now += 60'000;
  const auto rest = claim(5, "w", {"fake", "nobody"});
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].held.id == "delayed-urgent");
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "claim: only the queues that were asked for", "[storage][claim]") {
  auto x = make_registration("a");
  x.queue = "slow";
  enroll(x);
  const auto from = [this](const std::string& queue) {
    return apply<claimed_list>(claim_request{{"w", 1}, {"fake"}, {queue}, 1, ttl}).items.size();
  };
  CHECK(from("fast") == 0);
  CHECK(from("slow") == 1);
}

TEST_CASE_METHOD(store_fixture,
                 "names: the bound counts queues and kinds, whatever workers are called",
                 "[storage]") {
  options.names_max = 4;
  open();
  enroll(make_registration("a")); // The queue "default" and the kind "fake".
  for (int i = 0; i < 20; ++i) {
    apply<owner>(enlist_request{"host-" + std::to_string(i)});
  }
  const auto in_queue = [](const std::string& id, const std::string& queue) {
    auto x = make_registration(id);
    x.queue = queue;
    return x;
  };
  enroll(in_queue("b", "q1"));
  // One name is left: two that are new do not fit, in one message or in one registration.
  CHECK(
    refused(register_request{{in_queue("c", "q2"), in_queue("d", "q3")}}).text.find("item 2: queue")
    == 0);
  auto other = make_registration("e", "another");
  other.queue = "q2";
  CHECK(code_of(register_request{{other}}) == ec::bad_request);
  queue_request pause;
  pause.queue = "q2";
  pause.paused = 1;
  apply<queue_settings>(pause);
  pause.queue = "q3";
  CHECK(code_of(pause) == ec::bad_request);
  for (int opened = 0; opened < 2; ++opened) {
    CHECK(refused(register_request{{in_queue("f", "q3")}}).text.find("store.names_max allows (4)")
          != std::string::npos);
    enroll(in_queue("g", "q2"));
    apply<owner>(enlist_request{"host-new-" + std::to_string(opened)});
    open();
  }
  check_store();
}

TEST_CASE_METHOD(store_fixture, "lease: counts as expired exactly at its expiry",
                 "[storage][lease][s5-149]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  now = held.expires_at - 1;
  const auto renewed = apply<lease>(renew_request{held, ttl});
  CHECK(renewed.expires_at == now + ttl);
  CHECK(renewed.fence == held.fence);
  now = renewed.expires_at;
  CHECK(refused(renew_request{held, ttl}).code == ec::lease_superseded);
  CHECK(refused(complete_request{held, make_success("1")}).code == ec::lease_superseded);
  // The sweep finds it although the index still holds the first expiry.
  CHECK(apply<done>(expire_request{}).count == 1);
  CHECK(store->get("a")->state == process_state::ready);
  CHECK(store->get("a")->interruptions == 1);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "lease: a renewed one is not swept at its first expiry",
                 "[storage][lease][s5-23]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  now += 20'000;
  apply<lease>(renew_request{held, ttl});
  now = held.expires_at + 1;
  CHECK(apply<done>(expire_request{}).count == 0);
  CHECK(store->upcoming(now).expires_at == start + 20'000 + ttl);
  apply<completion>(complete_request{held, make_success("1")});
}

TEST_CASE_METHOD(store_fixture, "lease: any wrong part of it is refused and writes nothing",
                 "[storage][lease][s5-21][s5-22][s5-25][s5-148][s5-198]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  std::vector<lease> wrong(5, held);
  wrong[0].token.low ^= 1;
  wrong[1].holder.name = "other";
  wrong[2].holder.incarnation = 2;
  wrong[3].fence = fencing_token{99};
  wrong[4].row = row_id{99};
  const auto before = store->get("a")->last_seq;
  for (const auto& x : wrong) {
    CHECK(refused(renew_request{x, ttl}).code == ec::lease_superseded);
    CHECK(refused(complete_request{x, make_success("1")}).code == ec::lease_superseded);
    CHECK(refused(append_request{"a", "t", "{}", "", true, x}).code == ec::lease_superseded);
    CHECK(apply<done>(release_request{x, "no"}).count == 0);
  }
  CHECK(store->get("a")->last_seq == before);
  CHECK(store->get("a")->state == process_state::running);
}

TEST_CASE_METHOD(store_fixture, "fence: rises with every grant, also over releases and restarts",
                 "[storage][lease][restart][s5-24][s5-368]") {
  enroll(make_registration("a"));
  std::uint64_t last = 0;
  for (int i = 0; i < 4; ++i) {
    const auto held = claim_one();
    CHECK(static_cast<std::uint64_t>(held.fence) == last + 1);
    last = static_cast<std::uint64_t>(held.fence);
    apply<done>(release_request{held, "test"});
    open();
  }
  CHECK(store->get("a")->interruptions == 0);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "complete: once, and the same again is said to be done",
                 "[storage][complete][s5-150][s5-268][s5-175]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  CHECK(apply<completion>(complete_request{held, make_success("1")}).status
        == completion_status::committed);
  CHECK(apply<completion>(complete_request{held, make_success("1")}).status
        == completion_status::already_applied);
  CHECK(refused(complete_request{held, make_success("2")}).code == ec::lease_superseded);
  CHECK(store->outcome_of(held.row)->outcome_json == R"({"type":"success","value":1})");
  CHECK(store->counts().by_state == std::map<std::string, std::uint64_t>{{"success", 1}});
  CHECK(claim().empty());
}

TEST_CASE_METHOD(store_fixture, "complete: retries grow, keep to their bound, and run out",
                 "[storage][complete][s5-287]") {
  auto x = make_registration("a");
  x.retry = {4, 1'000, 10'000, 5'000};
  enroll(x);
  const auto failed = make_failure(failure_class::execution, "exit_1", "no", true);
  std::vector<duration_ms> pauses;
  for (int i = 0; i < 3; ++i) {
    const auto result = apply<completion>(complete_request{claim_one(), failed});
    REQUIRE(result.status == completion_status::retry_scheduled);
    pauses.push_back(result.retry_at - now);
    CHECK(claim().empty());
    now = result.retry_at;
  }
  CHECK((pauses[0] >= 800 && pauses[0] <= 1'200));
  CHECK((pauses[1] >= 4'000 && pauses[1] <= 6'000));
  CHECK((pauses[2] >= 4'000 && pauses[2] <= 6'000));
  CHECK(apply<completion>(complete_request{claim_one(), failed}).status
        == completion_status::committed);
  CHECK(store->get("a")->ended == outcome_kind::failure);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "complete: a failure that is not retryable ends at once",
                 "[storage][complete]") {
  auto x = make_registration("a");
  x.retry.attempts = 5;
  enroll(x);
  apply<completion>(
    complete_request{claim_one(), make_failure(failure_class::execution, "c", "m", false)});
  CHECK(store->get("a")->state == process_state::finished);
}

TEST_CASE_METHOD(store_fixture, "complete: an outcome over the bound is refused",
                 "[storage][complete]") {
  options.outcome_bytes_max = 4'096;
  open();
  enroll(make_registration("a"));
  const auto held = claim_one();
  CHECK(refused(complete_request{held, make_success("\"" + std::string(5'000, 'x') + "\"")}).code
        == ec::bad_request);
  CHECK(refused(complete_request{held, make_success("not json")}).code == ec::bad_request);
  apply<completion>(complete_request{held, make_success("1")});
}

TEST_CASE_METHOD(store_fixture, "interruptions: three of them quarantine, owner-bound at once",
                 "[storage][recovery]") {
  enroll(make_registration("a"));
  auto bound = make_registration("bound");
  bound.rule = recovery_rule::owner_bound;
  enroll(bound);
  for (int i = 1; i <= 3; ++i) {
    CHECK(claim().size() == (i == 1 ? 2U : 1U));
    CHECK(apply<done>(void_request{{"w", 1}, "test"}).count == (i == 1 ? 2U : 1U));
  }
  CHECK(store->get("a")->state == process_state::quarantined);
  CHECK(store->get("bound")->state == process_state::quarantined);
  CHECK(store->get("bound")->interruptions == 1);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "recover: own leases are void, those of others get a full ttl",
                 "[storage][recovery]") {
  enroll(make_registration("a"));
  enroll(make_registration("b"));
  CHECK(claim(1, "local").size() == 1);
  const auto other = claim(1, "remote").front().held;
  now += ttl + 5'000;
  CHECK(apply<done>(recover_request{"local", ttl}).count == 1);
  CHECK(store->get("a")->state == process_state::ready);
  CHECK(apply<done>(expire_request{}).count == 0);
  CHECK(store->get("b")->lease_expires_at == now + ttl);
  apply<completion>(complete_request{other, make_success("1")});
}

TEST_CASE_METHOD(store_fixture, "enlist: a new incarnation voids the old one's leases and claims",
                 "[storage][recovery]") {
  CHECK(apply<owner>(enlist_request{"w"}).incarnation == 1);
  enroll(make_registration("a"));
  claim_one();
  CHECK(apply<owner>(enlist_request{"w"}).incarnation == 2);
  CHECK(store->get("a")->state == process_state::ready);
  CHECK(refused(claim_request{{"w", 1}, {"fake"}, {}, 1, ttl}).code == ec::lease_superseded);
  open();
  CHECK(apply<owner>(enlist_request{"w"}).incarnation == 3);
}

TEST_CASE_METHOD(store_fixture, "append: keys are idempotent and sequences dense",
                 "[storage][event]") {
  enroll(make_declaring("a", {"step"}));
  const auto first = apply<event>(append_request{"a", "step", "{\"n\":1}", "k", false, {}});
  CHECK(first.seq == 2);
  CHECK(apply<event>(append_request{"a", "step", "{\"n\":1}", "k", false, {}}).seq == 2);
  CHECK(refused(append_request{"a", "step", "{\"n\":2}", "k", false, {}}).code
        == ec::event_conflict);
  CHECK(apply<event>(append_request{"a", "step", "{\"n\":2}", "", false, {}}).seq == 3);
  CHECK(refused(append_request{"a", "process.completed", "{}", "", false, {}}).code
        == ec::bad_request);
  CHECK(refused(append_request{"a", "step", "{", "", false, {}}).code == ec::bad_request);
  CHECK(refused(append_request{"b", "step", "{}", "", false, {}}).code == ec::unknown_process);
  apply<completion>(complete_request{claim_one(), make_success("1")});
  CHECK(refused(append_request{"a", "step", "{}", "", false, {}}).code == ec::already_terminal);
  CHECK(apply<event>(append_request{"a", "step", "{\"n\":1}", "k", false, {}}).seq == 2);
  const auto page = store->events_after("a", 1, 2);
  REQUIRE(page);
  CHECK(page->events.size() == 2);
  CHECK(page->more);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "cancel: once recorded it ends the row when its lease is lost",
                 "[storage][cancel]") {
  auto x = make_registration("a");
  x.retry.attempts = 5;
  enroll(x);
  const auto held = claim_one();
  const auto receipt = apply<cancel_receipt>(cancel_request{"a", "why", false});
  CHECK(receipt.stage == cancel_stage::requested);
  CHECK(receipt.holder == owner{"w", 1});
  const auto seq = store->get("a")->last_seq;
  apply<cancel_receipt>(cancel_request{"a", "why", false});
  CHECK(store->get("a")->last_seq == seq);
  now = held.expires_at;
  apply<done>(expire_request{});
  CHECK(store->get("a")->ended == outcome_kind::cancelled);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "cancel: a cancelled run that fails is not retried",
                 "[storage][cancel]") {
  auto x = make_registration("a");
  x.retry.attempts = 5;
  enroll(x);
  const auto held = claim_one();
  apply<cancel_receipt>(cancel_request{"a", "why", false});
  apply<completion>(complete_request{held, make_failure(failure_class::execution, "c", "m", true)});
  CHECK(store->get("a")->state == process_state::finished);
}

TEST_CASE_METHOD(store_fixture, "batch: a refused operation leaves no trace and the others stand",
                 "[storage][batch]") {
  const auto result = apply_all(
    {register_request{{make_registration("a")}}, cancel_request{"nobody", "x", false},
     register_request{{make_registration("b")}}, claim_request{{"w", 1}, {"fake"}, {}, 1, ttl}});
  CHECK(std::holds_alternative<refusal>(result.answers[1]));
  CHECK(std::get<claimed_list>(result.answers[3]).items.front().held.id == "a");
  CHECK(store->get("b")->state == process_state::ready);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "blobs: long texts round trip and damage is noticed",
                 "[storage][blob]") {
  enroll(make_registration("a"));
  const auto text = "\"" + std::string(10'000, 'x') + "\"";
  apply<completion>(complete_request{claim_one(), make_success(text)});
  open();
  CHECK(store->get("a")->outcome_json.find(text) != std::string::npos);
  CHECK(store->check().empty());
  for (const auto& file :
       std::filesystem::recursive_directory_iterator{options.directory / "blobs"}) {
    if (file.is_regular_file()) {
      std::ofstream{file.path(), std::ios::app} << "x";
    }
  }
  CHECK_THROWS_AS(store->get("a"), storage::error);
  CHECK_FALSE(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "restart: everything is there again",
                 "[storage][restart][s5-26][s5-129]") {
  enroll(make_declaring("a", {"step"}));
  apply<event>(append_request{"a", "step", "{}", "k", false, {}});
  const auto held = claim_one();
  now += 5'000;
  apply<lease>(renew_request{held, ttl});
  const auto before = *store->get("a");
  open();
  const auto after = *store->get("a");
  CHECK(after.last_seq == before.last_seq);
  CHECK(after.fence == before.fence);
  CHECK(after.lease_expires_at == before.lease_expires_at);
  CHECK(store->last_time() >= now);
  apply<completion>(complete_request{held, make_success("1")});
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "directory: a second opener is told who holds it",
                 "[storage][directory]") {
  options.holder = "the first";
  open();
  auto other = options;
  other.holder = "the second";
  try {
    const storage::store second{other};
    FAIL("opened twice");
  } catch (const storage::error& x) {
    CHECK(x.kind() == storage::error_kind::unusable);
    CHECK(std::string{x.what()}.find("the first") != std::string::npos);
  }
}

TEST_CASE_METHOD(store_fixture, "list: pages reach every row once, filters and counts agree",
                 "[storage][list]") {
  for (int i = 0; i < 25; ++i) {
    enroll(make_registration("p" + std::to_string(i), i % 5 == 0 ? "rare" : "fake"));
  }
  apply<completion>(complete_request{claim_one(), make_success("1")});
  std::vector<std::string> seen;
  list_query query;
  query.limit = 10;
  do {
    const auto page = store->list(query, now);
    for (const auto& x : page.processes) {
      seen.push_back(x.id);
    }
    query.after = page.next;
  } while (query.after != row_id{});
  REQUIRE(seen.size() == 25);
  CHECK(seen.front() == "p24");
  CHECK(seen.back() == "p0");
  query = {};
  query.kind = "rare";
  CHECK(store->list(query, now).processes.size() == 5);
  query = {};
  query.state = "success";
  CHECK(store->list(query, now).processes.size() == 1);
  query.state = "live";
  CHECK(store->list(query, now).processes.size() == 24);
  const auto held = claim(7);
  query.state = "running";
  query.limit = 3;
  seen.clear();
  do {
    const auto page = store->list(query, now);
    for (const auto& x : page.processes) {
      seen.push_back(x.id);
    }
    query.after = page.next;
  } while (query.after != row_id{});
  CHECK(seen.size() == held.size());
  CHECK(std::set<std::string>{seen.begin(), seen.end()}.size() == held.size());
  for (const auto& x : held) {
    apply<done>(release_request{x.held, "back"});
  }
  query = {};
  query.queue = "unheard-of";
  CHECK(store->list(query, now).processes.empty());
  CHECK(store->counts().by_state
        == std::map<std::string, std::uint64_t>{{"ready", 24}, {"success", 1}});
}

TEST_CASE("rules: the pause of a retry stays within a fifth of what was asked",
          "[storage][rules]") {
  const retry_policy policy{10, 1'000, 2'000, 60'000};
  for (std::uint64_t random = 0; random < 5'000; random += 7) {
    const auto first = storage::rules::retry_pause(policy, 0, random);
    CHECK((first >= 800 && first <= 1'200));
    const auto late = storage::rules::retry_pause(policy, 9, random);
    CHECK((late >= 48'000 && late <= 72'000));
  }
}

TEST_CASE_METHOD(store_fixture, "claim: of two in one transaction one wins",
                 "[storage][claim][s5-393][s5-134]") {
  enroll(make_registration("a"));
  const auto both = apply_all(
    {claim_request{{"w", 1}, {"fake"}, {}, 1, ttl}, claim_request{{"v", 1}, {"fake"}, {}, 1, ttl}});
  CHECK(std::get<claimed_list>(both.answers[0]).items.size() == 1);
  CHECK(std::get<claimed_list>(both.answers[1]).items.empty());
  CHECK(store->get("a")->holder.name == "w");
}

TEST_CASE_METHOD(store_fixture, "long log: a cancel and the next of a type are found by index",
                 "[storage][s5-A6][s5-78][s5-394]") {
  enroll(make_declaring("a", {"step", "signal.go"}));
  for (int i = 0; i < 200; ++i) {
    std::vector<operation> batch;
    for (int j = 0; j < 100; ++j) {
      batch.push_back(append_request{"a", "step", "{}", "", false, {}});
    }
    static_cast<void>(apply_all(std::move(batch)));
  }
  CHECK(store->get("a")->last_seq == 20'001);
  CHECK(*store->count_events("a", "signal.go", 20'001) == 0);
  const auto seq = apply<event>(append_request{"a", "signal.go", "{}", "", false, {}}).seq;
  CHECK((*store->event_after("a", "signal.go", 0))->seq == seq);
  CHECK(apply<cancel_receipt>(cancel_request{"a", "why", false}).stage == cancel_stage::done);
  CHECK(store->recent_events("a", 2)->events.size() == 2);
}
