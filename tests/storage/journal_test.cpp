// Journals of workflows: what may be written, what follows from it, and what is read back.
#include "tests/support/store_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace belay;
using tests::make_declaring;
using tests::make_registration;
using tests::store_fixture;
using tests::ttl;

namespace {

journal_entry entry(std::uint64_t number, effect_kind kind = effect_kind::step,
                    const std::string& result = "null", std::uint64_t done = 0) {
  journal_entry x;
  x.number = number;
  x.kind = kind;
  x.name = "n" + std::to_string(number);
  x.ordinal = 1;
  x.done = done;
  x.result = result;
  return x;
}

attachment attached(const std::string& bytes, const std::string& name = "file") {
  return {"sha256:" + hash_hex(bytes), name, bytes};
}

struct journal_fixture : store_fixture {
  journal_fixture() {
    options.journal_max = 5;
    options.attachments_max = 2;
    options.attachment_bytes_max = 10'000;
    options.status_bytes_max = 5'000;
    options.outcome_bytes_max = 5'000;
    options.events_max = 40;
    open();
    auto x = make_declaring("a", {"step", "signal.go"});
    x.event_types.front().schema = R"({"type":"number"})";
    x.retry.attempts = 2;
    x.retry.backoff_ms = 0;
    enroll(x);
    held = claim_one();
  }

  journal_request request(std::vector<journal_entry> entries) const {
    return {held, std::move(entries), {}, {}, {}, {}};
  }

  std::uint64_t journal(std::vector<journal_entry> entries) {
    return apply<journal_receipt>(request(std::move(entries))).entries;
  }

