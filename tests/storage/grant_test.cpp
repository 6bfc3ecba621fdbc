// Rows for several workers in one operation, and owners that go on after a lost link.
#include "storage/store.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/store_fixture.hpp"

#include <catch2/catch.hpp>

using namespace belay;
using tests::make_registration;
using tests::store_fixture;
using tests::ttl;

namespace {

std::vector<std::string> ids(const claimed_list& rows) {
  std::vector<std::string> result;
  for (const auto& x : rows.items) {
    result.push_back(x.held.id);
  }
  return result;
}

claimant worker(const std::string& name, std::uint32_t max, std::uint32_t slots,
                std::vector<std::string> kinds = {"fake"}) {
  return {owner{name, 1}, std::move(kinds), {}, max, slots, 0};
}

} // namespace

TEST_CASE_METHOD(store_fixture, "grant: each row once, in order, to whom it suits",
                 "[storage][claim]") {
  for (int i = 0; i < 5; ++i) {
    enroll(make_registration("p" + std::to_string(i)));
  }
  auto first = make_registration("first");
  first.priority = 10;
  enroll(first);
  enroll(make_registration("other", "other"));
  auto queued = make_registration("queued");
  queued.queue = "slow";
  enroll(queued);
  auto picky = worker("c", 5, 5);
  picky.queues = {"slow"};
  picky.turn = 1; // After the others, where they want the same.
  const auto got = apply<grant_list>(
    grant_request{{worker("a", 2, 2), worker("b", 2, 2, {"fake", "other"}), picky}, ttl});
  REQUIRE(got.each.size() == 3);
  CHECK(ids(got.each[0]) == std::vector<std::string>{"first", "p1"});
  CHECK(ids(got.each[1]) == std::vector<std::string>{"p0", "p2"});
  CHECK(ids(got.each[2]) == std::vector<std::string>{"queued"});
  CHECK(store->get("p0")->holder == owner{"b", 1});
  CHECK(store->get("p3")->state == process_state::ready);
  CHECK(store->get("other")->state == process_state::ready);
  CHECK(store->check().empty());
}

TEST_CASE_METHOD(store_fixture, "grant: turns carry the proportion over", "[storage][claim]") {
  std::map<std::string, int> count;
  auto large = worker("large", 1, 3);
  auto small = worker("small", 1, 1);
  for (int i = 0; i < 40; ++i) {
    enroll(make_registration("p" + std::to_string(i)));
    const auto got = apply<grant_list>(grant_request{{large, small}, ttl});
    large.turn = got.turns[0];
    small.turn = got.turns[1];
    count["large"] += static_cast<int>(got.each[0].items.size());
    count["small"] += static_cast<int>(got.each[1].items.size());
  }
  CHECK(count["large"] == 30);
  CHECK(count["small"] == 10);
}

TEST_CASE_METHOD(store_fixture, "grant: an owner's earlier incarnation gets nothing",
                 "[storage][claim]") {
  apply<owner>(enlist_request{"a"});
  apply<owner>(enlist_request{"a"});
  enroll(make_registration("p"));
  const auto got = apply<grant_list>(grant_request{{worker("a", 1, 1), worker("b", 1, 1)}, ttl});
  CHECK(got.each[0].items.empty());
  CHECK(got.each[1].items.size() == 1);
  const auto nobody = apply<grant_list>(grant_request{});
  CHECK(nobody.each.empty());
}

TEST_CASE_METHOD(store_fixture, "enlist: the last incarnation may go on, and keeps its leases",
                 "[storage][recovery]") {
  CHECK(refused(enlist_request{"w", 1}).code == ec::lease_superseded);
  CHECK(apply<owner>(enlist_request{"w"}).incarnation == 1);
  enroll(make_registration("a"));
  claim_one();
  CHECK(apply<owner>(enlist_request{"w", 1}).incarnation == 1);
  CHECK(store->get("a")->state == process_state::running);
  CHECK(apply<owner>(enlist_request{"w"}).incarnation == 2);
  CHECK(refused(enlist_request{"w", 1}).code == ec::lease_superseded);
}
