// Who is told that a process is to end, and what a process that closes waits for.
#include "tests/support/store_fixture.hpp"

using namespace belay;
using belay::tests::make_registration;

namespace {

struct told_fixture : tests::store_fixture {
  std::vector<storage::cancel_push> renew(const lease& held) {
    return apply_all({renew_request{held, tests::ttl}}).pushes;
  }

  void add_child(const std::string& id, close_policy close) {
    auto x = make_registration(id);
    x.parent = "p";
    x.close = close;
    enroll(std::move(x));
  }
};

} // namespace

TEST_CASE_METHOD(told_fixture, "cancel: a renewal tells it again until the run has ended",
                 "[storage][cancel]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  CHECK(renew(held).empty());
  apply<cancel_receipt>(cancel_request{"a", "why", false});
  for (int i = 0; i < 2; ++i) {
    const auto told = renew(held);
    REQUIRE(told.size() == 1);
    CHECK(told.front().row == held.row);
    CHECK(told.front().holder == held.holder);
    CHECK(told.front().fence == held.fence);
    CHECK_FALSE(told.front().kill);
  }
  apply<cancel_receipt>(cancel_request{"a", "now", true});
  REQUIRE(renew(held).size() == 1);
  CHECK(renew(held).front().kill);
  apply<completion>(complete_request{held, make_cancelled("told to")});
  CHECK(renew(held).empty());
}

TEST_CASE_METHOD(told_fixture, "cancel: a workflow that has heard of it is not told again",
                 "[storage][cancel]") {
  enroll(make_registration("a"));
  const auto held = claim_one();
  journal_request first;
  first.held = held;
  first.entries.push_back({1, effect_kind::step, "", "s", 1, "", 1, "1"});
  apply<journal_receipt>(first);
  apply<cancel_receipt>(cancel_request{"a", "why", false});
  CHECK(renew(held).size() == 1);
  journal_request heard;
  heard.held = held;
  heard.entries.push_back({2, effect_kind::cancel, "", "", 1, "", 2, "{\"reason\":\"why\"}"});
  apply<journal_receipt>(heard);
  CHECK(renew(held).empty());
  apply<cancel_receipt>(cancel_request{"a", "now", true});
  CHECK(renew(held).size() == 1);
}

TEST_CASE_METHOD(told_fixture,
                 "children: one that comes while its parent closes is waited for, too",
                 "[storage][children]") {
  enroll(make_registration("p"));
  const auto parent = claim_one();
  add_child("first", close_policy::await);
  CHECK(apply<completion>(complete_request{parent, make_success("1")}).status
        == completion_status::closing);
  add_child("late", close_policy::await);
  add_child("free", close_policy::abandon);
  auto held = claim(10);
  REQUIRE(held.size() == 3);
  const auto end = [&](const std::string& id) {
    for (const auto& one : held) {
      if (one.held.id == id) {
        apply<completion>(complete_request{one.held, make_success("1")});
      }
    }
  };
  end("first");
  CHECK(store->get("p")->state == process_state::waiting);
  end("free");
  CHECK(store->get("p")->state == process_state::waiting);
  check_store();
  end("late");
  CHECK(store->get("p")->state == process_state::finished);
  check_store();
}
