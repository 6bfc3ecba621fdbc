// What a session is shown.
#include "messages/session_snapshot.hpp"

#include "tests/support/store_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace belay;
using nlohmann::json;
using tests::make_declaring;
using tests::make_registration;
using tests::start;
using tests::store_fixture;

namespace {

struct snapshot_fixture : store_fixture {
  void observe(const std::string& id, const std::string& session, bool add = true) {
    apply<done>(observe_request{id, session, add, ""});
  }

  /// Registers an external process with this metadata.
  void enroll_external(const std::string& id, const json& metadata, const std::string& label = {}) {
    json text{{"id", id},
              {"input", {{"type", "external"}, {"metadata", metadata}}},
              {"rule", "externally_owned"},
              {"observers", {"s"}}};
    if (!label.empty()) {
      text["label"] = label;
    }
    enroll(*parse_registration(text, {}));
  }

  session_snapshot see(const std::string& session = "s", std::uint32_t limit = 100) const {
    session_query query;
    query.session = session;
    query.limit = limit;
    return store->session(query);
  }

  session_entry only(const std::string& id) const {
    session_query query;
    query.session = "s";
    query.process = id;
    const auto found = store->session(query);
    REQUIRE(found.entries.size() == 1);
    return found.entries.front();
  }

  static std::vector<std::string> ids(const session_snapshot& x) {
    std::vector<std::string> result;
    for (const auto& entry : x.entries) {
      result.push_back(entry.process.id);
    }
    return result;
  }

  void end(const std::string& id, outcome result) {
    auto rows = claim(100);
    for (const auto& row : rows) {
      if (row.held.id == id) {
        apply<completion>(complete_request{row.held, result});
      } else {
        apply<done>(release_request{row.held, "", false});
      }
    }
  }
};

} // namespace

