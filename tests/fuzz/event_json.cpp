// JSON of events and outcomes: what is accepted is bounded and survives writing and reading.
#include "messages/json_strict.hpp"
#include "messages/outcome.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <stdexcept>

using namespace belay;
using fuzz::expect;
using nlohmann::json;

namespace {

std::size_t depth_of(const json& x) {
  std::size_t deepest = 0;
  for (const auto& inner : x.is_structured() ? x : json::array()) {
    deepest = std::max(deepest, depth_of(inner));
  }
  return x.is_structured() ? deepest + 1 : 0;
}

void check_outcome(const json& text) {
  outcome x;
  try {
    x = outcome_from_json(text);
  } catch (const std::invalid_argument&) {
    return; // Refused.
  }
  const auto written = to_json_value(x);
  expect(outcome_from_json(written) == x, "an outcome is read as it was written", x.value);
  expect(!written.dump().empty(), "an outcome has a text");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  const auto parsed = parse_json_strict(text);
  if (!parsed) {
    fuzz::expect_printable(parsed.why().text);
    return 0;
  }
  expect(json::accept(text), "what is accepted is JSON", text);
  expect(depth_of(*parsed) <= json_depth_max, "what is accepted has a bounded depth", text);
  const auto written = parsed->dump();
  const auto again = parse_json_strict(written);
  expect(static_cast<bool>(again), "what was written is accepted", written);
  expect(again->dump() == written, "what was written is stable", written);
  fuzz::expect_printable(shortened(*parsed));
  expect(shortened(*parsed).size() <= 80, "a shortened text is short");
  check_outcome(*parsed);
  return 0;
}
