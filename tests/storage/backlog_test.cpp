// A hundred thousand live rows and one worker: every transaction stays small, memory stays bounded,
// and no row waits for ever.
#include "tests/support/store_fixture.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

using namespace belay;
using tests::make_registration;
using tests::start;
using tests::store_fixture;
using tests::ttl;

namespace {

constexpr std::size_t rows_live = 100'000;
constexpr std::size_t message_rows = 1'000;
constexpr std::uint32_t slots_each = 64;

/// Bytes of memory that is this program's own; the map of the store is not counted.
std::size_t own_bytes() {
  std::ifstream in{"/proc/self/status"};
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("RssAnon:", 0) == 0) {
      return std::stoul(line.substr(8)) * 1'024;
    }
  }
  FAIL("no RssAnon");
  return 0;
}

std::string name(std::size_t number) {
  auto digits = std::to_string(number);
  return "p" + std::string(7 - digits.size(), '0') + digits;
}

struct backlog_fixture : store_fixture {
  void fill(std::size_t count) {
    auto item = make_registration("x");
    for (std::size_t made = 0; made < count;) {
      register_request message;
      for (std::size_t i = 0; i < message_rows && made < count; ++i, ++made) {
        item.id = name(number++);
        message.items.push_back(item);
      }
      bounded(apply_all({std::move(message)}), message_rows);
      ++now;
    }
  }

  /// No batch changes more rows than its operations name.
  static void bounded(const storage::batch_result& got, std::size_t most) {
    CHECK(got.changed.size() <= most);
  }

  std::size_t number = 0;
};

} // namespace

TEST_CASE_METHOD(backlog_fixture, "backlog: 100,000 live rows and one worker",
                 "[storage][backlog][s5-A5]") {
#if defined(__SANITIZE_ADDRESS__)
  constexpr std::size_t growth_max = 512U << 20; // Freed memory is kept aside for a while.
#else
  constexpr std::size_t growth_max = 32U << 20;
#endif
  fill(rows_live);
  const auto before = own_bytes();
  // Rounds of a worker with 64 slots, while as many new rows come as it ends.
  std::size_t ended = 0;
  for (int round = 0; round < 100; ++round) {
    ++now;
    const auto held = claim(slots_each);
    REQUIRE(held.size() == slots_each);
    std::vector<operation> batch;
    for (const auto& row : held) {
      // In the order in which they came: none is passed over for one that came later.
      REQUIRE(row.held.id == name(ended++));
      batch.emplace_back(complete_request{row.held, make_success("1")});
    }
    bounded(apply_all(std::move(batch)), slots_each);
    fill(slots_each);
  }
  CHECK(own_bytes() < before + growth_max);
  CHECK(store->counts().by_state.at("ready") == rows_live);

  // A lost worker: its leases end a bounded number at a time, and those first that ran out first.
  std::set<process_id> lost;
  for (int i = 0; i < 10; ++i) {
    for (const auto& row : claim(message_rows)) {
      lost.insert(row.held.id);
    }
  }
  CHECK(lost.size() == 10 * message_rows);
  now += ttl;
  std::size_t sweeps = 0;
  for (std::uint64_t count = 1; count > 0; ++sweeps) {
    const auto got = apply_all({expire_request{256}});
    bounded(got, 256);
    count = std::get<done>(got.answers.front()).count;
  }
  CHECK(sweeps == 10 * message_rows / 256 + 2);
  CHECK(store->counts().by_state.at("ready") == rows_live);
  CHECK(own_bytes() < before + growth_max);

  // A page of a list is a page, however many rows there are.
  list_query query;
  query.limit = 1'000;
  query.state = "success";
  std::size_t seen = 0;
  do {
    const auto page = store->list(query, now);
    CHECK(page.processes.size() <= query.limit);
    seen += page.processes.size();
    query.after = page.next;
  } while (query.after != row_id{});
  CHECK(seen == ended);
}
