// When the files of long texts go: never under a reader, and not for ever.
#include "tests/support/store_fixture.hpp"

#include <array>
#include <csignal>
#include <fstream>
#include <future>
#include <lmdb.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace belay;
using tests::make_declaring;
using tests::make_registration;
using tests::store_fixture;

namespace {

/// A program that has the data file open and reads it, until it is killed.
class other_reader {
public:
  explicit other_reader(const std::filesystem::path& directory) {
    std::array<int, 2> ready{};
    REQUIRE(pipe(ready.data()) == 0);
    os_pid_ = fork();
    REQUIRE(os_pid_ >= 0);
    if (os_pid_ == 0) {
      read_for_ever(directory / "belay.mdb", ready[1]);
    }
    ::close(ready[1]);
    char byte = 0;
    const auto count = read(ready[0], &byte, 1);
    ::close(ready[0]);
    REQUIRE(count == 1);
  }

  ~other_reader() {
    end();
  }

  other_reader(const other_reader&) = delete;
  other_reader& operator=(const other_reader&) = delete;

  /// Kills it: its transaction stays in LMDB's table.
  void end() {
    if (os_pid_ > 0) {
      ::kill(os_pid_, SIGKILL);
      waitpid(os_pid_, nullptr, 0);
      os_pid_ = -1;
    }
  }

private:
  [[noreturn]] static void read_for_ever(const std::filesystem::path& file, int ready) {
    // As after an exec: above all, the lock of the data directory is not this program's.
    const auto kept = static_cast<unsigned>(ready);
    close_range(3, kept - 1, 0);
    close_range(kept + 1, ~0U, 0);
    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
    if (mdb_env_create(&env) == 0
        && mdb_env_open(env, file.c_str(), MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS, 0600) == 0
        && mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) == 0 && write(ready, "r", 1) == 1) {
      for (;;) {
        pause();
      }
    }
    _exit(1);
  }

  pid_t os_pid_ = -1;
};

/// Does something once, when the first line is written to it.
class interrupted_buffer : public std::stringbuf {
public:
  explicit interrupted_buffer(std::function<void()> act) : act_{std::move(act)} {}

protected:
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    if (const auto act = std::exchange(act_, nullptr)) {
      act();
    }
    return std::stringbuf::xsputn(text, count);
  }

private:
  std::function<void()> act_;
};

struct blob_files_fixture : store_fixture {
  blob_files_fixture() {
    options.reader_check_every = std::chrono::milliseconds{0};
    open();
    auto x = make_declaring("a", {"step"});
    x.retry.attempts = 2;
    x.retry.backoff_ms = 0;
    enroll(x);
    held = claim_one();
  }

  static std::string text(char of) {
    return "\"" + std::string(4'000, of) + "\"";
  }

  [[nodiscard]] std::filesystem::path file(const std::string& content) const {
    const auto name = hash_hex(content);
    return options.directory / "blobs" / name.substr(0, 2) / name;
  }

  [[nodiscard]] bool has(char of) const {
    return std::filesystem::exists(file(text(of)));
  }

  std::size_t files() const {
    std::size_t number = 0;
    for (const auto& one :
         std::filesystem::recursive_directory_iterator{options.directory / "blobs"}) {
      number += one.is_regular_file() ? 1 : 0;
    }
    return number;
  }

  void set_status(char of) {
    journal_request x{held, {}, {}, {}, {}, text(of)};
    apply<journal_receipt>(x);
  }

  /// A batch that writes nothing.
  void idle() {
    apply<done>(expire_request{});
  }

  lease held;
};

} // namespace

TEST_CASE_METHOD(blob_files_fixture,
                 "blob files: a reader that began before reads what was dropped",
                 "[storage][blob]") {
  set_status('s');
  journal_request x{held, {}, {}, {}, {}, {}};
  x.entries = {{1, effect_kind::step, "", "n", 1, "", 1, text('j')}};
  x.attachments = {{"sha256:" + hash_hex(text('f')), "file", text('f')}};
  apply<journal_receipt>(x);
  enroll(make_registration("b"));
  const auto other = claim_one();
  REQUIRE(other.id == "b");
  apply<completion>(complete_request{other, make_success(text('o'))});
  now += 1;
  std::ostringstream before;
  store->export_lines(before);

  interrupted_buffer buffer{[this] {
    set_status('t');
    CHECK(apply<prune_report>(prune_request{.before = now}).pruned == 1);
    apply<completion>(
      complete_request{held, make_failure(failure_class::execution, "c", "m", true)});
    held = claim_one();
    idle();
    CHECK(has('s'));
    CHECK(has('j'));
  }};
  std::ostream out{&buffer};
  store->export_lines(out);
  CHECK(buffer.str() == before.str());

  idle();
  CHECK_FALSE(has('s'));
  CHECK_FALSE(has('j'));
  CHECK(static_cast<std::uint64_t>(files()) == store->stat().blobs);
  check_store();
}