  std::vector<journal_entry> stored(const std::string& id = "a") {
    return store->journal_after(id, 0, 1'000)->entries;
  }

  registration child(const std::string& id, close_policy close = close_policy::cancel) const {
    auto x = make_registration(id);
    x.parent = held.id;
    x.close = close;
    return x;
  }

  process_state state(const std::string& id) {
    return store->get(id)->state;
  }

  lease held;
};

} // namespace

TEST_CASE_METHOD(journal_fixture, "journal: entries are added and pending ones brought up to date",
                 "[storage][journal]") {
  CHECK(store->get("a")->journal_entries == 0);
  const auto first = entry(1, effect_kind::call, R"({"id":1})");
  CHECK(journal({first, entry(2, effect_kind::now, "5")}) == 2);
  CHECK(stored() == std::vector{first, entry(2, effect_kind::now, "5")});
  CHECK(store->get("a")->journal_entries == 2);
  auto later = first;
  later.result = R"({"id":1,"tries":2})";
  CHECK(journal({later}) == 2);
  CHECK(stored().front() == later);
  later.done = 1;
  later.result = "\"" + std::string(3'000, 'x') + "\"";
  CHECK(journal({later, entry(3)}) == 3);
  CHECK(stored().front() == later);
  open();
  CHECK(stored().size() == 3);
  check_store();
}

TEST_CASE_METHOD(journal_fixture, "journal: a finished entry never changes, the same again is fine",
                 "[storage][journal]") {
  const auto over = entry(1, effect_kind::step, "1", 1);
  const auto at_once = entry(2, effect_kind::patch, "2");
  journal({over, at_once});
  CHECK(journal({over, at_once}) == 2);
  for (auto bad : {over, at_once}) {
    bad.result = "3";
    CHECK(code_of(request({bad})) == ec::bad_request);
  }
  auto bad = over;
  bad.done = 0;
  CHECK(code_of(request({bad})) == ec::bad_request);
  CHECK(stored() == std::vector{over, at_once});
}

TEST_CASE_METHOD(journal_fixture, "journal: a pending entry stays the effect that it is",
                 "[storage][journal]") {
  const auto pending = entry(1, effect_kind::call);
  journal({pending});
  for (auto change : std::vector<void (*)(journal_entry&)>{
         [](auto& x) { x.kind = effect_kind::step; }, [](auto& x) { x.name = "other"; },
         [](auto& x) { x.scope = "1.0"; }, [](auto& x) { x.ordinal = 2; },
         [](auto& x) { x.input_hash = std::string(32, 'a'); }}) {
    auto bad = pending;
    change(bad);
    CHECK(code_of(request({bad})) == ec::bad_request);
  }
  CHECK(stored() == std::vector{pending});
}

TEST_CASE_METHOD(journal_fixture, "journal: what no entry can be is refused",
                 "[storage][journal]") {
  for (auto change : std::vector<void (*)(journal_entry&)>{
         [](auto& x) { x.number = 0; }, [](auto& x) { x.number = 2; },
         [](auto& x) { x.kind = static_cast<effect_kind>(0); },
         [](auto& x) { x.kind = static_cast<effect_kind>(12); }, [](auto& x) { x.ordinal = 0; },
         [](auto& x) { x.name = std::string(513, 'n'); },
         [](auto& x) { x.scope = std::string(512, 'n'); }, [](auto& x) { x.name = "\xFF"; },
         [](auto& x) { x.name = "a\nb"; }, [](auto& x) { x.scope = "\xFF"; },
         [](auto& x) { x.input_hash = "abc"; },
         [](auto& x) { x.input_hash = std::string(32, 'A'); }, [](auto& x) { x.result = ""; },
         [](auto& x) { x.result = "{"; }, [](auto& x) { x.result = "\"\xFF\""; },
         [](auto& x) { x.result = "\"" + std::string(5'000, 'x') + "\""; }}) {
    auto bad = entry(1);
    change(bad);
    INFO(bad.number << " " << bad.name.substr(0, 9) << " " << bad.result.substr(0, 9));
    CHECK(code_of(request({bad})) == ec::bad_request);
  }
  CHECK(code_of(request({entry(2), entry(1)})) == ec::bad_request);
  CHECK(code_of(request({entry(1), entry(1)})) == ec::bad_request);
  CHECK(code_of(request({entry(1), entry(3)})) == ec::bad_request);
  CHECK(refused(request({entry(1), entry(3)})).text.find("entries: 3 (step \"n3\" 1) leaves a gap")
        == 0);
  CHECK(stored().empty());
  CHECK(journal({entry(1), entry(2), entry(3), entry(4), entry(5)}) == 5);
  CHECK(code_of(request({entry(6)})) == ec::overloaded);
  CHECK(journal({entry(5)}) == 5);
}

TEST_CASE_METHOD(journal_fixture, "journal: only under the live lease", "[storage][journal]") {
  auto other = held;
  other.token.low += 1;
  CHECK(code_of(journal_request{other, {entry(1)}, {}, {}, {}, {}}) == ec::lease_superseded);
  now += ttl;
  CHECK(code_of(request({entry(1)})) == ec::lease_superseded);
  apply<done>(expire_request{});
  const auto next = claim_one();
  CHECK(code_of(request({entry(1)})) == ec::lease_superseded);
  held = next;
  CHECK(journal({entry(1)}) == 1);
  apply<completion>(complete_request{held, make_success("1")});
  CHECK(code_of(request({entry(2)})) == ec::lease_superseded);
  CHECK(stored().size() == 1);
}

TEST_CASE_METHOD(journal_fixture, "journal: children are registered with it or not at all",
                 "[storage][journal]") {
  enroll(make_registration("taken"));
  auto x = request({entry(1, effect_kind::start)});
  x.children = {child("c"), child("taken")};
  CHECK(code_of(x) == ec::registration_conflict);
  x.children = {child("c"), make_registration("d")};
  CHECK(code_of(x) == ec::bad_request);
  x.children = {child("c"), child("c", close_policy::await)};
  CHECK(code_of(x) == ec::registration_conflict);
  x.children = {child("c"), child("d")};
  x.children.back().id.clear();
  CHECK(code_of(x) == ec::bad_request);
  CHECK(stored().empty());
  CHECK_FALSE(store->get("c"));
  x.children = {child("c"), child("d")};
  CHECK(apply<journal_receipt>(x).entries == 1);
  CHECK(apply<journal_receipt>(x).entries == 1); // Nothing new.
  CHECK(store->counts().by_state.at("ready") == 3);
  list_query children;
  children.parent = "a";
  CHECK(store->list(children, now).processes.size() == 2);
  check_store();
}

TEST_CASE_METHOD(journal_fixture, "journal: a full store takes entries but no new processes",
                 "[storage][journal]") {
  options.free_min_bytes = 1ULL << 62;
  open();
  auto x = request({entry(1)});
  x.children = {child("c")};
  CHECK(code_of(x) == ec::store_full);
  CHECK(journal({entry(1)}) == 1);
}

TEST_CASE_METHOD(journal_fixture, "journal: an event goes with its new entry, once",
                 "[storage][journal]") {
  auto x = request({entry(1, effect_kind::emit)});
  x.events = {{1, "step", "1"}, {1, "note", "\"any\""}};
  apply<journal_receipt>(x);
  apply<journal_receipt>(x);
  const std::vector<std::string> expected{event_types::registered, event_types::started, "step",
                                          "note"};
  CHECK(event_types("a") == expected);
  const auto second = store->nth_event("a", "step", 1);
  REQUIRE(*second);
  CHECK((*second)->seq == 3);
  CHECK((*second)->payload == "1");
  check_store();
}

TEST_CASE_METHOD(journal_fixture, "journal: an event that cannot be is refused with its entry",
                 "[storage][journal]") {
  for (const auto& bad : std::vector<journal_event>{{2, "step", "1"},
                                                    {1, "step", "\"no number\""},
                                                    {1, "step", "{"},
                                                    {1, "signal.no", "1"},
                                                    {1, "process.completed", "{}"},
                                                    {1, "", "1"},
                                                    {1, "note", std::string(70'000, '1')}}) {
    INFO(bad.type << " " << bad.payload.substr(0, 9));
    auto x = request({entry(1, effect_kind::emit)});
    x.events = {{1, "step", "1"}, bad};
    CHECK(code_of(x) == ec::bad_request);
  }
  auto many = request({entry(1, effect_kind::emit)});
  many.events.assign(39, {1, "step", "1"});
  CHECK(code_of(many) == ec::overloaded);
  CHECK(stored().empty());
  CHECK(store->get("a")->last_seq == 2);
  many.events.pop_back();
  apply<journal_receipt>(many);
  CHECK(store->get("a")->last_seq == 40);
}

TEST_CASE_METHOD(journal_fixture, "journal: an event with wake semantics wakes the session",
                 "[storage][journal]") {
  auto woken = make_declaring("b", {"step"});
  woken.event_types.front().wake = "{}";
  woken.wake_session = "s";
  enroll(woken);
  held = claim_one();
  REQUIRE(held.id == "b");
  auto x = request({entry(1, effect_kind::emit)});
  x.events = {{1, "step", "7"}};
  apply<journal_receipt>(x);
  CHECK(apply<wake_list>(take_wakes_request{"s", 5, 1'000}).wakes.size() == 1);
  check_store();
}

TEST_CASE_METHOD(journal_fixture, "status: shown by get, the last one counts",
                 "[storage][journal]") {
  auto x = request({});
  x.status = R"({"step":1})";
  CHECK(apply<journal_receipt>(x).entries == 0);
  CHECK(store->get("a")->status_json == x.status);
  list_query running;
  running.state = "running";
  CHECK(store->list(running, now).processes.at(0).status_json == x.status);
  x.status = "\"" + std::string(4'000, 's') + "\"";
  apply<journal_receipt>(x);
  CHECK(store->list(running, now).processes.at(0).status_json.empty()); // Too long for a list.
  CHECK(store->get("a")->status_json == x.status);
  journal({entry(1)});
  CHECK(store->get("a")->status_json == x.status);
  const auto good = x.status;
  for (const auto& bad :
       {std::string{"{"}, std::string{"\"\xFF\""}, std::string{"{\"a\":1,\"a\":2}"},
        "\"" + std::string(5'000, 's') + "\""}) {
    x.status = bad;
    CHECK(code_of(x) == ec::bad_request);
  }
  CHECK(store->get("a")->status_json == good);
  check_store();
}

TEST_CASE_METHOD(journal_fixture, "attachments: kept by their hash, read back byte by byte",
                 "[storage][journal]") {
  const std::string binary{"\0\xFF\x80 text\n", 9};
  const std::string large(5'000, '\0');
  auto x = request({entry(1, effect_kind::attach)});
  x.attachments = {attached(binary, "small"), attached(large, "large"), attached(binary, "again")};
  apply<journal_receipt>(x);
  apply<journal_receipt>(x);
  const auto listed = store->get("a")->attachments;
  REQUIRE(listed.size() == 2);
  for (const auto& [bytes, name] : {std::pair{binary, "small"}, std::pair{large, "large"}}) {
    const auto back = store->attached("a", attached(bytes).ref);
    REQUIRE(back);
    CHECK(back->bytes == bytes);
    CHECK(back->name == name);
  }
  CHECK(store->attached("a", "sha256:" + hash_hex("x")).why().code == ec::bad_request);
  CHECK(store->attached("a", "").why().code == ec::bad_request);
  CHECK(store->attached("a", "sha256:" + std::string(64, 'g')).why().code == ec::bad_request);
  CHECK(store->attached("b", attached(binary).ref).why().code == ec::unknown_process);
  check_store();
}

TEST_CASE_METHOD(journal_fixture, "attachments: a wrong hash, too many and too large are refused",
                 "[storage][journal]") {
  auto x = request({entry(1)});
  auto wrong = attached("x");
  wrong.bytes = "y";
  auto bare = attached("x");
  bare.ref = hash_hex("x");
  for (const auto& bad : {wrong, bare, attached(std::string(10'001, 'x')),
                          attached("x", std::string(513, 'n')), attached("x", "\xFF")}) {
    x.attachments = {attached("1"), bad};
    CHECK(code_of(x) == ec::bad_request);
  }
  x.attachments = {attached("1"), attached("2"), attached("3")};
  CHECK(code_of(x) == ec::overloaded);
  CHECK(store->get("a")->attachments.empty());
  CHECK(stored().empty());
  x.attachments = {attached("1"), attached("2")};
  apply<journal_receipt>(x);
  x.attachments = {attached("2")};
  apply<journal_receipt>(x);
  x.attachments = {attached("3")};
  CHECK(code_of(x) == ec::overloaded);
}

TEST_CASE_METHOD(journal_fixture, "journal: read in pages", "[storage][journal]") {
  std::vector<journal_entry> all;
  for (std::uint64_t number = 1; number <= 5; ++number) {
    all.push_back(entry(number, effect_kind::now, std::to_string(number)));
  }
  journal(all);
  const auto first = store->journal_after("a", 0, 2);
  CHECK(first->entries == std::vector(all.begin(), all.begin() + 2));
  CHECK(first->more);
  const auto last = store->journal_after("a", 3, 2);
  CHECK(last->entries == std::vector(all.begin() + 3, all.end()));
  CHECK_FALSE(last->more);
  CHECK(store->journal_after("a", 5, 2)->entries.empty());
  CHECK(store->journal_after("a", UINT64_MAX, 2)->entries.empty());
  CHECK(store->journal_after("none", 0, 2).why().code == ec::unknown_process);
}

TEST_CASE_METHOD(journal_fixture, "journal: a page ends at about a mebibyte",
                 "[storage][journal]") {
  options.outcome_bytes_max = 2U << 20;
  open();
  const auto large = "\"" + std::string(1U << 20, 'x') + "\"";
  journal({entry(1, effect_kind::now, large), entry(2, effect_kind::now, "2")});
  const auto page = store->journal_after("a", 0, 10);
  CHECK(page->entries.size() == 1);
  CHECK(page->more);
}

TEST_CASE_METHOD(journal_fixture, "events: the n-th of a type", "[storage][journal]") {
  for (const auto* payload : {"1", "2", "3"}) {
    apply<event>(append_request{"a", "step", payload, "", false, {}});
  }
  CHECK((*store->nth_event("a", "step", 3))->payload == "3");
  CHECK_FALSE(*store->nth_event("a", "step", 4));
  CHECK_FALSE(*store->nth_event("a", "step", 0));
  CHECK((*store->nth_event("a", event_types::started, 1))->seq == 2);
  CHECK_FALSE(*store->nth_event("a", event_types::started, 2));
  CHECK_FALSE(*store->nth_event("a", event_types::started, 0));
  CHECK(store->nth_event("none", "step", 1).why().code == ec::unknown_process);
}

TEST_CASE_METHOD(journal_fixture, "journal: a retry begins anew, a lost worker does not",
                 "[storage][journal]") {
  auto x = request({entry(1, effect_kind::step, "1", 1)});
  x.status = "1";
  x.attachments = {attached("1")};
  apply<journal_receipt>(x);
  now += ttl;
  apply<done>(expire_request{});
  auto rows = claim(1);
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().journaled);
  CHECK(rows.front().failures == 0);
  CHECK(stored().size() == 1);
  apply<completion>(
    complete_request{rows.front().held, make_failure(failure_class::execution, "c", "m", true)});
  CHECK(stored().empty());
  CHECK(store->get("a")->status_json == "1");
  CHECK(store->get("a")->attachments.size() == 1);
  rows = claim(1);
  REQUIRE(rows.size() == 1);
  CHECK_FALSE(rows.front().journaled);
  CHECK(rows.front().failures == 1);
  held = rows.front().held;
  CHECK(journal({entry(1)}) == 1);
  apply<completion>(complete_request{held, make_failure(failure_class::execution, "c", "m", true)});
  CHECK(stored().size() == 1); // The last run's stays to be looked at.
  check_store();
}

TEST_CASE_METHOD(journal_fixture, "journal: pruning takes everything, files too",
                 "[storage][journal]") {
  const std::string large(4'000, 'x');
  auto x = request({entry(1, effect_kind::step, "\"" + large + "\"", 1)});
  x.status = "\"" + large + "s\"";
  x.attachments = {attached(large)};
  apply<journal_receipt>(x);
  CHECK(store->stat().blobs == 3);
  apply<completion>(complete_request{held, make_success("1")});
  now += 1;
  CHECK(apply<prune_report>(prune_request{.before = now}).pruned == 1);
  const auto stat = store->stat();
  CHECK(stat.blobs == 0);
  for (const auto* table : {"journal", "status", "attachment", "head"}) {
    CHECK(stat.records.at(table) == 0);
  }
  CHECK(store->journal_after("a", 0, 1).why().code == ec::pruned);
  CHECK(store->attached("a", attached(large).ref).why().code == ec::pruned);
  check_store();
}

namespace {

struct cancel_fixture : journal_fixture {
  void cancel(const std::string& id = "a", bool kill = false) {
    last = apply<cancel_receipt>(cancel_request{id, "why", kill});
  }

  bool park(std::int64_t after = 60'000) {
    return apply<park_receipt>(park_request{held, {wait_kind::timer, "", 0, now + after}}).woken;
  }

  claimed again() {
    auto rows = claim(1);
    REQUIRE(rows.size() == 1);
    held = rows.front().held;
    return rows.front();
  }

  cancel_receipt last;
};

} // namespace

TEST_CASE_METHOD(cancel_fixture, "cancel: code with a journal is woken to take part in it",
                 "[storage][journal][cancel]") {
  journal({entry(1)});
  park();
  cancel();
  CHECK(last.stage == cancel_stage::requested);
  CHECK(state("a") == process_state::ready);
  cancel(); // Ready stays ready.
  CHECK(state("a") == process_state::ready);
  const auto row = again();
  CHECK(row.cancel_requested);
  CHECK(row.attempt == 1);
  CHECK(row.woken == R"({"by":"cancel"})");
  CHECK(store->upcoming(now).timer_at == 0);
  check_store();
}

TEST_CASE_METHOD(cancel_fixture, "cancel: a wait is woken until the code knows, and not any more",
                 "[storage][journal][cancel]") {
  journal({entry(1)});
  cancel();
  CHECK(park());
  CHECK(again().woken == R"({"by":"cancel"})");
  CHECK(park());
  again();
  // Now it puts right what it has done, and waits for that.
  journal({entry(2, effect_kind::cancel, "{}", 1)});
  CHECK_FALSE(park());
  CHECK(state("a") == process_state::waiting);
  cancel();
  apply<cancel_receipt>(cancel_request{"a", "another reason", false});
  CHECK(state("a") == process_state::waiting);
  check_store();
  now += 60'000;
  apply<done>(expire_request{});
  CHECK(again().woken.find("timer") != std::string::npos);
  apply<completion>(complete_request{held, make_cancelled("undone")});
  CHECK(store->get("a")->ended == outcome_kind::cancelled);
  check_store();
}

TEST_CASE_METHOD(cancel_fixture,
                 "cancel: without a journal a waiting process ends, and a kill ends any",
                 "[storage][journal][cancel]") {
  park();
  cancel();
  CHECK(last.stage == cancel_stage::done);
  enroll(make_registration("b"));
  held = claim_one();
  journal({entry(1)});
  park();
  cancel("b", true);
  CHECK(last.stage == cancel_stage::done);
  CHECK(store->get("b")->ended == outcome_kind::cancelled);
  enroll(make_registration("c"));
  held = claim_one();
  journal({entry(1), entry(2, effect_kind::cancel, "{}", 1)});
  cancel("c", true);
  CHECK(last.stage == cancel_stage::requested);
  park();
  CHECK(store->get("c")->ended == outcome_kind::cancelled);
  check_store();
}

TEST_CASE_METHOD(cancel_fixture, "cancel: what was started is cancelled with it, tree by tree",
                 "[storage][journal][cancel]") {
  auto x = request({entry(1, effect_kind::start)});
  x.children = {child("ends"), child("awaited", close_policy::await),
                child("free", close_policy::abandon), child("journals")};
  x.children[3].priority = 5;
  apply<journal_receipt>(x);
  const auto top = held;
  held = claim_one();
  REQUIRE(held.id == "journals");
  auto y = request({entry(1, effect_kind::start)});
  y.children = {child("below"), child("runs")};
  y.children[1].priority = 5;
  apply<journal_receipt>(y);
  const auto runs = claim_one();
  REQUIRE(runs.id == "runs");
  park();
  const auto result = apply_all({cancel_request{"a", "why", false}});
  for (const auto* id : {"ends", "awaited", "below"}) {
    INFO(id);
    CHECK(store->get(id)->ended == outcome_kind::cancelled);
    CHECK(store->get(id)->state == process_state::finished);
  }
  CHECK(state("free") == process_state::ready);
  CHECK_FALSE(store->get("free")->cancel_requested);
  CHECK(state("journals") == process_state::ready); // Woken to take part.
  CHECK(store->get("journals")->cancel_requested);
  CHECK(state("a") == process_state::running);
  const auto* receipt = std::get_if<cancel_receipt>(&result.answers.front());
  REQUIRE(receipt != nullptr);
  CHECK(receipt->holder == top.holder);
  REQUIRE(result.pushes.size() == 1);
  CHECK(result.pushes.front().fence == runs.fence);
  check_store();
}

TEST_CASE_METHOD(cancel_fixture,
                 "cancel: a parent's end reaches what a journaled child has started",
                 "[storage][journal][cancel]") {
  auto parent = request({});
  parent.children = {child("c")};
  apply<journal_receipt>(parent);
  const auto top = held;
  held = claim_one();
  auto x = request({entry(1, effect_kind::start)});
  x.children = {child("below")};
  apply<journal_receipt>(x);
  const auto result = apply_all({complete_request{top, make_success("1")}});
  CHECK(result.pushes.size() == 1);
  CHECK(state("c") == process_state::running);
  CHECK(store->get("below")->ended == outcome_kind::cancelled);
  CHECK(state("below") == process_state::finished);
  check_store();
}

TEST_CASE_METHOD(cancel_fixture,
                 "cancel: an interrupted one goes on until interruptions are used up",
                 "[storage][journal][cancel]") {
  journal({entry(1)});
  cancel();
  CHECK(last.holder == held.holder);
  apply<done>(release_request{held, "drain", true});
  CHECK(state("a") == process_state::ready);
  for (std::uint32_t i = 1; i < options.interruptions_max; ++i) {
    again();
    now += ttl;
    apply<done>(expire_request{});
    CHECK(state("a") == process_state::ready);
  }
  again();
  now += ttl;
  apply<done>(expire_request{});
  CHECK(store->get("a")->ended == outcome_kind::cancelled);
  CHECK(state("a") == process_state::finished);
  check_store();
}

TEST_CASE_METHOD(cancel_fixture, "cancel: one that cannot run again is cancelled, not set aside",
                 "[storage][journal][cancel]") {
  auto bound = make_registration("bound");
  bound.rule = recovery_rule::owner_bound;
  enroll(bound);
  held = claim_one();
  journal({entry(1)});
  cancel("bound");
  now += ttl;
  apply<done>(expire_request{});
  CHECK(store->get("bound")->ended == outcome_kind::cancelled);
  CHECK(state("bound") == process_state::finished);
  bound.id = "given back";
  bound.priority = 5;
  enroll(bound);
  held = claim_one();
  journal({entry(1)});
  cancel("given back");
  apply<done>(release_request{held, "drain", true});
  CHECK(store->get("given back")->ended == outcome_kind::cancelled);
  auto once = make_registration("once");
  once.attempts_max = 1;
  once.priority = 5;
  enroll(once);
  held = claim_one();
  journal({entry(1)});
  cancel("once");
  apply<done>(release_request{held, "drain", true});
  CHECK(state("once") == process_state::ready);
  static_cast<void>(claim(1));
  CHECK(store->get("once")->ended == outcome_kind::cancelled);
  CHECK(state("once") == process_state::finished);
  check_store();
}

TEST_CASE_METHOD(cancel_fixture, "cancel: a quarantined one with a journal ends",
                 "[storage][journal][cancel]") {
  journal({entry(1)});
  for (std::uint32_t i = 0; i < options.interruptions_max; ++i) {
    now += ttl;
    apply<done>(expire_request{});
    if (state("a") == process_state::ready) {
      again();
    }
  }
  REQUIRE(state("a") == process_state::quarantined);
  cancel();
  CHECK(last.stage == cancel_stage::done);
  check_store();
}
