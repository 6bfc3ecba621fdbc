// Which alarm is next, and what an end takes along.
#include "actors/worker/alarms.hpp"

#include <catch2/catch.hpp>

using namespace belay::actors;
using namespace std::chrono_literals;

TEST_CASE("alarms: come in the order of their times, each once", "[actors][alarms]") {
  const alarms::time_point now{1h};
  alarms x;
  CHECK_FALSE(x.next());
  CHECK_FALSE(x.take_due(now));
  x.set(now + 2s, {7, false, 1});
  x.set(now + 1s, {7, true, 2});
  x.set(now + 1s, {8, false, 3});
  CHECK(x.next() == now + 1s);
  CHECK_FALSE(x.take_due(now));
  CHECK(x.take_due(now + 1s)->tag == 2);
  CHECK(x.take_due(now + 1s)->tag == 3);
  CHECK_FALSE(x.take_due(now + 1s));
  const auto last = x.take_due(now + 1h);
  REQUIRE(last);
  CHECK(last->slot == 7);
  CHECK_FALSE(last->keeper);
  CHECK(x.size() == 0);
}

TEST_CASE("alarms: a slot that ends takes its own along and no others", "[actors][alarms]") {
  const alarms::time_point now{1h};
  alarms x;
  for (std::uint64_t slot = 1; slot <= 3; ++slot) {
    x.set(now + std::chrono::seconds{slot}, {slot, false, 1});
    x.set(now + 1min, {slot, true, 2});
  }
  REQUIRE(x.take_due(now + 1s)->slot == 1); // Only one of its two is left to forget.
  x.forget(1);
  x.forget(2);
  x.forget(9);
  CHECK(x.size() == 2);
  CHECK(x.next() == now + 3s);
  x.clear();
  x.forget(3);
  CHECK(x.size() == 0);
  CHECK_FALSE(x.next());
}
