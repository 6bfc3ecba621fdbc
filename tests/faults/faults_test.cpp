// Faults of the disk: each ends as it is said to.
#include "tests/faults/disk.hpp"
#include "tests/support/store_fixture.hpp"

#include <csignal>
#include <fstream>
#include <lmdb.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace belay;
using tests::make_registration;
using tests::store_fixture;
using tests::ttl;
namespace disk = tests::disk;

namespace {

struct fault_fixture : store_fixture {
  ~fault_fixture() {
    disk::heal();
  }

  /// Applies an operation that must fail; returns how.
  storage::error_kind fails(operation op) {
    try {
      static_cast<void>(apply_all({std::move(op)}));
    } catch (const storage::error& x) {
      return x.kind();
    }
    FAIL("nothing failed");
    return storage::error_kind::fault;
  }

  static registration large(const std::string& id) {
    auto x = make_registration(id);
    x.label = std::string(200, 'l');
    for (int i = 0; i < 5; ++i) {
      x.labels["k" + std::to_string(i)] = std::string(200, 'v');
    }
    return x;
  }
};

} // namespace

TEST_CASE_METHOD(fault_fixture, "faults: the stand-in sees what the store writes", "[faults]") {
  const auto before = disk::seen();
  enroll(make_registration("a"));
  CHECK(disk::seen() >= before + 3); // Pages, a sync, the meta page.
}

TEST_CASE_METHOD(fault_fixture, "faults: a failed write is a fault, and the store is as before",
                 "[faults][s5-390]") {
  enroll(make_registration("a"));
  disk::fail_from(disk::fault::write_error, 1, "belay.mdb");
  CHECK(fails(register_request{{make_registration("b")}}) == storage::error_kind::fault);
  CHECK(disk::failed() > 0);
  disk::heal();
  open();
  CHECK(store->get("a"));
  CHECK_FALSE(store->get("b"));
  check_store();
}

TEST_CASE_METHOD(fault_fixture, "faults: a failed sync is a fault, never tried again",
                 "[faults][s5-390]") {
  enroll(make_registration("a"));
  disk::fail_from(disk::fault::sync_error, 1, "belay.mdb");
  CHECK(fails(register_request{{make_registration("b")}}) == storage::error_kind::fault);
  CHECK(disk::failed() == 1);
  disk::heal();
  open();
  CHECK(store->get("a"));
  check_store();
}

TEST_CASE_METHOD(fault_fixture, "faults: a full disk refuses, and goes on when there is room",
                 "[faults][s5-A4]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  options.free_min_bytes = 1ULL << 60; // So that a short write is taken for a full disk.
  disk::fail_from(disk::fault::write_full, 1, "belay.mdb");
  CHECK(fails(append_request{"a", "note", "{}", "", true, held}) == storage::error_kind::full);
  CHECK(fails(renew_request{held, ttl}) == storage::error_kind::full);
  CHECK(fails(complete_request{held, make_success("1")}) == storage::error_kind::full);
  CHECK(store->get("a")->state == process_state::running);
  disk::heal();
  CHECK(apply<lease>(renew_request{held, ttl}).fence == held.fence);
  apply<completion>(complete_request{held, make_success("1")});
  enroll(make_registration("b"));
  check_store();
}

