// Damaged stores: noticed, never believed.
#include "storage/codec.hpp"
#include "storage/records.hpp"
#include "storage/store.hpp"
#include "tests/support/raw_store.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <fstream>

using namespace belay;
using tests::raw_put;
using tests::tamper;

namespace {

void erase(MDB_txn* txn, MDB_dbi dbi, std::string key) {
  MDB_val k{key.size(), key.data()};
  REQUIRE(mdb_del(txn, dbi, &k, nullptr) == 0);
}

struct damage_fixture {
  damage_fixture() {
    options.directory = directory.path() / "data";
    storage::store store{options};
    const std::vector<operation> batch{
      register_request{{tests::make_registration("a"), tests::make_registration("b")}},
      claim_request{{"w", 1}, {"fake"}, {}, 1, 1'000}};
    static_cast<void>(store.apply(batch, {1'000, [] { return 7; }}));
    REQUIRE(store.check().empty());
  }

  std::string findings() {
    const storage::store store{options};
    std::string text;
    for (const auto& x : store.check()) {
      text += x + "\n";
    }
    return text;
  }

  tests::scratch_directory directory;
  storage::options options;
};

} // namespace

TEST_CASE_METHOD(damage_fixture, "check: a flipped bit in a record is found by its checksum",
                 "[storage][damage]") {
  tamper(options.directory, "head", [](MDB_txn* txn, MDB_dbi dbi) {
    auto record = storage::encode(storage::head_record{});
    record[10] = static_cast<char>(record[10] ^ 1);
    raw_put(txn, dbi, storage::row_key(row_id{1}), record);
  });
  CHECK(findings().find("checksum") != std::string::npos);
  const storage::store store{options};
  CHECK_THROWS_AS(store.get("a"), storage::error);
}

TEST_CASE_METHOD(damage_fixture, "check: a missing place in ready is found", "[storage][damage]") {
  tamper(options.directory, "ready",
         [](MDB_txn* txn, MDB_dbi dbi) { REQUIRE(mdb_drop(txn, dbi, 0) == 0); });
  CHECK(findings().find("(I4)") != std::string::npos);
}

TEST_CASE_METHOD(damage_fixture, "check: a missing lease and a gap in a history are found",
                 "[storage][damage]") {
  tamper(options.directory, "lease",
         [](MDB_txn* txn, MDB_dbi dbi) { erase(txn, dbi, storage::row_key(row_id{1})); });
  CHECK(findings().find("runs without a lease (I4)") != std::string::npos);
  tamper(options.directory, "event",
         [](MDB_txn* txn, MDB_dbi dbi) { erase(txn, dbi, storage::event_key(row_id{1}, 1)); });
  CHECK(findings().find("has no event 1") != std::string::npos);
}

TEST_CASE_METHOD(damage_fixture, "check: a wrong counter and a second end are found",
                 "[storage][damage]") {
  tamper(options.directory, "counter",
         [](MDB_txn* txn, MDB_dbi dbi) { REQUIRE(mdb_drop(txn, dbi, 0) == 0); });
  CHECK(findings().find("there is no counter") != std::string::npos);
  tamper(options.directory, "event", [](MDB_txn* txn, MDB_dbi dbi) {
    storage::event_record x;
    x.type = event_types::completed;
    x.payload.content = "{}";
    raw_put(txn, dbi, storage::event_key(row_id{1}, 1), storage::encode(x));
  });
  CHECK(findings().find("(I1)") != std::string::npos);
}

namespace {

struct journal_damage_fixture : damage_fixture {
  journal_damage_fixture() {
    options.inline_bytes_max = 100;
    storage::store store{options};
    const std::vector<operation> claims{claim_request{{"w", 1}, {"fake"}, {}, 1, 1'000}};
    const auto claimed = store.apply(claims, {1'000, [] { return 7; }});
    journal_request x;
    x.held = std::get<claimed_list>(claimed.answers.front()).items.front().held;
    x.status = "1";
    for (std::uint64_t number = 1; number <= 3; ++number) {
      x.entries.push_back({number, effect_kind::step, "", "n", 1, "", 0, "1"});
    }
    for (const auto& bytes : {std::string{"short"}, std::string(200, 'x')}) {
      x.attachments.push_back({"sha256:" + hash_hex(bytes), "", bytes});
    }
    const std::vector<operation> writes{x};
    REQUIRE(std::holds_alternative<journal_receipt>(
      store.apply(writes, {1'000, [] { return 7; }}).answers.front()));
    REQUIRE(store.check().empty());
  }
};

} // namespace

TEST_CASE_METHOD(journal_damage_fixture, "check: a gap in a journal is found",
                 "[storage][damage]") {
  tamper(options.directory, "journal",
         [](MDB_txn* txn, MDB_dbi dbi) { erase(txn, dbi, storage::pair_key(2, 2)); });
  CHECK(findings() == "row 2 has a gap before entry 3 of its journal (I8)\n");
}

TEST_CASE_METHOD(journal_damage_fixture, "check: a damaged journal entry is found",
                 "[storage][damage]") {
  tamper(options.directory, "journal", [](MDB_txn* txn, MDB_dbi dbi) {
    auto record = storage::encode(storage::journal_record{});
    record[3] = static_cast<char>(record[3] ^ 1);
    raw_put(txn, dbi, storage::pair_key(2, 2), record);
  });
  const auto found = findings();
  CHECK(found.find("row 2 table journal: ") == 0);
  CHECK(found.find("checksum") != std::string::npos);
  const storage::store store{options};
  CHECK_THROWS_AS(store.journal_after("b", 0, 10), storage::error);
}

TEST_CASE_METHOD(journal_damage_fixture, "check: an attachment whose bytes differ is found",
                 "[storage][damage]") {
  tamper(options.directory, "attachment", [](MDB_txn* txn, MDB_dbi dbi) {
    const auto hash = hash_hex("short");
    raw_put(txn, dbi, storage::attachment_key(row_id{2}, hash),
            storage::encode(storage::attachment_record{hash, "", 5, {false, "shorT"}}));
  });
  CHECK(findings() == "row 2 has an attachment that is not what its hash says\n");
  const auto name = hash_hex(std::string(200, 'x'));
  std::ofstream{options.directory / "blobs" / name.substr(0, 2) / name} << std::string(200, 'y');
  CHECK(findings().find("row 2 table attachment: ") != std::string::npos);
  const storage::store store{options};
  CHECK_THROWS_AS(store.attached("b", "sha256:" + name), storage::error);
}

TEST_CASE_METHOD(journal_damage_fixture, "check: a head that lies about its journal is found",
                 "[storage][damage]") {
  for (const auto* table : {"journal", "status", "attachment"}) {
    INFO(table);
    tamper(options.directory, table,
           [](MDB_txn* txn, MDB_dbi dbi) { REQUIRE(mdb_drop(txn, dbi, 0) == 0); });
    CHECK(findings().find("row 2 does not say rightly whether it has a journal") == 0);
  }
  tamper(options.directory, "status", [](MDB_txn* txn, MDB_dbi dbi) {
    raw_put(txn, dbi, storage::row_key(row_id{9}), storage::encode_status({false, "1"}));
  });
  CHECK(findings().find("row 9 has a journal, a status or attachments but no head")
        != std::string::npos);
}

TEST_CASE("codec: the checksum and the byte order are pinned", "[storage][golden]") {
  CHECK(storage::crc32c("123456789") == 0xE3069283U); // RFC 3720, B.4's generator.
  CHECK(storage::crc32c("") == 0);
  CHECK(storage::row_key(row_id{0x0102030405060708}) == "\x01\x02\x03\x04\x05\x06\x07\x08");
  CHECK(storage::encode_number(1)
        == std::string("\0\0\0\0\0\0\0\x01", 8) + storage::encode_number(1).substr(8));
  CHECK(storage::encode(storage::lease_record{}).size() == 65);
  CHECK(storage::encode(storage::head_record{}).size() == 155);
}

TEST_CASE("codec: a record that is cut short is refused", "[storage]") {
  const auto whole = storage::encode(storage::event_record{1, "t", "", {false, "{}"}});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CHECK_THROWS_AS(storage::decode_event(std::string_view{whole}.substr(0, length)),
                    storage::error);
  }
  CHECK(storage::decode_event(whole).type == "t");
}

TEST_CASE("codec: keys sort by time and by priority", "[storage]") {
  using storage::encode;
  using storage::ready_place;
  CHECK(storage::time_key(255, row_id{9}) < storage::time_key(256, row_id{1}));
  CHECK(encode(ready_place{1, 1, 5, 99, row_id{9}}) < encode(ready_place{1, 1, -5, 1, row_id{1}}));
  CHECK(encode(ready_place{1, 1, 0, 1, row_id{9}}) < encode(ready_place{1, 1, 0, 2, row_id{1}}));
}
