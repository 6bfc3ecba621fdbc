// Times, durations, names, JSON for people, and the wire.
#include "messages/did_you_mean.hpp"
#include "messages/inspect_json.hpp"
#include "messages/journal.hpp"
#include "messages/operations.hpp"
#include "messages/protocol.hpp"
#include "messages/time.hpp"
#include "messages/wire_error.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/sec.hpp>
#include <catch2/catch.hpp>
#include <set>

using namespace belay;

TEST_CASE("time: RFC 3339 is read and written", "[messages]") {
  CHECK(format_time(0) == "1970-01-01T00:00:00Z");
  CHECK(format_time(1'796'094'000'123) == "2026-12-01T03:00:00.123Z");
  CHECK(parse_time("2026-12-01T03:00:00Z") == 1'796'094'000'000);
  CHECK(parse_time("2026-12-01T05:00:00.1239+02:00") == 1'796'094'000'123);
  for (const auto* bad : {"", "2026-12-01", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
                          "2026-12-01T24:00:00Z", "2026-12-01T03:00:00", "1969-12-31T23:59:59Z",
                          "2026-12-01T03:00:00.Z", "2026-12-01T03:00:00Zx"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_time(bad));
  }
}

TEST_CASE("duration: a number needs its unit", "[messages]") {
  CHECK(parse_duration("250ms") == 250);
  CHECK(parse_duration("2h") == 7'200'000);
  CHECK(parse_duration("7d") == 604'800'000);
  CHECK_FALSE(parse_duration("30"));
  CHECK_FALSE(parse_duration("s"));
  CHECK_FALSE(parse_duration("1.5s"));
  CHECK_FALSE(parse_duration("99999999999999999d"));
  for (const duration_ms x :
       {duration_ms{0}, duration_ms{1}, duration_ms{90'000}, duration_ms{7'200'000}}) {
    CHECK(parse_duration(format_duration(x)) == x);
  }
}

TEST_CASE("did you mean: the nearest word or none", "[messages]") {
  const std::vector<std::string> words{"queue", "priority"};
  CHECK(did_you_mean("quue", words) == "queue");
  CHECK_FALSE(did_you_mean("zebra", words));
}

namespace {

enum class colour { red };

struct inner {
  int number = 1;
  std::optional<std::string> text;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, inner& x) {
  return inspection::object(f, "inner", inspection::field("number", x.number),
                            inspection::field("text", x.text));
}

struct outer {
  std::vector<inner> list{{}, {2, "two"}};
  std::map<std::string, int> named{{"a", 1}};
  std::map<int, bool> numbered{{1, true}};
  colour shade = colour::red;
  failure_class failed = failure_class::timeout;
  std::chrono::milliseconds length{5};
  std::variant<int, std::string> either = "x";
  std::pair<int, std::set<int>> pair{1, {2, 3}};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, outer& x) {
  using inspection::field;
  return inspection::object(f, "outer", field("list", x.list), field("named", x.named),
                            field("numbered", x.numbered), field("shade", x.shade),
                            field("failed", x.failed), field("length", x.length),
                            field("either", x.either), field("pair", x.pair));
}

} // namespace

TEST_CASE("inspector: any inspectable value becomes JSON", "[messages][inspect]") {
  CHECK(to_json(outer{}).dump()
        == R"({"either":"x","failed":"timeout","length":5,"list":[{"number":1,"text":null},)"
           R"({"number":2,"text":"two"}],"named":{"a":1},"numbered":[[1,true]],)"
           R"("pair":[1,[2,3]],"shade":0})");
}

TEST_CASE("wire: refusals keep their code and text", "[messages][wire]") {
  const auto back = to_refusal(to_error({ec::store_full, "no room"}));
  CHECK(back.code == ec::store_full);
  CHECK(back.text == "no room");
  CHECK(to_refusal(caf::make_error(caf::sec::request_timeout)).code == ec::timed_out);
  CHECK(to_refusal(caf::make_error(caf::sec::request_receiver_down)).code == ec::shutting_down);
  CHECK(to_refusal(caf::error{}).code == ec::none);
}

namespace {

/// Sends a value through CAF's binary form and compares what arrives by its JSON.
template <class T>
void round_trip(caf::actor_system& system, T x) {
  std::vector<char> bytes;
  caf::binary_serializer out{system, bytes};
  REQUIRE_FALSE(out(x));
  T back;
  caf::binary_deserializer in{system, bytes};
  REQUIRE_FALSE(in(back));
  CHECK(to_json(back) == to_json(x));
}

} // namespace

TEST_CASE("wire: every message type survives the way", "[messages][wire][s5-135]") {
  caf::actor_system_config config;
  add_messages(config);
  caf::actor_system system{config};
  const lease held{row_id{7}, "id", {"n", 3}, {1, 2}, fencing_token{4}, 5, 6};
  registration what;
  what.id = "x";
  what.labels["a"] = "b";
  what.rule = recovery_rule::owner_bound;
  process_view view;
  view.id = "x";
  view.holder = held.holder;
  view.outcome_json = "{}";
  round_trip(system, held);
  round_trip(system, what);
  round_trip(system, view);
  round_trip(system, process_page{{view}, row_id{1}, 9});
  round_trip(system, event_page{{{1, 2, "t", "{}", "k"}}, true, true});
  round_trip(system, make_failure(failure_class::timeout, "c", "m", true, "1"));
  round_trip(system, claimed_list{{{held, "{}", 1, 2, true}}});
  round_trip(system, registered_list{{{"a", row_id{1}, true}}});
  round_trip(system, completion{completion_status::retry_scheduled, 7});
  round_trip(system, cancel_receipt{cancel_stage::done, row_id{1}, held.holder, held.fence});
  round_trip(system, outcome_view{"a", outcome_kind::cancelled, "{}"});
  round_trip(system, append_request{"a", "t", "{}", "k", true, held});
  round_trip(system, cancel_request{"a", "r", true});
  round_trip(system, list_query{.state = "ready", .labels = {{"a", "b"}}, .after = row_id{2}});
  what.event_types = {{"signal.go", "{}", ""}};
  what.observers = {"s"};
  what.parent = "p";
  round_trip(system, what);
  view.waiting = {{wait_kind::signal, "go", 2, 9}, 8};
  view.waiting.also = {{wait_kind::child, "c", 0, 5}};
  view.status_json = "1";
  view.journal_entries = 3;
  view.attachments = {{"sha256:ab", "file", 7}};
  round_trip(system, change_page{{{7, view, true}}, 7, true});
  const journal_entry entry{1, effect_kind::attach, "2.0/1.3", "name", 4, "abcdef", 5, "{}"};
  round_trip(system, entry);
  const std::string binary{"\0\x7F\n", 3};
  round_trip(system, attachment{"sha256:ab", "file", binary});
  round_trip(system,
             journal_request{held, {entry}, {what}, {{1, "t", "{}"}}, {{"r", "n", binary}}, "{}"});
  round_trip(system, journal_receipt{9});
  round_trip(system, journal_page{{entry}, true});
  round_trip(system,
             park_request{held, {wait_kind::timer, "", 0, 5}, {{wait_kind::child, "c"}}, 2});
  round_trip(system, claimed{held, "{}", 1, 2, true, "{}", 3, true});
  round_trip(system, wait_condition{wait_kind::child, "c", 0, 5});
  round_trip(system, park_receipt{true});
  round_trip(system, observe_request{"a", "s", false, "me"});
  round_trip(system, transfer_request{"s", "t", {"a", "b"}, "me"});
  round_trip(system, session_report{"s", 1, 2, {"a"}, {"b"}});
  round_trip(system, retarget_request{"a", "s", "me"});
  round_trip(system, wakes_query{"s", "a", true, 5, wake_id{3}});
  round_trip(system, take_wakes_request{"s", 3, 500});
  round_trip(system, wake_list{{{wake_id{1}, "s", "a", 2, "t", "in", wake_state::taken, 1, 2, 3, 4,
                                 "why"}}});
  round_trip(system, settle_wake_request{wake_id{1}, 4, wake_verdict::deferred, "busy"});
  round_trip(system, external_ref_request{"a", "k8s", "job-1", "{}"});
  round_trip(system, settle_request{"a", authority::workflow_key, "k", make_success("1")});
  round_trip(system, abandon_request{"a", "me", "why"});
  round_trip(system, abandon_receipt{true});
  round_trip(system, requeue_request{"a", false});
  round_trip(system, again_request{"a", "b"});
  round_trip(system, prune_request{.before = 5, .outcomes = {outcome_kind::failure}, .max = 7});
  round_trip(system, prune_report{1, 2, true, 3, row_id{4}});
  round_trip(system, compact_request{1, 2, 3});
  round_trip(system, check_report{{"a finding"}});
  round_trip(system, process_counts{{{"ready", 1}}});
}

TEST_CASE("outcome: what is stored is read back", "[messages]") {
  for (const auto& x : {make_success("{\"a\":1}"), make_cancelled("why"), make_abandoned("gone"),
                        make_failure(failure_class::external, "c", "m", true, "[1]")}) {
    CHECK(outcome_from_json(to_json_value(x)) == x);
  }
  CHECK_THROWS_AS(outcome_from_json(nlohmann::json{{"type", "sideways"}}), std::invalid_argument);
  CHECK_THROWS_AS(outcome_from_json(nlohmann::json::array()), std::invalid_argument);
}
