// Sessions, authorities, abandoning, trying again, pruning, the change feed.
#include "storage/rules.hpp"
#include "tests/support/store_fixture.hpp"

#include <set>

using namespace belay;
using tests::make_declaring;
using tests::make_registration;
using tests::start;
using tests::store_fixture;
using tests::ttl;

namespace {

struct upkeep_fixture : store_fixture {
  void observe(const std::string& id, const std::string& session) {
    apply<done>(observe_request{id, session, true, "test"});
  }

  std::vector<std::string> observed_by(const std::string& session, const std::string& state = {}) {
    list_query query;
    query.observer = session;
    query.state = state;
    std::vector<std::string> ids;
    for (const auto& x : store->list(query, now).processes) {
      ids.push_back(x.id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  void finish(const std::string& id, outcome result = make_success("1")) {
    auto found = false;
    for (const auto& row : claim(100)) {
      if (row.held.id == id) {
        apply<completion>(complete_request{row.held, result});
        found = true;
      } else {
        apply<done>(release_request{row.held, "not this one", false});
      }
    }
    REQUIRE(found);
  }

  registration external(const std::string& id) {
    auto x = make_registration(id);
    x.input = R"({"metadata":{"n":1},"type":"external"})";
    x.kind = "external";
    x.rule = recovery_rule::externally_owned;
    return x;
  }

  prune_report prune(prune_request x) {
    if (x.before == 0) {
      x.before = now;
    }
    return apply<prune_report>(x);
  }

  std::vector<std::string> words(const std::string& state) {
    std::vector<std::string> ids;
    list_query query;
    query.state = state;
    for (const auto& x : store->list(query, now).processes) {
      ids.push_back(x.id);
    }
    return ids;
  }
};

using strings = std::vector<std::string>;

} // namespace

// -- sessions -----------------------------------------------------------------------------------

TEST_CASE_METHOD(upkeep_fixture, "observers: added, listed, removed, and only on known processes",
                 "[storage][s5-3][s5-16][s5-17][s5-20][s5-161][s5-160]") {
  auto x = make_registration("a");
  x.observers = {"s", "t"};
  enroll(x);
  enroll(make_registration("b"));
  CHECK(store->get("a")->observers == strings{"s", "t"});
  CHECK(store->get("b")->observers.empty());
  CHECK(apply<done>(observe_request{"b", "s", true, "me"}).count == 1);
  CHECK(apply<done>(observe_request{"b", "s", true, "me"}).count == 0);
  CHECK(observed_by("s") == strings{"a", "b"});
  CHECK(observed_by("t") == strings{"a"});
  CHECK(apply<done>(observe_request{"a", "t", false, ""}).count == 1);
  CHECK(apply<done>(observe_request{"a", "t", false, ""}).count == 0);
  CHECK(store->get("a")->observers == strings{"s"});
  CHECK(code_of(observe_request{"none", "s", true, ""}) == ec::unknown_process);
  CHECK(code_of(observe_request{"a", " ", true, ""}) == ec::bad_request);
  CHECK(event_types("b").back() == event_types::observer_added);
  CHECK(event_types("a").back() == event_types::observer_removed);
  finish("a");
  CHECK(observed_by("s", "live") == strings{"b"});
  CHECK(observed_by("s") == strings{"a", "b"});
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "observers: a transfer moves all or none", "[storage][s5-15]") {
  for (const auto* id : {"a", "b", "c"}) {
    enroll(make_registration(id));
  }
  observe("a", "s");
  observe("b", "s");
  CHECK(code_of(transfer_request{"s", "t", {"a", "c"}, ""}) == ec::unknown_observer);
  CHECK(observed_by("s") == strings{"a", "b"});
  CHECK(observed_by("t").empty());
  CHECK(apply<done>(transfer_request{"s", "t", {"a", "b"}, "me"}).count == 2);
  CHECK(observed_by("s").empty());
  CHECK(observed_by("t") == strings{"a", "b"});
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "sessions: forgetting one says who is left alone and ends nobody",
                 "[storage][s5-18][s5-44][s5-176][s5-63][s5-64]") {
  for (const auto* id : {"alone", "shared", "over", "target"}) {
    auto x = make_declaring(id, {"step"});
    x.event_types.front().wake = "{}";
    x.originator = "s";
    x.wake_session = "s";
    enroll(x);
  }
  finish("over");
  for (const auto* id : {"alone", "shared", "over"}) {
    observe(id, "s");
  }
  observe("shared", "t");
  apply<event>(append_request{"target", "step", "{}", "", false, {}});
  const auto before = event_types("alone");
  const auto report = apply<session_report>(forget_session_request{"s"});
  CHECK(report.removed_observers == 3);
  CHECK(report.discarded_wakes == 1);
  CHECK(report.orphaned == strings{"alone"});
  CHECK(report.preserved == strings{"shared"});
  CHECK(event_types("alone") == before);
  CHECK(store->get("target")->wake_session.empty());
  CHECK(store->get("target")->originator == "s");
  CHECK(store->get("alone")->state == process_state::ready);
  const auto again = apply<session_report>(forget_session_request{"s"});
  CHECK(again.removed_observers == 0);
  CHECK(again.orphaned.empty());
  check_store();
}

// -- authority, abandon, references -------------------------------------------------------------

TEST_CASE("authority: who may complete what without a lease", "[storage][s5-142]") {
  using storage::rules::authority_refused;
  const auto rules
    = {recovery_rule::rerunnable, recovery_rule::owner_bound, recovery_rule::externally_owned};
  for (const auto rule : rules) {
    const auto external = rule == recovery_rule::externally_owned;
    CHECK(authority_refused(authority::external_owner, rule, outcome_kind::success).has_value()
          == !external);
    CHECK(authority_refused(authority::workflow_key, rule, outcome_kind::success).has_value()
          == external);
    CHECK(
      authority_refused(authority::reconciled_abandon, rule, outcome_kind::abandoned).has_value()
      == !external);
    CHECK(authority_refused(authority::reconciled_abandon, rule, outcome_kind::success));
  }
}

TEST_CASE_METHOD(upkeep_fixture,
                 "settle: an external process ends by its owner and is never claimed",
                 "[storage][s5-143][s5-256][s5-141][s5-303][s5-182]") {
  enroll(external("e"));
  enroll(make_registration("r"));
  CHECK(claim(10, "w", {"external", "fake"}).size() == 1);
  const auto no = refused(settle_request{"r", authority::external_owner, "", make_success("1")});
  CHECK(no.code == ec::authority_refused);
  CHECK(no.text.find("external-owner") != std::string::npos);
  CHECK(code_of(settle_request{"e", authority::workflow_key, "k", make_success("1")})
        == ec::authority_refused);
  CHECK(store->get("e")->state == process_state::external);
  CHECK(
    apply<completion>(settle_request{"e", authority::external_owner, "", make_success("1")}).status
    == completion_status::committed);
  const auto seq = store->get("e")->last_seq;
  CHECK(
    apply<completion>(settle_request{"e", authority::external_owner, "", make_success("1")}).status
    == completion_status::already_applied);
  CHECK(store->get("e")->last_seq == seq);
  CHECK(code_of(settle_request{"e", authority::external_owner, "", make_success("2")})
        == ec::already_terminal);
  CHECK(store->events_after("e", 1, 9)->events.front().payload.find("external-owner")
        != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture,
                 "settle: an external input that may be rerun ends with its metadata",
                 "[storage][upkeep]") {
  auto x = external("e");
  x.rule = recovery_rule::rerunnable;
  enroll(x);
  CHECK(store->get("e")->ended == outcome_kind::success);
  CHECK(store->get("e")->outcome_json.find("\"n\":1") != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "abandon: a request changes nothing while the lease is held",
                 "[storage][s5-140][s5-193][s5-259][s5-260][s5-300][s5-382]") {
  auto x = make_registration("a");
  x.rule = recovery_rule::owner_bound;
  enroll(x);
  const auto held = claim_one();
  CHECK_FALSE(apply<abandon_receipt>(abandon_request{"a", "ann", "gone"}).abandoned);
  CHECK_FALSE(apply<abandon_receipt>(abandon_request{"a", "ann", "gone"}).abandoned);
  CHECK(code_of(abandon_request{"a", "bob", "gone"}) == ec::already_set);
  open();
  CHECK(store->get("a")->abandon.find("ann") != std::string::npos);
  apply<lease>(renew_request{held, ttl});
  now += ttl;
  apply<done>(expire_request{});
  CHECK(store->get("a")->ended == outcome_kind::abandoned);
  const auto evidence = store->get("a")->outcome_json;
  CHECK(evidence.find("reconciled_request") != std::string::npos);
  CHECK(evidence.find("\"owner\":\"w\"") != std::string::npos);
  CHECK(evidence.find("ann") != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "abandon: at once when nobody holds it, never over an outcome",
                 "[storage][s5-258][s5-181]") {
  enroll(make_registration("a"));
  enroll(external("e"));
  enroll(make_registration("b"));
  finish("b");
  CHECK(apply<abandon_receipt>(abandon_request{"a", "ann", "why"}).abandoned);
  CHECK(apply<abandon_receipt>(abandon_request{"e", "ann", "why"}).abandoned);
  CHECK(code_of(abandon_request{"b", "ann", "why"}) == ec::already_terminal);
  CHECK(code_of(abandon_request{"none", "ann", "why"}) == ec::unknown_process);
  CHECK(apply<abandon_receipt>(abandon_request{"a", "ann", "why"}).abandoned);
  CHECK(claim().empty());
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "external reference: the first one stands", "[storage][s5-192]") {
  enroll(make_registration("a"));
  CHECK(apply<done>(external_ref_request{"a", "k8s", "job-1", R"({"n": 1})"}).count == 1);
  CHECK(apply<done>(external_ref_request{"a", "k8s", "job-1", R"({"n": 1.0})"}).count == 0);
  CHECK(code_of(external_ref_request{"a", "k8s", "job-2", ""}) == ec::already_set);
  CHECK(code_of(external_ref_request{"a", "", "job-2", ""}) == ec::bad_request);
  CHECK(code_of(external_ref_request{"none", "k8s", "j", ""}) == ec::unknown_process);
  CHECK(store->get("a")->external_ref.find("job-1") != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "first start: who ran it first stays, over retries and restarts",
                 "[storage][s5-178][s5-373]") {
  auto x = make_registration("a");
  x.retry.attempts = 3;
  enroll(x);
  const auto first = claim_one();
  const auto at = now;
  apply<completion>(
    complete_request{first, make_failure(failure_class::execution, "x", "y", true)});
  now += 60'000;
  open();
  const auto rows = claim(1, "other");
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().attempt == 2);
  CHECK(store->get("a")->first_owner == owner{"w", 1});
  CHECK(store->get("a")->first_fence == first.fence);
  CHECK(store->get("a")->started_at == at);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "attempts: a budget that is used up ends the process unrun",
                 "[storage][s5-257][s5-178]") {
  auto x = make_registration("a");
  x.attempts_max = 2;
  options.interruptions_max = 0;
  open();
  enroll(x);
  for (std::uint32_t i = 1; i <= 2; ++i) {
    CHECK(claim().front().attempt == i);
    now += ttl;
    apply<done>(expire_request{});
  }
  CHECK(claim().empty());
  CHECK(store->get("a")->ended == outcome_kind::abandoned);
  CHECK(store->get("a")->outcome_json.find("attempts_exhausted") != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "owner-bound: given back it ends, unstarted it is free",
                 "[storage][s5-179][s5-261][s5-264][s5-265][s5-299][s5-374]") {
  auto x = make_registration("a");
  x.rule = recovery_rule::owner_bound;
  enroll(x);
  const auto unstarted = claim_one();
  apply<done>(release_request{unstarted, "no tool", false});
  CHECK(store->get("a")->state == process_state::ready);
  CHECK(store->get("a")->attempt == 0);
  CHECK(store->get("a")->first_owner.name.empty());
  const auto held = claim_one();
  CHECK(held.fence > unstarted.fence);
  apply<done>(release_request{held, "drain", true});
  CHECK(store->get("a")->ended == outcome_kind::abandoned);
  CHECK(store->get("a")->outcome_json.find("owner_drain") != std::string::npos);
  x.id = "b";
  enroll(x);
  static_cast<void>(claim_one());
  now += ttl;
  apply<done>(expire_request{});
  CHECK(store->get("b")->state == process_state::quarantined);
  const auto no = refused(requeue_request{"b", true});
  CHECK(no.code == ec::wrong_state);
  CHECK(no.text.find("w#1") != std::string::npos);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "requeue: out of quarantine, and a delayed one now",
                 "[storage][upkeep]") {
  enroll(make_registration("a"));
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(claim_one());
    now += ttl;
    apply<done>(expire_request{});
  }
  CHECK(store->get("a")->state == process_state::quarantined);
  CHECK(code_of(requeue_request{"a", false}) == ec::wrong_state);
  apply<done>(requeue_request{"a", true});
  CHECK(store->get("a")->interruptions == 0);
  CHECK(code_of(requeue_request{"a", true}) == ec::wrong_state);
  auto later = make_registration("later");
  later.due_at = now + 60'000;
  enroll(later);
  apply<done>(requeue_request{"later", false});
  CHECK(claim().size() == 2);
  CHECK(code_of(requeue_request{"none", false}) == ec::unknown_process);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "again: a finished process is registered anew, its outcome stays",
                 "[storage][upkeep]") {
  auto x = make_registration("a");
  x.labels["team"] = "x";
  enroll(x);
  CHECK(code_of(again_request{"a", "b"}) == ec::wrong_state);
  finish("a", make_failure(failure_class::execution, "x", "y", false));
  CHECK(apply<registered_list>(again_request{"a", "b"}).items.front().created);
  CHECK_FALSE(apply<registered_list>(again_request{"a", "b"}).items.front().created);
  CHECK(code_of(again_request{"a", "a"}) == ec::registration_conflict);
  CHECK(store->get("b")->state == process_state::ready);
  CHECK(store->get("b")->registration_json.find("\"retry_of\":\"a\"") != std::string::npos);
  CHECK(store->get("a")->ended == outcome_kind::failure);
  check_store();
}

// -- lists and the change feed --------------------------------------------------------------------

TEST_CASE_METHOD(upkeep_fixture, "list: every filter",
                 "[storage][s5-13][s5-45][s5-46][s5-146][s5-168][s5-19][s5-147][s5-302]") {
  auto x = make_registration("a-1");
  x.originator = "s";
  x.label = "first";
  x.definition = "d1";
  x.labels = {{"team", "x"}, {"tier", "1"}};
  x.queue = "q";
  enroll(x);
  now += 1'000;
  enroll(make_declaring("a-2", {"signal.go"}));
  enroll(make_registration("b-1", "other"));
  finish("a-1");
  const auto ids = [this](const list_query& query) {
    strings found;
    for (const auto& one : store->list(query, now).processes) {
      found.push_back(one.id);
    }
    return found;
  };
  CHECK(ids({.originator = "s"}) == strings{"a-1"});
  CHECK(ids({.originator = "host"}) == strings{"b-1", "a-2"});
  CHECK(ids({.label = "first"}) == strings{"a-1"});
  CHECK(ids({.definition = "d1"}) == strings{"a-1"});
  CHECK(ids({.id_prefix = "a-"}) == strings{"a-2", "a-1"});
  CHECK(ids({.labels = {{"team", "x"}}}) == strings{"a-1"});
  CHECK(ids({.labels = {{"team", "x"}, {"tier", "2"}}}).empty());
  CHECK(ids({.kind = "other"}) == strings{"b-1"});
  CHECK(ids({.queue = "q"}) == strings{"a-1"});
  CHECK(ids({.created_from = start + 1'000}) == strings{"b-1", "a-2"});
  CHECK(ids({.created_before = start + 1'000}) == strings{"a-1"});
  CHECK(ids({.state = "live"}) == strings{"b-1", "a-2"});
  CHECK(ids({.state = "success"}) == strings{"a-1"});
  CHECK(ids({.state = "success", .definition = "d2"}).empty());
  const auto held = claim().front().held;
  CHECK(ids({.state = "running"}) == strings{"a-2"});
  apply<park_receipt>(park_request{held, {wait_kind::signal, "go", 1, 0}});
  CHECK(ids({.state = "waiting"}) == strings{"a-2"});
  CHECK(ids({.state = "running"}).empty());
  CHECK(ids({.state = "live"}) == strings{"b-1", "a-2"});
  const auto live = store->live_references();
  CHECK(live.size() == 2);
  CHECK(live.at("other") == 1);
}

TEST_CASE_METHOD(upkeep_fixture, "list: paging reaches every row once though others come and go",
                 "[storage][s5-169][s5-170][s5-171][s5-172]") {
  for (int i = 0; i < 20; ++i) {
    enroll(make_registration("p" + std::to_string(i)));
  }
  list_query query;
  query.state = "live";
  query.limit = 7;
  std::multiset<std::string> seen;
  for (int page = 0;; ++page) {
    const auto got = store->list(query, now);
    for (const auto& x : got.processes) {
      seen.insert(x.id);
    }
    if (page == 0) {
      finish("p2");                       // Ends before its page.
      enroll(make_registration("newer")); // Behind the cursor: the next scan sees it.
    }
    if (got.next == row_id{}) {
      break;
    }
    query.after = got.next;
  }
  CHECK(seen.size() == 19);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 19);
  CHECK(seen.count("p2") == 0);
  CHECK(seen.count("newer") == 0);
}

TEST_CASE_METHOD(upkeep_fixture, "changes: ordered, resumable, every row at its last change",
                 "[storage][s5-144][s5-174][s5-145]") {
  enroll(make_registration("a"));
  enroll(make_registration("b"));
  auto page = store->changes_since(0, 1);
  REQUIRE(page.changes.size() == 1);
  CHECK(page.changes.front().process.id == "a");
  CHECK(page.more);
  page = store->changes_since(page.next, 10);
  CHECK(page.changes.front().process.id == "b");
  CHECK_FALSE(page.more);
  const auto cursor = page.next;
  CHECK(store->changes_since(cursor, 10).changes.empty());
  finish("a");
  page = store->changes_since(cursor, 10);
  std::map<std::string, process_state> last;
  for (const auto& x : page.changes) {
    last[x.process.id] = x.process.state;
  }
  CHECK(last.at("a") == process_state::finished);
  const auto before = page.next;
  apply<prune_report>(prune_request{.before = now + 1});
  page = store->changes_since(before, 10);
  REQUIRE(page.changes.size() == 1);
  CHECK(page.changes.front().pruned);
  CHECK(page.changes.front().process.id == "a");
  open();
  CHECK(store->changes_since(before, 10).next == page.next);
  CHECK(store->changes_since(0, 10).changes.size() == 2);
}

// -- pruning ------------------------------------------------------------------------------------

TEST_CASE_METHOD(upkeep_fixture,
                 "prune: exactly the finished ones before the time, with all of theirs",
                 "[storage][s5-152][s5-187][s5-188][s5-378]") {
  const std::string text(5'000, 'x');
  for (const auto* id : {"old", "kept", "live", "failed"}) {
    auto x = make_declaring(id, {"step"});
    x.observers = {"s"};
    x.originator = id == std::string{"old"} ? "s" : "host";
    enroll(x);
    apply<event>(append_request{id, "step", "\"" + text + "\"", "k", false, {}});
  }
  finish("old", make_success("\"" + text + "\""));
  finish("failed", make_failure(failure_class::execution, "x", "y", false));
  now += 1'000;
  finish("kept");
  const auto at = store->get("kept")->finished_at;
  CHECK(prune({.before = at, .dry_run = true}).pruned == 2);
  CHECK(prune({.before = at, .originator = "nobody"}).pruned == 0);
  CHECK(prune({.before = at, .kind = "nothing"}).pruned == 0);
  CHECK(prune({.before = at, .outcomes = {outcome_kind::cancelled}}).pruned == 0);
  CHECK(prune({.before = at, .change_max = 1}).pruned == 0);
  CHECK(prune({.before = at, .outcomes = {outcome_kind::success}}).pruned == 1);
  CHECK(store->get("old").why().code == ec::pruned);
  CHECK(prune({.before = at}).pruned == 1); // "kept" ended at the time itself: exclusive.
  CHECK(store->get("kept"));
  CHECK(store->get("live"));
  CHECK(observed_by("s") == strings{"kept", "live"});
  CHECK(store->counts().by_state.at("success") == 1);
  check_store();
  // The long texts are shared: they stay as long as somebody has them.
  CHECK(store->events_after("live", 0, 10)->events.at(1).payload.size() > text.size());
  CHECK(code_of(prune_request{.before = now, .max = 0}) == ec::bad_request);
  CHECK(code_of(prune_request{.before = now + 60'000}) == ec::bad_request);
  finish("live");
  now += 1;
  CHECK(prune({}).pruned == 2);
  CHECK(prune({}).pruned == 0); // What follows a commit deletes its files.
  std::size_t files = 0;
  for (const auto& one :
       std::filesystem::recursive_directory_iterator{options.directory / "blobs"}) {
    files += one.is_regular_file() ? 1 : 0;
  }
  CHECK(files == 0);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "prune: bounded transactions that go on where they were",
                 "[storage][prune]") {
  for (int i = 0; i < 25; ++i) {
    enroll(make_registration("p" + std::to_string(i)));
  }
  for (const auto& row : claim(25)) {
    apply<completion>(complete_request{row.held, make_success("1")});
  }
  now += 1;
  prune_request request{.before = now, .max = 10};
  std::uint64_t pruned = 0;
  int rounds = 0;
  for (;; ++rounds) {
    const auto report = apply<prune_report>(request);
    CHECK(report.pruned <= 10);
    pruned += report.pruned;
    if (!report.more) {
      break;
    }
    request.after_time = report.after_time;
    request.after_row = report.after_row;
  }
  CHECK(pruned == 25);
  CHECK(rounds == 2);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "tombstones: every operation says that the process was pruned",
                 "[storage][s5-180][s5-200][s5-254]") {
  enroll(make_declaring("a", {"step"}));
  finish("a");
  const auto held = lease{store->get("a")->row, "a", {"w", 1}, {1, 2}, fencing_token{1}, 1, 2};
  now += 1;
  prune({});
  const auto gone = ec::pruned;
  CHECK(store->get("a").why().code == gone);
  CHECK(store->get("a").why().text.find("success") != std::string::npos);
  CHECK(store->find("a").why().code == gone);
  CHECK(store->events_after("a", 0, 1).why().code == gone);
  CHECK(store->count_events("a", "step", 1).why().code == gone);
  CHECK(code_of(register_request{{make_declaring("a", {"step"})}}) == gone);
  CHECK(code_of(append_request{"a", "step", "{}", "", false, {}}) == gone);
  CHECK(code_of(cancel_request{"a", "", false}) == gone);
  CHECK(code_of(abandon_request{"a", "", ""}) == gone);
  CHECK(code_of(observe_request{"a", "s", true, ""}) == gone);
  CHECK(code_of(external_ref_request{"a", "x", "y", ""}) == gone);
  CHECK(code_of(settle_request{"a", authority::external_owner, "", make_success("1")}) == gone);
  CHECK(code_of(requeue_request{"a", true}) == gone);
  CHECK(code_of(again_request{"a", "b"}) == gone);
  CHECK(code_of(retarget_request{"a", "s", ""}) == gone);
  CHECK(code_of(transfer_request{"s", "t", {"a"}, ""}) == gone);
  CHECK(code_of(complete_request{held, make_success("1")}) == ec::lease_superseded);
  CHECK(code_of(cancel_request{"b", "", false}) == ec::unknown_process);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture,
                 "tombstones: forgotten in order, then the id is free and fences go on",
                 "[storage][s5-179][s5-215][s5-361][s5-379]") {
  enroll(make_registration("a"));
  for (int i = 0; i < 5; ++i) {
    apply<done>(release_request{claim_one(), "again", true});
  }
  finish("a");
  const auto fence = store->get("a")->fence;
  const auto row = store->get("a")->row;
  now += 1;
  prune({});
  const auto feed = store->changes_since(0, 10).next;
  CHECK(apply<done>(compact_request{now, 0, 10}).count == 0); // Its time is exclusive.
  CHECK(apply<done>(compact_request{now + 1, feed - 1, 10}).count == 0);
  CHECK(apply<done>(compact_request{now + 1, feed, 10}).count == 1);
  CHECK(store->get("a").why().code == ec::unknown_process);
  open();
  enroll(make_registration("a"));
  CHECK(store->get("a")->row > row);
  CHECK(claim_one().fence > fence);
  CHECK(store->changes_since(0, 10).next > feed);
  CHECK(store->get("a")->last_seq == 2);
  check_store();
}

TEST_CASE_METHOD(upkeep_fixture, "prune: a process whose wake is on its way stays",
                 "[storage][s5-360]") {
  auto x = make_declaring("a", {"step"});
  x.event_types.front().wake = "{}";
  x.wake_session = "s";
  enroll(x);
  apply<event>(append_request{"a", "step", "{}", "", false, {}});
  finish("a");
  now += 1;
  const auto report = prune({});
  CHECK(report.pruned == 0);
  CHECK(report.held_back == 1);
  const auto got = apply<wake_list>(take_wakes_request{"s", 1, 1'000}).wakes.front();
  apply<done>(settle_wake_request{got.id, got.token, wake_verdict::delivered, ""});
  CHECK(prune({}).pruned == 1);
  apply<done>(compact_request{now + 1, 0, 10});
  enroll(x);
  apply<event>(append_request{"a", "step", "{}", "", false, {}});
  CHECK(apply<wake_list>(take_wakes_request{"s", 1, 1'000}).wakes.front().id > got.id);
  check_store();
}

// -- rules ----------------------------------------------------------------------------------------

TEST_CASE("rules: a lease holds until just before its expiry and only as it is",
          "[storage][s5-194][s5-195][s5-197][s5-199][s5-369]") {
  using namespace storage;
  const lease_record stored{3, 7, {1, 2}, fencing_token{5}, 100, 200};
  const rules::presented_lease mine{3, 7, {1, 2}, fencing_token{5}};
  CHECK(rules::still_holds(stored, mine, 199));
  CHECK_FALSE(rules::still_holds(stored, mine, 200));
  CHECK_FALSE(rules::still_holds(std::nullopt, mine, 1));
  auto other = mine;
  other.owner = 4;
  CHECK_FALSE(rules::still_holds(stored, other, 1));
  other = mine;
  other.owner.reset();
  CHECK_FALSE(rules::still_holds(stored, other, 1));
  other = mine;
  other.incarnation = 8;
  CHECK_FALSE(rules::still_holds(stored, other, 1));
  other = mine;
  other.token.low = 9;
  CHECK_FALSE(rules::still_holds(stored, other, 1));
  other = mine;
  other.fence = fencing_token{4};
  CHECK_FALSE(rules::still_holds(stored, other, 1));
  CHECK(rules::next_fence({}) == fencing_token{1});
  CHECK_FALSE(rules::next_fence(fencing_token{~0ULL}));
}

TEST_CASE("rules: states are live or finished, and every word is read back",
          "[storage][s5-201][s5-202]") {
  for (const auto state : {process_state::ready, process_state::running, process_state::waiting,
                           process_state::quarantined, process_state::external}) {
    CHECK(to_string(state) != "unknown");
    storage::head_record head;
    head.state = state;
    CHECK(storage::decode_head(storage::encode(head)).state == state);
  }
  for (const auto kind : {outcome_kind::success, outcome_kind::failure, outcome_kind::cancelled,
                          outcome_kind::abandoned}) {
    CHECK(outcome_kind_from(to_string(kind)) == kind);
  }
  for (const auto kind :
       {wait_kind::signal, wait_kind::timer, wait_kind::child, wait_kind::closing}) {
    storage::wait_record wait;
    wait.kind = kind;
    wait.name = "n";
    CHECK(storage::decode_wait(storage::encode(wait)).kind == kind);
  }
  auto record = storage::encode(storage::wait_record{});
  record[0] = 9;
  CHECK_THROWS_AS(storage::decode_wait(record), storage::error);
}