TEST_CASE_METHOD(fault_fixture, "faults: a file beside the store that cannot be written refuses",
                 "[faults]") {
  const std::string text = "\"" + std::string(5'000, 'x') + "\"";
  enroll(make_registration("a"));
  const auto held = claim_one();
  disk::fail_from(disk::fault::write_full, 1, ".new");
  CHECK(fails(complete_request{held, make_success(text)}) == storage::error_kind::full);
  disk::fail_from(disk::fault::sync_error, 1, ".new");
  CHECK(fails(complete_request{held, make_success(text)}) == storage::error_kind::fault);
  disk::heal();
  CHECK(store->get("a")->state == process_state::running);
  apply<completion>(complete_request{held, make_success(text)});
  check_store();
}

TEST_CASE_METHOD(fault_fixture,
                 "faults: with the map nearly full running work ends and pruning helps",
                 "[faults][s5-A4]") {
  options.size_max_bytes = 8U << 20;
  open();
  enroll(make_registration("a"));
  const auto held = claim_one();
  auto code = ec::none;
  int number = 0;
  while (code == ec::none && number < 100'000) {
    auto x = large("p" + std::to_string(++number));
    x.priority = 1;
    code = code_of(register_request{{x}});
  }
  CHECK(code == ec::store_full);
  apply<completion>(complete_request{held, make_success("1")});
  CHECK(apply<cancel_receipt>(cancel_request{"p1", "why", false}).stage == cancel_stage::done);
  for (int i = 2; i < 150; ++i) {
    apply<cancel_receipt>(cancel_request{"p" + std::to_string(i), "why", false});
  }
  now += 1;
  // Small transactions, so that the free pages of each can be used by the next.
  for (prune_request request{.before = now, .max = 20};;) {
    if (!apply<prune_report>(request).more) {
      break;
    }
  }
  // Space that a transaction frees can be used by those after the next.
  for (int i = 0; i < 3; ++i) {
    now += 1'000;
    apply<cancel_receipt>(cancel_request{"p" + std::to_string(200 + i), "why", false});
  }
  enroll(make_registration("again")); // Without a restart.
  check_store();
}

TEST_CASE_METHOD(fault_fixture, "faults: a full file system, then room again", "[faults]") {
  const auto place = directory.path() / "small";
  std::filesystem::create_directories(place);
  if (mount("tmpfs", place.c_str(), "tmpfs", 0, "size=3m") != 0) {
    WARN("a tmpfs cannot be mounted here: skipped");
    return;
  }
  {
    storage::options small;
    small.directory = place / "data";
    small.free_min_bytes = 0;
    storage::store full{small};
    auto refusals = 0;
    for (int i = 0; i < 10'000 && refusals == 0; ++i) {
      try {
        const std::vector<operation> batch{register_request{{large("p" + std::to_string(i))}}};
        const auto got = full.apply(batch, {now, [this] { return ++bits; }});
        refusals += std::holds_alternative<refusal>(got.answers.front()) ? 1 : 0;
      } catch (const storage::error& x) {
        CHECK(x.kind() == storage::error_kind::full);
        ++refusals;
      }
    }
    CHECK(refusals == 1);
    REQUIRE(mount("tmpfs", place.c_str(), "tmpfs", MS_REMOUNT, "size=16m") == 0);
    const std::vector<operation> batch{register_request{{large("later")}}};
    CHECK(std::holds_alternative<registered_list>(
      full.apply(batch, {now, [this] { return ++bits; }}).answers.front()));
    CHECK(full.check().empty());
  }
  umount(place.c_str());
}

TEST_CASE_METHOD(fault_fixture, "faults: on a disk that others have filled running work still ends",
                 "[faults][s5-A4]") {
  const auto place = directory.path() / "small";
  std::filesystem::create_directories(place);
  if (mount("tmpfs", place.c_str(), "tmpfs", 0, "size=8m") != 0) {
    WARN("a tmpfs cannot be mounted here: skipped");
    return;
  }
  options.free_min_bytes = 64U << 10;
  options.ballast_bytes = 2U << 20;
  options.size_max_bytes = 64U << 20;
  store.reset();
  {
    auto small = options;
    small.directory = place / "data";
    store = std::make_unique<storage::store>(small);
    CHECK(std::filesystem::file_size(small.directory / "ballast") == options.ballast_bytes);
    for (int i = 0; i < 20; ++i) {
      enroll(large("p" + std::to_string(i)));
    }
    const auto rows = claim(20);
    REQUIRE(rows.size() == 20);
    const std::string filler(1U << 16, 'x');
    std::ofstream fill{place / "fill"};
    while (fill.write(filler.data(), static_cast<std::streamsize>(filler.size())).flush()) {
    }
    fill.close();
    CHECK(code_of(register_request{{large("new")}}) == ec::store_full);
    // The first write that finds no room is refused and gives the ballast up.
    auto refusals = 0;
    for (const auto& row : rows) {
      const operation end
        = complete_request{row.held, make_success("\"" + std::string(500, 'x') + "\"")};
      try {
        apply<completion>(end);
      } catch (const storage::error& x) {
        CHECK(x.kind() == storage::error_kind::full);
        ++refusals;
        apply<completion>(end);
      }
    }
    CHECK(refusals == 1);
    CHECK(store->counts().by_state.at("success") == 20);
    CHECK_FALSE(std::filesystem::exists(small.directory / "ballast"));
    // What the ballast gave is not for new work.
    CHECK(code_of(register_request{{large("new")}}) == ec::store_full);
    now += 1;
    CHECK(apply<prune_report>(prune_request{.before = now}).pruned == 20);
    std::filesystem::remove(place / "fill");
    enroll(large("new")); // Without a restart.
    CHECK(std::filesystem::file_size(small.directory / "ballast") == options.ballast_bytes);
    check_store();
    store.reset();
  }
  CHECK(umount(place.c_str()) == 0);
}

TEST_CASE_METHOD(fault_fixture, "faults: a reader left by a killed program stops no reuse of space",
                 "[faults][s5-A7]") {
  for (int i = 0; i < 50; ++i) {
    enroll(large("p" + std::to_string(i)));
  }
  store.reset();
  std::array<int, 2> ready{};
  REQUIRE(pipe(ready.data()) == 0);
  const auto pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
    mdb_env_create(&env);
    mdb_env_set_maxdbs(env, 64);
    const auto path = options.directory / "belay.mdb";
    const auto opened = mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_RDONLY, 0600) == 0
                        && mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) == 0;
    const char said = opened ? 'y' : 'n';
    _exit(write(ready[1], &said, 1) == 1 && pause() == 0 ? 0 : 1);
  }
  char said = 'n';
  REQUIRE(read(ready[0], &said, 1) == 1);
  REQUIRE(said == 'y');
  REQUIRE(kill(pid, SIGKILL) == 0);
  REQUIRE(waitpid(pid, nullptr, 0) == pid);
  close(ready[0]);
  close(ready[1]);
  open(); // Clears what the dead left.
  const auto pages = [this] { return store->stat().file_bytes / store->stat().page_bytes; };
  enroll(make_registration("held"));
  auto held = claim(100).front().held;
  const auto before = pages();
  for (int i = 0; i < 500; ++i) {
    now += 1;
    held = apply<lease>(renew_request{held, ttl});
  }
  CHECK(pages() < before + 60); // A held page version would cost several pages a commit.
}

TEST_CASE_METHOD(fault_fixture,
                 "faults: a damaged record is named and never read as if it were whole",
                 "[faults]") {
  enroll(make_registration("needle-in-the-file"));
  store.reset();
  const auto path = options.directory / "belay.mdb";
  std::string bytes;
  {
    std::ifstream in{path, std::ios::binary};
    bytes.assign(std::istreambuf_iterator<char>{in}, {});
  }
  // The registration's text, wherever it stands: one bit of each copy.
  std::size_t flipped = 0;
  for (auto at = bytes.find("\"fake\""); at != std::string::npos;
       at = bytes.find("\"fake\"", at + 1)) {
    bytes[at + 2] = static_cast<char>(bytes[at + 2] ^ 1);
    ++flipped;
  }
  REQUIRE(flipped > 0);
  std::ofstream{path, std::ios::binary} << bytes;
  open();
  CHECK_FALSE(store->check().empty());
  CHECK_THROWS_AS(store->get("needle-in-the-file"), storage::error);
}