TEST_CASE_METHOD(blob_files_fixture, "blob files: a copy has what was dropped while it was made",
                 "[storage][blob]") {
  set_status('s');
  // Copied before the status, and from a pipe: the copy halts there, its tables written.
  std::string bytes(4'000, 'a');
  while (hash_hex(bytes) > hash_hex(text('s'))) {
    ++bytes.front();
  }
  journal_request x{held, {}, {}, {}, {}, {}};
  x.attachments = {{"sha256:" + hash_hex(bytes), "file", bytes}};
  apply<journal_receipt>(x);
  const auto pipe = file(bytes);
  std::filesystem::remove(pipe);
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);

  const auto target = directory.path() / "copy";
  auto made = std::async(std::launch::async, [&] { store->copy_to(target, true); });
  {
    std::ofstream to{pipe, std::ios::binary}; // Waits for the copy to come here.
    set_status('t');
    idle();
    to << bytes;
  }
  made.get();
  idle();
  CHECK_FALSE(has('s'));
  storage::options other;
  other.directory = target;
  other.read_only = true;
  const storage::store copy{other};
  CHECK(copy.get("a")->status_json == text('s'));
  CHECK(copy.check().empty());
}

TEST_CASE_METHOD(blob_files_fixture, "blob files: they wait for readers of other programs",
                 "[storage][blob]") {
  set_status('s');
  other_reader reader{options.directory};
  set_status('t');
  for (int i = 0; i < 3; ++i) {
    idle();
    CHECK(has('s'));
  }
  // One that began later does not count.
  const other_reader later{options.directory};
  reader.end();
  idle();
  CHECK_FALSE(has('s'));
  CHECK(has('t'));
}

TEST_CASE_METHOD(blob_files_fixture, "blob files: a text that is kept again stays",
                 "[storage][blob]") {
  set_status('s');
  other_reader first{options.directory};
  set_status('t');
  set_status('s');
  // Sees 's', which is dropped a second time after it began.
  other_reader second{options.directory};
  SECTION("and is read") {
    first.end();
    idle();
    CHECK(has('s'));
    CHECK_FALSE(has('t'));
    CHECK(store->get("a")->status_json == text('s'));
    check_store();
  }
  SECTION("and goes when the last one who can see it has ended") {
    set_status('u');
    first.end();
    idle();
    CHECK(has('s'));
    CHECK_FALSE(has('t'));
    second.end();
    idle();
    CHECK_FALSE(has('s'));
    CHECK(has('u'));
    check_store();
  }
}

TEST_CASE_METHOD(blob_files_fixture, "blob files: what waits is bounded, and beyond it also goes",
                 "[storage][blob]") {
  options.dropped_names_max = 2;
  open();
  set_status('a');
  other_reader reader{options.directory};
  for (char x = 'b'; x <= 'i'; ++x) {
    set_status(x);
  }
  idle();
  CHECK(files() == 9);
  reader.end();
  // One folder with each commit: as many as eight texts can be in.
  for (int i = 0; i < 8; ++i) {
    idle();
  }
  CHECK(files() == 1);
  CHECK(has('i'));
  check_store();
}

TEST_CASE_METHOD(blob_files_fixture, "blob files: they go when the store is closed",
                 "[storage][blob]") {
  set_status('s');
  set_status('t');
  CHECK(has('s'));
  store.reset();
  CHECK_FALSE(has('s'));
  CHECK(has('t'));
  open();
  check_store();
}

TEST_CASE_METHOD(blob_files_fixture, "blob files: what a crash left behind can be removed",
                 "[storage][blob]") {
  set_status('s');
  other_reader reader{options.directory};
  set_status('t');
  store.reset(); // The reader is in the way: the names are forgotten, as by a crash.
  CHECK(has('s'));
  open();
  const auto foreign = file(text('s')).parent_path() / "README";
  std::ofstream{foreign} << "x";
  store->remove_waste();
  CHECK(has('s'));
  reader.end();
  open();
  store->remove_waste();
  CHECK_FALSE(has('s'));
  CHECK(has('t'));
  CHECK(std::filesystem::exists(foreign));
  check_store();
}

TEST_CASE_METHOD(blob_files_fixture, "readers: one that was killed is forgotten by what is written",
                 "[storage][reader]") {
  other_reader reader{options.directory};
  set_status('s');
  set_status('t');
  CHECK(store->stat().readers == 2); // stat itself is one.
  CHECK(store->stat().oldest_reader_behind == 2);
  idle();
  CHECK(store->stat().readers == 2); // It lives.
  reader.end();
  CHECK(store->stat().readers == 2);
  idle();
  CHECK(store->stat().readers == 1);
  CHECK(store->stat().oldest_reader_behind == 0);
}

TEST_CASE_METHOD(blob_files_fixture, "readers: the dead are looked for no more often than is set",
                 "[storage][reader]") {
  options.reader_check_every = std::chrono::hours{1};
  open();
  other_reader reader{options.directory};
  reader.end();
  idle();
  CHECK(store->stat().readers == 2);
  open(); // Looks at once.
  CHECK(store->stat().readers == 1);
}
