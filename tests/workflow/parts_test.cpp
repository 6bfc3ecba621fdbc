// What a workflow leaves behind, cut into messages.
#include "actors/worker/journal_parts.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace belay;
using actors::parts_of;

namespace {

constexpr std::size_t mib = 1U << 20;

journal_entry entry(std::uint64_t number, effect_kind kind, std::size_t bytes) {
  journal_entry x;
  x.number = number;
  x.kind = kind;
  x.name = "e" + std::to_string(number);
  x.result = std::string(bytes, '1');
  return x;
}

} // namespace

TEST_CASE("journal parts: what fits goes in one message", "[workflow]") {
  CHECK(parts_of({}, mib).size() == 1);
  journal_request all;
  all.held.id = "w";
  all.entries = {entry(1, effect_kind::now, 10), entry(2, effect_kind::emit, 10)};
  all.events = {{2, "said", "{}"}};
  all.attachments = {{"sha256:a", "a", "bytes"}};
  all.children.resize(2);
  all.status = "1";
  const auto parts = parts_of(all, mib);
  REQUIRE(parts.size() == 1);
  const auto& one = parts.front();
  CHECK(one.held.id == "w");
  CHECK(one.entries == all.entries);
  CHECK(one.events.size() == 1);
  CHECK(one.attachments.size() == 1);
  CHECK(one.children.size() == 2);
  CHECK(one.status == "1");
}

TEST_CASE("journal parts: children and attachments come first, entries keep their order and events",
          "[workflow]") {
  journal_request all;
  all.held.id = "w";
  for (int i = 0; i < 3; ++i) {
    all.attachments.push_back({"sha256:" + std::to_string(i), "a", std::string(2 * mib, 'x')});
  }
  all.children.resize(1);
  for (std::uint64_t number : {3, 4, 5, 6}) {
    all.entries.push_back(entry(number, effect_kind::emit, mib / 2));
    if (number != 4) {
      all.events.push_back({number, "said", "\"" + std::to_string(number) + "\""});
    }
  }
  all.status = "\"done\"";
  const auto parts = parts_of(all, mib);
  CHECK(parts.size() == 8);
  std::vector<std::uint64_t> numbers;
  auto attachments = 0;
  for (const auto& part : parts) {
    CHECK(part.held.id == "w");
    std::size_t bytes = part.status.size();
    for (const auto& x : part.attachments) {
      CHECK(numbers.empty());
      bytes += x.bytes.size();
      ++attachments;
    }
    for (const auto& x : part.entries) {
      bytes += x.result.size();
      numbers.push_back(x.number);
      const auto said = std::count_if(part.events.begin(), part.events.end(),
                                      [&x](const auto& event) { return event.entry == x.number; });
      CHECK(said == (x.number == 4 ? 0 : 1));
    }
    CHECK(bytes <= 2 * mib);
  }
  CHECK(parts.front().children.size() == 1);
  CHECK(attachments == 3);
  CHECK(numbers == std::vector<std::uint64_t>{3, 4, 5, 6});
  CHECK(parts.back().status == "\"done\"");
}
