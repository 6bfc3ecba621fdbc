// Declared events, selectors, wakes and the outbox.
#include "messages/selector.hpp"
#include "storage/declared.hpp"
#include "storage/rules.hpp"
#include "tests/support/store_fixture.hpp"

#include <sstream>

using namespace belay;
using nlohmann::json;
using tests::make_declaring;
using tests::make_registration;
using tests::start;
using tests::store_fixture;
using tests::ttl;

namespace {

json pointer(const std::string& path) {
  return {{"type", "pointer"}, {"pointer", path}};
}

/// A process that declares types with wakes, and whose wakes go to the session "s".
registration
waking(const std::string& id, std::vector<event_type> types, const std::string& session = "s") {
  auto x = make_registration(id);
  x.event_types = std::move(types);
  x.wake_session = session;
  return x;
}

event_type plain_wake(const std::string& name) {
  return {name, "true", "{}"};
}

struct wake_fixture : store_fixture {
  event append(const std::string& id, const std::string& type, const std::string& payload = "{}",
               const std::string& key = {}) {
    return apply<event>(append_request{id, type, payload, key, false, {}});
  }

  std::vector<wake> take(std::uint32_t max = 10, const std::string& session = "s") {
    return apply<wake_list>(take_wakes_request{session, max, 30'000}).wakes;
  }

  done settle(const wake& x, wake_verdict verdict, const std::string& reason = {}) {
    return apply<done>(settle_wake_request{x.id, x.token, verdict, reason});
  }

  std::vector<wake> all(bool settled = true) {
    wakes_query query;
    query.settled = settled;
    query.limit = 1'000;
    return store->wakes(query).wakes;
  }
};

} // namespace

TEST_CASE("selectors: payload, pointer, const, template and present", "[messages][s5-41]") {
  const json payload{{"a", {{"b", 7}}}, {"name", "x"}, {"none", nullptr}};
  CHECK(*select({{"type", "payload"}}, payload) == payload);
  CHECK(*select(pointer("/a/b"), payload) == 7);
  CHECK_FALSE(select(pointer("/a/c"), payload));
  CHECK(*select({{"type", "const"}, {"value", 3}}, payload) == 3);
  CHECK(*select({{"type", "template"},
                 {"template", "{n} of {n}: {b}"},
                 {"fields", {{"n", pointer("/name")}, {"b", pointer("/a/b")}}}},
                payload)
        == "x of x: 7");
  CHECK(*select({{"type", "present"}, {"pointer", "/none"}}, payload) == true);
  CHECK(*select({{"type", "present"}, {"pointer", "/nil"}}, payload) == false);
  CHECK(*select({{"type", "present"}, {"pointer", "/name/0"}}, payload) == false);
  for (const auto& no : {json(nullptr), json(false), json(""), json::array(), json::object()}) {
    CHECK_FALSE(truthy(no));
  }
  for (const auto& yes : {json(true), json(0), json(-0.5), json("0"), json{{"a", 1}}}) {
    CHECK(truthy(yes));
  }
  for (const auto& bad :
       {json(1), json{{"type", "pointer"}}, json{{"type", "pointer"}, {"pointer", "a"}},
        json{{"type", "payload"}, {"extra", 1}}, json{{"type", "xpath"}}}) {
    CHECK(validate_selector("wake.input", bad));
  }
}

TEST_CASE("wakes: what a session is told when the type names no input",
          "[messages][s5-34][s5-35][s5-36][s5-37][s5-38]") {
  CHECK(default_wake_input({{"text", "hello"}, {"value", 2}}) == "hello");
  CHECK(default_wake_input({{"value", {{"n", 2}}}}) == "{\"n\":2}");
  CHECK(default_wake_input({{"other", 1}}) == "{\"other\":1}");
  CHECK(default_wake_input(json(5)) == "5");
  CHECK(default_wake_input(json("word")) == "word");
  const wake x{.process = "p-1", .seq = 4, .event_type = "done", .input = "the input"};
  const auto text = wake_text(x);
  for (const auto* part : {"p-1", "4 done", "the input"}) {
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE_METHOD(wake_fixture, "events: a declared type is checked against its schema",
                 "[storage][s5-4][s5-60]") {
  const json schema{
    {"type", "object"}, {"required", {"n"}}, {"properties", {{"n", {{"type", "integer"}}}}}};
  enroll(waking("a", {{"step", schema.dump(), json{{"input", pointer("/n")}}.dump()},
                      {"signal.go", json{{"type", "string"}}.dump(), ""}}));
  CHECK(append("a", "step", R"({"n": 5})").seq == 2);
  const auto woken = all();
  REQUIRE(woken.size() == 1);
  CHECK(woken.front().input == "5");
  CHECK(woken.front().event_type == "step");
  const auto no = refused(append_request{"a", "step", "{}", "", false, {}});
  CHECK(no.code == ec::bad_request);
  CHECK(no.text.find("payload") != std::string::npos);
  CHECK(code_of(append_request{"a", "signal.stop", "\"x\"", "", false, {}}) == ec::bad_request);
  CHECK(code_of(append_request{"a", "signal.go", "5", "", false, {}}) == ec::bad_request);
  CHECK(code_of(append_request{"a", "signal.go", "\"x\"", "", false, {}}) == ec::none);
  CHECK(store->get("a")->last_seq == 3);
  CHECK(settle(take().front(), wake_verdict::delivered).count == 1);
  CHECK(all(false).empty());
  check_store();
}

TEST_CASE_METHOD(wake_fixture, "events: lifecycle types belong to the registry alone",
                 "[storage][s5-162][s5-205][s5-10]") {
  auto x = make_registration("a");
  x.event_types = {{"process.completed", "true", ""}};
  CHECK(refused(register_request{{x}}).code == ec::bad_request);
  x.event_types = {{"step", "true", ""}, {"step", "true", ""}};
  CHECK(refused(register_request{{x}}).code == ec::bad_request);
  x.event_types = {{"", "true", ""}};
  CHECK(refused(register_request{{x}}).code == ec::bad_request);
  enroll(make_declaring("a", {"step"}));
  for (const auto* type : {"process.completed", "process.cancel_requested",
                           "process.observer_added", "process.waiting", "signal."}) {
    CHECK(code_of(append_request{"a", type, "{}", "key", false, {}}) == ec::bad_request);
  }
  CHECK(store->get("a")->last_seq == 1);
}

TEST_CASE_METHOD(wake_fixture, "wakes: the matrix of conditions and inputs", "[storage][s5-7]") {
  const auto type = [](const char* name, const json& wake) {
    return event_type{name, "true", wake.dump()};
  };
  enroll(waking(
    "a",
    {type("when_false", {{"when", {{"type", "const"}, {"value", false}}}}),
     type("when_true", {{"when", pointer("/go")}, {"input", pointer("/go")}}),
     type("payload", {{"input", {{"type", "payload"}}}}),
     type("const", {{"input", {{"type", "const"}, {"value", "c"}}}}),
     type("template",
          {{"input",
            {{"type", "template"}, {"template", "<{x}>"}, {"fields", {{"x", pointer("/x")}}}}}})}));
  append("a", "when_false", R"({"go": 1})");
  append("a", "when_true", R"({"go": "now"})");
  append("a", "when_true", R"({"go": ""})");
  append("a", "payload", R"({"x": 1})");
  append("a", "const");
  append("a", "template", R"({"x": [1]})");
  CHECK(code_of(append_request{"a", "template", "{}", "", false, {}}) == ec::bad_request);
  std::vector<std::pair<event_seq, std::string>> got;
  for (const auto& x : all()) {
    got.emplace_back(x.seq, x.input);
  }
  CHECK(got
        == std::vector<std::pair<event_seq, std::string>>{
          {3, "now"}, {5, "{\"x\":1}"}, {6, "c"}, {7, "<[1]>"}});
  check_store();
}

TEST_CASE_METHOD(wake_fixture, "wakes: a repeated append makes no second wake",
                 "[storage][s5-5][s5-8][s5-39][s5-40][s5-121][s5-350][s5-362][s5-384]") {
  enroll(waking("a", {plain_wake("step")}));
  const auto first = append("a", "step", R"({"n": 1})", "k");
  CHECK(append("a", "step", R"({"n": 1})", "k").seq == first.seq);
  CHECK(append("a", "step", R"({"n": 1.0})", "k").seq == first.seq);
  CHECK(code_of(append_request{"a", "step", R"({"n": 2})", "k", false, {}}) == ec::event_conflict);
  const auto wakes = all();
  REQUIRE(wakes.size() == 1);
  CHECK(wakes.front().process == "a");
  CHECK(wakes.front().seq == first.seq);
  CHECK(wakes.front().session == "s");
  REQUIRE(take().size() == 1);
  CHECK(take().empty());
  check_store();
}

TEST_CASE_METHOD(wake_fixture, "wakes: without a target the event stands alone",
                 "[storage][s5-9]") {
  enroll(waking("a", {plain_wake("step")}, ""));
  CHECK(append("a", "step").seq == 2);
  CHECK(all().empty());
  check_store();
}

TEST_CASE("payloads: equal numbers are equal payloads", "[storage][s5-163]") {
  const auto text = [](const char* x) { return storage::normal_numbers(json::parse(x)).dump(); };
  CHECK(text(R"({"a": -0.0, "b": [1.0, 2e2]})") == text(R"({"b": [1, 200], "a": 0})"));
  CHECK(text("1.5") != text("1"));
  CHECK(text("18446744073709551615") == "18446744073709551615");
}

TEST_CASE_METHOD(wake_fixture, "wakes: in order per process, processes beside each other",
                 "[storage][s5-6][s5-376]") {
  enroll(waking("a", {plain_wake("step")}));
  enroll(waking("b", {plain_wake("step")}));
  append("a", "step", "1");
  append("a", "step", "2");
  append("b", "step", "3");
  const auto first = take(1);
  REQUIRE(first.size() == 1);
  CHECK(first.front().input == "1");
  // The second of a waits for the first; b does not.
  const auto next = take();
  REQUIRE(next.size() == 1);
  CHECK(next.front().process == "b");
  settle(first.front(), wake_verdict::delivered);
  const auto last = take();
  REQUIRE(last.size() == 1);
  CHECK(last.front().input == "2");
  CHECK(last.front().token != first.front().token);
  check_store();
}

TEST_CASE_METHOD(wake_fixture,
                 "wakes: one that was not settled is taken again, the old token is void",
                 "[storage][s5-351][s5-352][s5-357][s5-377][s5-354]") {
  enroll(waking("a", {plain_wake("step")}));
  append("a", "step");
  const auto lost = take().front();
  open();
  CHECK(take().empty());
  now += 30'000;
  const auto again = take();
  REQUIRE(again.size() == 1);
  CHECK(again.front().id == lost.id);
  CHECK(again.front().attempts == 2);
  CHECK(code_of(settle_wake_request{lost.id, lost.token, wake_verdict::delivered, ""})
        == ec::lease_superseded);
  CHECK(settle(again.front(), wake_verdict::delivered).count == 1);
  CHECK(settle(again.front(), wake_verdict::delivered).count == 0);
  CHECK(code_of(settle_wake_request{lost.id, again.front().token, wake_verdict::deferred, ""})
        == ec::wrong_state);
  now += 60'000;
  CHECK(take().empty());
  CHECK(store->get("a")->last_seq == 2); // The history knows nothing of deliveries.
  check_store();
}

TEST_CASE_METHOD(wake_fixture, "wakes: put back with a growing pause, given up in the end",
                 "[storage][s5-359][s5-358][s5-365]") {
  options.wake_attempts_max = 3;
  open();
  enroll(waking("a", {plain_wake("step")}));
  append("a", "step", "1");
  append("a", "step", "2");
  duration_ms before = 0;
  for (int i = 0; i < 3; ++i) {
    const auto got = take(1);
    REQUIRE(got.size() == 1);
    settle(got.front(), wake_verdict::deferred, "busy");
    const auto pause = all().front().next_at - now;
    CHECK(pause > before);
    before = pause;
    now += pause;
  }
  auto head = all().front();
  CHECK(head.state == wake_state::undeliverable);
  CHECK(head.reason == "busy");
  CHECK(take().empty()); // It holds back the second.
  CHECK(apply<done>(settle_wake_request{head.id, 0, wake_verdict::redrive, ""}).count == 1);
  const auto again = take(1);
  REQUIRE(again.size() == 1);
  settle(again.front(), wake_verdict::target_gone);
  head = all().front();
  CHECK(head.state == wake_state::undeliverable);
  CHECK(head.reason == "target_gone");
  CHECK(apply<done>(settle_wake_request{head.id, 0, wake_verdict::discard, "by hand"}).count == 1);
  CHECK(take().front().input == "2");
  check_store();
}

TEST_CASE_METHOD(wake_fixture, "wakes: too old ones are given up by the sweep",
                 "[storage][s5-366]") {
  options.wake_age_max = 60'000;
  open();
  enroll(waking("a", {plain_wake("step")}));
  append("a", "step");
  CHECK(store->upcoming(now).timer_at == now + 60'000);
  now += 60'000;
  apply<done>(expire_request{});
  REQUIRE(all().size() == 1);
  CHECK(all().front().state == wake_state::undeliverable);
  CHECK(all().front().reason == "expired");
  CHECK(store->upcoming(now).timer_at == 0);
  check_store();
}

TEST_CASE_METHOD(wake_fixture, "wakes: another target discards those on their way to the old one",
                 "[storage][s5-165][s5-356]") {
  enroll(waking("a", {plain_wake("step")}));
  append("a", "step", "1");
  const auto taken = take().front();
  CHECK(apply<done>(retarget_request{"a", "t", "me"}).count == 1);
  CHECK(apply<done>(retarget_request{"a", "t", "me"}).count == 0);
  CHECK(code_of(settle_wake_request{taken.id, taken.token, wake_verdict::delivered, ""})
        == ec::lease_superseded);
  CHECK(all().front().state == wake_state::discarded);
  CHECK(all().front().reason == "retargeted");
  append("a", "step", "2");
  CHECK(take().empty());
  CHECK(take(1, "t").front().input == "2");
  CHECK(event_types("a").at(2) == std::string{event_types::wake_retargeted});
  check_store();
}

TEST_CASE_METHOD(wake_fixture, "wakes: the bound on those on their way refuses the event",
                 "[storage][wakes]") {
  options.wakes_max = 1;
  open();
  enroll(waking("a", {plain_wake("step")}));
  append("a", "step");
  CHECK(code_of(append_request{"a", "step", "{}", "", false, {}}) == ec::overloaded);
  settle(take().front(), wake_verdict::delivered);
  CHECK(append("a", "step").seq == 3);
}

TEST_CASE_METHOD(wake_fixture,
                 "events: a text that no export could contain is refused by its field",
                 "[storage]") {
  enroll(waking("a", {plain_wake("step")}));
  const auto says = [this](operation op) {
    const auto no = refused(std::move(op));
    CHECK(no.code == ec::bad_request);
    return no.text;
  };
  for (const auto& bad : {std::string{"\xFF"}, std::string{"a\nb"}, std::string(257, 'k')}) {
    CHECK(says(append_request{"a", "step", "{}", bad, false, {}}).find("key: \"") == 0);
  }
  CHECK(append("a", "step", "{}", "\u00e9").key == "\u00e9");
  const auto taken = take().front();
  // A letter of two bytes over the bound: to cut it at the byte would leave half of it.
  for (const auto& bad : {std::string{"\xFF"}, std::string(255, 'r') + "\u00e9"}) {
    CHECK(says(settle_wake_request{taken.id, taken.token, wake_verdict::deferred, bad})
            .find("reason: \"")
          == 0);
  }
  CHECK(all().front().state == wake_state::taken);
  settle(taken, wake_verdict::deferred, std::string(254, 'r') + "\u00e9");
  for (const auto& bad : {std::string{"\xFF"}, std::string{}, std::string(129, 'o')}) {
    CHECK(says(enlist_request{bad}).find("owner: \"") == 0);
    CHECK(says(claim_request{{bad, 1}, {"fake"}, {}, 1, ttl}).find("owner: \"") == 0);
  }
  std::ostringstream out;
  CHECK_NOTHROW(store->export_lines(out));
  check_store();
}

TEST_CASE_METHOD(store_fixture, "events: count by type, the last ones, the next of a type",
                 "[storage][s5-14][s5-222]") {
  enroll(make_declaring("a", {"x", "y"}));
  for (int i = 0; i < 4; ++i) {
    apply<event>(append_request{"a", i % 2 == 0 ? "x" : "y", "{}", "", false, {}});
  }
  CHECK(*store->count_events("a", "x", 5) == 2);
  CHECK(*store->count_events("a", "x", 3) == 1);
  CHECK(*store->count_events("a", "process.registered", 5) == 1);
  CHECK(store->recent_events("a", 2)->events.front().seq == 4);
  CHECK(store->recent_events("a", 99)->events.size() == 5);
  CHECK(store->recent_events("a", 0)->events.empty());
  CHECK((*store->event_after("a", "y", 1))->seq == 3);
  CHECK((*store->event_after("a", "y", 3))->seq == 5);
  CHECK_FALSE(*store->event_after("a", "y", 5));
  CHECK(store->event_after("b", "y", 5).why().code == ec::unknown_process);
}

TEST_CASE_METHOD(store_fixture, "events: a stale holder appends nothing",
                 "[storage][s5-217][s5-375]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  CHECK(apply<event>(append_request{"a", "note", "{}", "", true, held}).seq == 3);
  now = held.expires_at;
  apply<done>(expire_request{});
  const auto before = store->get("a")->last_seq;
  CHECK(code_of(append_request{"a", "note", "{}", "", true, held}) == ec::lease_superseded);
  CHECK(store->get("a")->last_seq == before);
  check_store();
}

TEST_CASE_METHOD(store_fixture, "cancel: a very long reason is refused, a long one is idempotent",
                 "[storage][s5-164][s5-218]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  const std::string reason(1'000, 'r');
  apply<cancel_receipt>(cancel_request{"a", reason, false});
  apply<cancel_receipt>(cancel_request{"a", reason, false});
  CHECK(event_types("a").size() == 3);
  apply<cancel_receipt>(cancel_request{"a", "other", false});
  CHECK(event_types("a").size() == 4);
  CHECK(code_of(cancel_request{"a", std::string(2'000, 'r'), false}) == ec::bad_request);
}
