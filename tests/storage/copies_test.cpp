// Copies of a store: export and import, hot copies, and the step from the first format.
#include "storage/batch.hpp"
#include "storage/codec.hpp"
#include "tests/support/open_umask.hpp"
#include "tests/support/raw_store.hpp"
#include "tests/support/store_fixture.hpp"

#include <sstream>

using namespace belay;
using tests::make_declaring;
using tests::make_registration;
using tests::store_fixture;

namespace {

struct copies_fixture : store_fixture {
  /// One of everything that a store can hold.
  void fill() {
    const std::string text(5'000, 'x');
    for (const auto* id : {"ready", "parked", "ended", "pruned", "runs", "child"}) {
      auto x = make_declaring(id, {"step", "signal.go"});
      x.event_types.front().wake = "{}";
      x.wake_session = "s";
      x.observers = {"s", "t"};
      x.labels["team"] = "x";
      if (id == std::string{"child"}) {
        x.parent = "ready";
        x.close = close_policy::await;
      }
      enroll(x);
    }
    apply<event>(append_request{"ready", "step", "\"" + text + "\"", "k", false, {}});
    apply<done>(external_ref_request{"ready", "k8s", "job", "{}"});
    for (const auto& row : claim(10)) {
      leases[row.held.id] = row.held;
      if (row.held.id == "parked") {
        apply<park_receipt>(park_request{row.held, {wait_kind::signal, "go", 1, now + 5'000}});
      } else if (row.held.id == "ended") {
        apply<completion>(complete_request{row.held, make_success("\"" + text + "\"")});
      } else if (row.held.id == "pruned") {
        apply<completion>(complete_request{row.held, make_success("1")});
        now += 1;
        apply<prune_report>(
          prune_request{.before = now, .max = 1, .after_time = now - 1, .after_row = row_id{3}});
      } else if (row.held.id == "ready") {
        apply<completion>(complete_request{row.held, make_success("7")}); // Closing: a live child.
      }
    }
    apply<owner>(enlist_request{"node-2"});
    fill_journals();
  }

  /// A journal, a status and attachments, and waits for several things.
  void fill_journals() {
    for (const auto* id : {"flow", "several"}) {
      auto x = make_declaring(id, {"signal.go"});
      x.priority = 5;
      enroll(x);
    }
    const auto flow = claim_one();
    const std::string large(4'000, '\xFF');
    journal_request x{flow, {}, {}, {}, {}, R"({"step":"two"})"};
    x.entries = {{1, effect_kind::call, "1.0", "n", 1, std::string(32, 'a'), 1, "\"\u00e9\""},
                 {2, effect_kind::cancel, "", "", 1, "", 0, "{}"}};
    for (const auto& bytes : {std::string{"\0\x80\n", 3}, large}) {
      x.attachments.push_back({"sha256:" + hash_hex(bytes), "file", bytes});
    }
    apply<journal_receipt>(x);
    apply<cancel_receipt>(cancel_request{"flow", "why", false});
    park_request wait{flow, {wait_kind::child, "child", 0, 0}};
    wait.also = {{wait_kind::child, "runs", 0, now + 9'000}, {wait_kind::child, "parked", 0, 0}};
    wait.needed = 2;
    REQUIRE_FALSE(apply<park_receipt>(wait).woken);
    wait = {claim_one(), {wait_kind::signal, "go", 1, 0}};
    wait.also = {{wait_kind::timer, "", 0, now + 7'000}, {wait_kind::child, "flow", 0, 0}};
    REQUIRE_FALSE(apply<park_receipt>(wait).woken);
  }

  std::map<std::string, lease> leases;

  std::string exported() {
    std::ostringstream out;
    store->export_lines(out);
    return out.str();
  }
};

void check_private(const std::filesystem::path& path) {
  using std::filesystem::perms;
  CAPTURE(path);
  const auto folder = std::filesystem::is_directory(path);
  CHECK(std::filesystem::status(path).permissions()
        == (folder ? perms::owner_all : perms::owner_read | perms::owner_write));
}

/// A directory and all below it are their owner's alone.
void check_all_private(const std::filesystem::path& directory) {
  check_private(directory);
  std::size_t files = 0;
  for (const auto& one : std::filesystem::recursive_directory_iterator{directory}) {
    check_private(one.path());
    ++files;
  }
  CHECK(files > 1);
}

/// Writes over one record.
void put_raw(const std::filesystem::path& directory, const char* table, const std::string& key,
             const std::string& value) {
  tests::tamper(directory, table,
                [&](MDB_txn* txn, MDB_dbi dbi) { tests::raw_put(txn, dbi, key, value); });
}

/// Takes a table out.
void drop(const std::filesystem::path& directory, const char* table) {
  tests::tamper(directory, table,
                [](MDB_txn* txn, MDB_dbi dbi) { REQUIRE(mdb_drop(txn, dbi, 1) == 0); });
}

/// Makes a record one of an earlier version, which ended so many bytes sooner.
void shorten(const std::filesystem::path& directory, const char* table, std::uint64_t row,
             std::size_t cut, char version) {
  tests::tamper(directory, table, [&](MDB_txn* txn, MDB_dbi dbi) {
    auto key = storage::row_key(row_id{row});
    MDB_val k{key.size(), key.data()};
    MDB_val v{};
    REQUIRE(mdb_get(txn, dbi, &k, &v) == 0);
    std::string bytes{static_cast<const char*>(v.mv_data), v.mv_size};
    bytes.resize(bytes.size() - 4 - cut); // Without the checksum and the later fields.
    bytes[0] = version;
    tests::raw_put(txn, dbi, key, storage::byte_writer{}.raw(bytes).record());
  });
}

} // namespace

TEST_CASE_METHOD(copies_fixture, "export: imported and exported again it is the same, byte by byte",
                 "[storage][copies]") {
  fill();
  check_store();
  const auto text = exported();
  CHECK(text.find("\"tombstone\"") != std::string::npos);
  CHECK(text.find("\"wake\"") != std::string::npos);
  storage::options other;
  other.directory = directory.path() / "other";
  storage::store copy{other};
  std::istringstream in{text};
  copy.import_lines(in);
  for (const auto& finding : copy.check()) {
    FAIL_CHECK(finding);
  }
  std::ostringstream again;
  copy.export_lines(again);
  CHECK(again.str() == text);
  CHECK(copy.journal_after("flow", 0, 9)->entries == store->journal_after("flow", 0, 9)->entries);
  CHECK(copy.get("flow")->status_json == R"({"step":"two"})");
  const auto bytes = std::string(4'000, '\xFF');
  CHECK(copy.attached("flow", "sha256:" + hash_hex(bytes))->bytes == bytes);
  CHECK(copy.get("several")->waiting.also.size() == 2);
  CHECK(copy.upcoming(now).timer_at == store->upcoming(now).timer_at);
  std::istringstream twice{text};
  CHECK_THROWS_AS(copy.import_lines(twice), storage::error);
}

TEST_CASE_METHOD(copies_fixture, "import: waits go on as they would have", "[storage][copies]") {
  fill();
  const auto text = exported();
  directory_name = "other";
  open();
  std::istringstream in{text};
  store->import_lines(in);
  apply<completion>(complete_request{leases.at("child"), make_success("1")});
  CHECK(store->get("flow")->state == process_state::waiting); // One of two.
  apply<completion>(complete_request{leases.at("runs"), make_success("1")});
  CHECK(store->get("flow")->state == process_state::ready);
  now += 7'000;
  apply<done>(expire_request{});
  CHECK(store->get("several")->state == process_state::ready);
  check_store();
}

TEST_CASE_METHOD(copies_fixture, "import: a wake on its way grows too old as it would have",
                 "[storage][copies]") {
  options.wake_age_max = 60'000;
  open();
  auto x = make_declaring("a", {"step"});
  x.event_types.front().wake = "{}";
  x.wake_session = "s";
  enroll(x);
  const auto send = [this] { apply<event>(append_request{"a", "step", "{}", "", false, {}}); };
  send();
  now += 60'000;
  apply<done>(expire_request{});
  apply<done>(settle_wake_request{wake_id{1}, 0, wake_verdict::redrive, ""});
  send();
  const auto taken = apply<wake_list>(take_wakes_request{"s", 1, 1'000}).wakes;
  REQUIRE(taken.size() == 1);
  const auto text = exported();
  const auto timer_at = store->upcoming(now).timer_at;
  CHECK(timer_at == now + 60'000);
  directory_name = "other";
  open();
  std::istringstream in{text};
  store->import_lines(in);
  CHECK(store->upcoming(now).timer_at == timer_at);
  const auto states = [this] {
    wakes_query query;
    query.limit = 9;
    std::vector<wake_state> result;
    for (const auto& one : store->wakes(query).wakes) {
      result.push_back(one.state);
    }
    return result;
  };
  using list = std::vector<wake_state>;
  CHECK(states() == list{wake_state::taken, wake_state::pending});
  now += 60'000;
  apply<done>(expire_request{});
  // What was sent anew by hand has its age behind it.
  CHECK(states() == list{wake_state::taken, wake_state::undeliverable});
  CHECK(store->upcoming(now).timer_at == 0);
  check_store();
}

TEST_CASE_METHOD(copies_fixture, "import: what raised limits let in is read back, and run again",
                 "[storage][copies]") {
  options.registration.labels_max = 1'024;
  options.registration.input_bytes_max = 64U << 20U;
  open();
  auto x = make_registration("a");
  for (int i = 0; i < 40; ++i) {
    x.labels["label-" + std::to_string(i)] = "x";
  }
  x.input = nlohmann::json{{"type", "tool_call"},
                           {"tool", "fake"},
                           {"args", {{"text", std::string(1'500'000, 'x')}}}}
              .dump();
  enroll(x);
  CHECK(registration_from_canonical(store->get("a")->registration_json) == x);
  apply<completion>(complete_request{claim_one(), make_success("1")});
  check_store();
  CHECK(apply<registered_list>(again_request{"a", "b"}).items.front().created);
  const auto text = exported();
  directory_name = "other";
  open();
  std::istringstream in{text};
  store->import_lines(in);
  CHECK(registration_from_canonical(store->get("a")->registration_json) == x);
  check_store();
  CHECK(exported() == text);
  // Under lower ones what is there stays, what is new is refused.
  options.registration = {};
  open();
  CHECK(code_of(again_request{"a", "c"}) == ec::bad_request);
  check_store();
}

TEST_CASE_METHOD(copies_fixture, "import: a schema that an earlier version took refuses its events",
                 "[storage][copies]") {
  enroll(make_declaring("a", {"loop", "date", "zero"}));
  std::ostringstream older;
  std::istringstream lines{exported()};
  for (std::string line; std::getline(lines, line);) {
    auto x = nlohmann::json::parse(line);
    if (x.contains("process")) {
      auto& types = x["process"]["registration"]["events"];
      types[0]["schema"] = {{"allOf", {{{"$ref", "#"}}}}};
      types[1]["schema"] = {{"format", "date"}};
      types[2]["schema"] = {{"multipleOf", 0}};
    }
    older << x.dump() << '\n';
  }
  directory_name = "other";
  open();
  std::istringstream in{older.str()};
  store->import_lines(in);
  check_store();
  for (const auto* type : {"loop", "zero"}) {
    const auto no = refused(append_request{"a", type, "7", "", false, {}});
    CHECK(no.code == ec::bad_request);
    CHECK(no.text.find("no longer accepted") != std::string::npos);
  }
  CHECK(apply<event>(append_request{"a", "date", "[]", "", false, {}}).seq == 2);
  CHECK(exported().find("multipleOf") != std::string::npos);
}

TEST_CASE_METHOD(copies_fixture, "import: an export of the first version is read",
                 "[storage][copies]") {
  for (const auto* id : {"a", "b"}) {
    enroll(make_declaring(id, {"signal.go"}));
  }
  apply<park_receipt>(park_request{claim_one(), {wait_kind::signal, "go", 1, now + 5'000}});
  // As the first version wrote it: nothing of journals, waits for one thing.
  std::ostringstream older;
  std::istringstream lines{exported()};
  for (std::string line; std::getline(lines, line);) {
    auto x = nlohmann::json::parse(line);
    if (x.contains("belay")) {
      x["belay"]["version"] = 1;
    } else if (x.contains("process")) {
      for (const auto* key : {"journaled", "cancel_seen", "has_status", "has_attachments"}) {
        REQUIRE(x["process"]["head"].erase(key) == 1);
      }
      if (x["process"].contains("wait")) {
        REQUIRE(x["process"]["wait"].erase("also") == 1);
      }
    }
    older << x.dump() << '\n';
  }
  storage::options other;
  other.directory = directory.path() / "other";
  storage::store copy{other};
  std::istringstream in{older.str()};
  copy.import_lines(in);
  for (const auto& finding : copy.check()) {
    FAIL_CHECK(finding);
  }
  CHECK(copy.get("a")->waiting.until.name == "go");
  CHECK(copy.upcoming(now).timer_at == now + 5'000);
  std::ostringstream again;
  copy.export_lines(again);
  CHECK(again.str() == exported());
}

TEST_CASE_METHOD(copies_fixture, "import: a bad line is named and nothing is written",
                 "[storage][copies]") {
  fill();
  auto text = exported();
  storage::options other;
  other.directory = directory.path() / "other";
  storage::store copy{other};
  const auto end = text.rfind("{\"end\"");
  REQUIRE(end != std::string::npos);
  const auto cut = text.rfind('\n', end - 2) + 1;
  for (const auto& bad : {text + "{\"process\": 1}\n", text + "nonsense\n", std::string{"{}\n"},
                          text.substr(text.find('\n') + 1), std::string{}, text.substr(0, end),
                          text.substr(0, cut) + text.substr(end)}) {
    std::istringstream in{bad};
    try {
      copy.import_lines(in);
      FAIL("accepted");
    } catch (const storage::error& x) {
      CHECK(std::string{x.what()}.find("line ") != std::string::npos);
    }
    CHECK(copy.counts().by_state.empty());
  }
}

TEST_CASE_METHOD(copies_fixture, "copy: complete, checked, and made while the store is in use",
                 "[storage][copies]") {
  fill();
  for (const auto compact : {false, true}) {
    const auto target = directory.path() / (compact ? "compact" : "plain");
    store->copy_to(target, compact);
    storage::options other;
    other.directory = target;
    {
      other.read_only = true;
      const storage::store copy{other};
      for (const auto& finding : copy.check()) {
        FAIL_CHECK(finding);
      }
      CHECK(copy.get("ended")->outcome_json == store->get("ended")->outcome_json);
    }
    CHECK_THROWS_AS(store->copy_to(target, compact), storage::error);
    other.read_only = false;
    storage::store writable{other};
    CHECK(writable.counts().by_state == store->counts().by_state);
  }
}

TEST_CASE_METHOD(copies_fixture, "copy: nobody else may read it", "[storage][copies][mode]") {
  const tests::open_umask all;
  fill();
  for (const auto compact : {false, true}) {
    const auto target = directory.path() / (compact ? "compact" : "plain");
    store->copy_to(target, compact);
    check_all_private(target);
  }
  // The one that is kept when the format is brought up.
  store.reset();
  put_raw(options.directory, "meta", "format", storage::encode_number(3));
  open();
  REQUIRE(std::filesystem::exists(options.directory / "belay.mdb.format3"));
  check_all_private(options.directory);
}

TEST_CASE_METHOD(copies_fixture, "read only: beside a running store, and it writes nothing",
                 "[storage][copies]") {
  fill();
  storage::options other = options;
  other.read_only = true;
  other.directory = directory.path() / "none";
  CHECK_THROWS_AS(storage::store{other}, storage::error);
  CHECK_FALSE(std::filesystem::exists(other.directory));
  store.reset();
  other.directory = options.directory;
  storage::store reading{other};
  CHECK(reading.check().empty());
  CHECK(reading.stat().records.at("tombstone") == 1);
  CHECK(reading.stat().used_bytes <= reading.stat().file_bytes);
  const std::vector<operation> batch{enlist_request{"x"}};
  CHECK_THROWS_AS(reading.apply(batch, {now, [] { return 1ULL; }}), storage::error);
}

TEST_CASE_METHOD(copies_fixture, "format: a store of the first one is copied and brought up",
                 "[storage][copies][s5-211]") {
  enroll(make_registration("a"));
  enroll(make_registration("b"));
  apply<completion>(complete_request{claim_one(), make_success("1")});
  store.reset();
  // As the first format had it: no later tables, heads and bodies without their later fields.
  for (const auto* table : {"change", "finished", "event_by_type", "blob", "detail", "observer",
                            "journal", "status", "attachment"}) {
    drop(options.directory, table);
  }
  for (std::uint64_t row = 1; row <= 2; ++row) {
    shorten(options.directory, "head", row, 42, 1);
    shorten(options.directory, "body", row, 4 + 4 + 4 + 4 + 4,
            1); // "host" behind its length, two empty texts, no labels.
  }
  for (std::uint64_t name = 1; name <= 3; ++name) {
    std::string text = name == 1 ? "default" : name == 2 ? "fake" : "w";
    put_raw(options.directory, "name_text", storage::row_key(row_id{name}), text);
  }
  put_raw(options.directory, "meta", "format", storage::encode_number(1));
  storage::options reading = options;
  reading.read_only = true;
  CHECK_THROWS_AS(storage::store{reading}, storage::error);
  open();
  check_store();
  CHECK(std::filesystem::exists(options.directory / "belay.mdb.format1"));
  CHECK(store->get("a")->ended == outcome_kind::success);
  CHECK(store->changes_since(0, 10).changes.size() == 2);
  now += 1;
  CHECK(apply<prune_report>(prune_request{.before = now}).pruned == 1);
  static_cast<void>(claim_one());
  check_store();
}

TEST_CASE_METHOD(copies_fixture, "format: a store of the second one is copied and read as it is",
                 "[storage][copies]") {
  for (const auto* id : {"a", "b", "c"}) {
    enroll(make_declaring(id, {"signal.go"}));
  }
  apply<completion>(complete_request{claim_one(), make_success("1")});
  apply<park_receipt>(park_request{claim_one(), {wait_kind::signal, "go", 1, now + 5'000}});
  store.reset();
  // As the second format had it: no journals, heads without their second flags, waits for one
  // thing.
  for (const auto* table : {"journal", "status", "attachment"}) {
    drop(options.directory, table);
  }
  for (std::uint64_t row = 1; row <= 3; ++row) {
    shorten(options.directory, "head", row, 1, 2);
  }
  shorten(options.directory, "wait", 2, 4, 1); // A list of no further conditions.
  put_raw(options.directory, "meta", "format", storage::encode_number(2));
  storage::options reading = options;
  reading.read_only = true;
  CHECK_THROWS_AS(storage::store{reading}, storage::error);
  open();
  check_store();
  CHECK(std::filesystem::exists(options.directory / "belay.mdb.format2"));
  CHECK(store->get("a")->ended == outcome_kind::success);
  CHECK(store->get("b")->waiting.until.deadline == now + 5'000);
  apply<event>(append_request{"b", "signal.go", "{}", "", false, {}});
  for (const auto& row : claim(2)) {
    journal_request x{row.held, {}, {}, {}, {}, "1"};
    x.entries = {{1, effect_kind::step, "", "n", 1, "", 1, "1"}};
    apply<journal_receipt>(x);
  }
  check_store();
  open();
  check_store();
}

TEST_CASE_METHOD(copies_fixture, "format: a store of the third one is copied and read as it is",
                 "[storage][copies]") {
  auto woken = make_declaring("a", {"signal.go"});
  woken.wake_session = "desk";
  enroll(woken);
  enroll(make_registration("b"));
  store.reset();
  // As the third format had it: nothing of queues, details without a key and a trace.
  for (const auto* table : {"queue", "blocked", "key_running", "failed"}) {
    drop(options.directory, table);
  }
  shorten(options.directory, "detail", 1, 8, 1); // Two empty texts.
  put_raw(options.directory, "meta", "format", storage::encode_number(3));
  open();
  check_store();
  CHECK(std::filesystem::exists(options.directory / "belay.mdb.format3"));
  CHECK(store->get("a")->wake_session == "desk");
  CHECK(store->get("a")->traceparent.empty());
  queue_request bound;
  bound.queue = "default";
  bound.concurrency_max = 1;
  apply<queue_settings>(bound);
  CHECK(claim(5).size() == 1);
  check_store();
}