TEST_CASE_METHOD(snapshot_fixture, "session: what it observes, each with its last events and times",
                 "[storage][session][s5-47]") {
  enroll(make_declaring("a", {"step"}));
  enroll(make_registration("other"));
  now = start + 5'000;
  observe("a", "s");
  for (int i = 0; i < 40; ++i) {
    apply<event>(append_request{"a", "step", std::to_string(i), "", false, {}});
  }
  const auto all = see();
  REQUIRE(ids(all) == std::vector<std::string>{"a"});
  CHECK(all.total == 1);
  CHECK(all.next == session_place{});
  const auto& x = all.entries.front();
  CHECK(x.observes);
  CHECK_FALSE(x.woken_by);
  REQUIRE(x.events.size() == 32);
  CHECK(x.events.front().payload == "8");
  CHECK(x.events.back().payload == "39");
  CHECK(x.events.back().seq == x.process.last_seq);
  const auto text = host_json(x, now);
  CHECK(text.at("created_at_ms") == start);
  CHECK(text.at("updated_at_ms") == start + 5'000);
  CHECK(text.at("finished_at_ms").is_null());
  CHECK(text.at("events").back().at("at_ms") == start + 5'000);
  CHECK(text.at("roles") == json{"observer"});
}

TEST_CASE_METHOD(snapshot_fixture, "session: what it is woken by, observed or not",
                 "[storage][session][s5-48]") {
  for (const auto* id : {"woken", "both"}) {
    auto x = make_registration(id);
    x.wake_session = "s";
    enroll(x);
  }
  observe("both", "s");
  observe("both", "t");
  CHECK(see().total == 2);
  CHECK(only("woken").woken_by);
  CHECK_FALSE(only("woken").observes);
  CHECK(only("both").woken_by);
  CHECK(only("both").observes);
  CHECK(host_json(only("both"), now).at("roles") == json{"observer", "wake"});
  CHECK(ids(see("t")) == std::vector<std::string>{"both"});
  apply<done>(retarget_request{"woken", "", ""});
  CHECK(ids(see()) == std::vector<std::string>{"both"});
}

TEST_CASE_METHOD(snapshot_fixture, "session: labels say what a process is about",
                 "[storage][session][s5-49][s5-53]") {
  auto plain = make_registration("plain", "sha");
  plain.wake_session = "s";
  enroll(plain);
  auto named = make_registration("named", "sha");
  named.label = "checksums of the week";
  named.observers = {"s"};
  enroll(named);
  enroll_external("by-name", {{"name", "the name"}, {"title", "the title"}});
  enroll_external("by-title", {{"title", "the title"}, {"label", 5}});
  enroll_external("typed", {{"label", "metadata's"}, {"child_session_id", "s-child"}}, "the typed");
  enroll_external("silent", json::array({1}));
  CHECK(only("plain").title == "sha");
  CHECK(only("plain").process.kind == "sha");
  CHECK(only("named").title == "checksums of the week");
  CHECK(only("by-name").title == "the name");
  CHECK(only("by-title").title == "the title");
  CHECK(only("typed").title == "the typed");
  CHECK(only("typed").child_session == "s-child");
  CHECK(host_json(only("typed"), now).at("child_session_id") == "s-child");
  CHECK(only("silent").title == "external");
  CHECK(host_json(only("silent"), now).at("child_session_id").is_null());
}

TEST_CASE_METHOD(snapshot_fixture,
                 "session: last updated first, then last registered, in stretches",
                 "[storage][session][s5-50]") {
  for (const auto* id : {"a", "b", "c", "d"}) {
    auto x = make_declaring(id, {"step"});
    x.observers = {"s"};
    enroll(x);
    ++now;
  }
  now += 100;
  // In one batch, so that only the times of registration tell them apart.
  static_cast<void>(apply_all({append_request{"c", "step", "1", "", false, {}},
                               append_request{"a", "step", "1", "", false, {}}}));
  const std::vector<std::string> order{"c", "a", "d", "b"};
  CHECK(ids(see()) == order);
  session_query query;
  query.session = "s";
  query.limit = 1;
  std::vector<std::string> paged;
  do {
    const auto part = store->session(query);
    REQUIRE(part.entries.size() == 1);
    CHECK(part.total == 4);
    paged.push_back(part.entries.front().process.id);
    query.after = part.next;
  } while (query.after.row != row_id{});
  CHECK(paged == order);
}

TEST_CASE_METHOD(snapshot_fixture, "session: how a process ended, and why",
                 "[storage][session][s5-51]") {
  for (const auto* id : {"good", "bad", "stopped", "left"}) {
    auto x = make_registration(id);
    x.observers = {"s"};
    enroll(x);
  }
  end("good", make_success("1"));
  end("bad", make_failure(failure_class::execution, "exit_code", "it ended with 7", false));
  apply<cancel_receipt>(cancel_request{"stopped", "no longer wanted", false});
  apply<abandon_receipt>(abandon_request{"left", "ann", "nobody needs it"});
  CHECK(host_json(only("good"), now).at("state") == "success");
  CHECK(host_json(only("good"), now).at("error").is_null());
  const auto bad = host_json(only("bad"), now);
  CHECK(bad.at("state") == "failure");
  CHECK(bad.at("error") == json{{"code", "exit_code"}, {"text", "it ended with 7"}});
  CHECK(bad.at("finished_at_ms") == now);
  const auto stopped = host_json(only("stopped"), now);
  CHECK(stopped.at("state") == "cancelled");
  CHECK(stopped.at("error").at("text").get<std::string>().find("no longer wanted")
        != std::string::npos);
  const auto left = host_json(only("left"), now);
  CHECK(left.at("state") == "abandoned");
  CHECK(left.at("error").at("code").is_null());
  CHECK(left.at("abandon").at("reason") == "nobody needs it");
}

TEST_CASE_METHOD(snapshot_fixture, "session: what a process waits for now",
                 "[storage][session][s5-52]") {
  auto x = make_declaring("a", {"signal.go"});
  x.observers = {"s"};
  enroll(x);
  CHECK(host_json(only("a"), now).at("waiting").is_null());
  const auto held = claim_one();
  const auto running = host_json(only("a"), now);
  CHECK(running.at("lease").at("owner") == "w");
  CHECK(running.at("first_started").at("owner") == "w");
  now += 7;
  apply<park_receipt>(park_request{held, {wait_kind::signal, "go", 1, now + 60'000}});
  const auto waiting = host_json(only("a"), now);
  CHECK(waiting.at("state") == "waiting");
  CHECK(waiting.at("waiting")
        == json{{"for", "signal"},
                {"name", "go"},
                {"ordinal", 1},
                {"since_ms", now},
                {"deadline_ms", now + 60'000}});
  CHECK(waiting.at("lease").is_null());
  apply<event>(append_request{"a", "signal.go", "null", "", false, {}});
  CHECK(host_json(only("a"), now).at("waiting").is_null());
}

TEST_CASE_METHOD(snapshot_fixture, "session: what it has nothing to do with is not there",
                 "[storage][session][s5-54]") {
  CHECK(see("unheard-of").entries.empty());
  auto x = make_registration("a");
  x.observers = {"s"};
  enroll(x);
  enroll(make_registration("b"));
  const auto none = [this](const std::string& id) {
    session_query query;
    query.session = "s";
    query.process = id;
    return store->session(query).entries.empty();
  };
  CHECK_FALSE(none("a"));
  CHECK(none("b"));
  CHECK(none("no such process"));
  apply<session_report>(forget_session_request{"s"});
  CHECK(none("a"));
  CHECK(see().total == 0);
  // An orphan: the host still sees it.
  CHECK(store->get("a")->observers.empty());
  CHECK(store->list({}, now).processes.size() == 2);
  observe("a", "s");
  end("a", make_success("1"));
  CHECK_FALSE(none("a"));
  ++now;
  CHECK(apply<prune_report>(prune_request{.before = now}).pruned == 1);
  CHECK(none("a"));
}

TEST_CASE_METHOD(snapshot_fixture,
                 "session: a stretch is bounded in bytes, and its first one whole",
                 "[storage][session]") {
  const auto big = json(std::string(60'000, 'x')).dump();
  for (const auto* id : {"a", "b", "c"}) {
    auto x = make_declaring(id, {"step"});
    x.observers = {"s"};
    enroll(x);
    for (int i = 0; i < 20; ++i) {
      apply<event>(append_request{id, "step", big, "", false, {}});
    }
  }
  const auto part = see();
  CHECK(part.total == 3);
  REQUIRE(part.entries.size() == 1);
  CHECK(part.entries.front().events.size() == 21);
  CHECK(part.next.row != row_id{});
}
