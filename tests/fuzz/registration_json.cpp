// Registrations as users write them: an accepted one survives its canonical text, a refused one is
// explained.
#include "messages/json_strict.hpp"
#include "messages/registration.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <stdexcept>

using namespace belay;
using fuzz::expect;

namespace {

void check_accepted(registration x) {
  if (x.id.empty()) {
    x.id = "made";
  }
  const auto text = canonical_text(x);
  const auto back = registration_from_canonical(text);
  expect(back == x, "the canonical text is read as it was written", text);
  expect(canonical_text(back) == text, "the canonical text is stable", text);
  expect(hash_hex(canonical_text(back)) == hash_hex(text), "the hash is stable", text);
}

void check_fresh(registration x) {
  if (x.id.empty()) {
    x.id = "made";
  }
  expect(!validate(x), "what was read is valid", x.input);
  check_accepted(std::move(x));
}

void check_stored(std::string_view text) {
  try {
    check_accepted(registration_from_canonical(text));
  } catch (const std::invalid_argument&) {
    return; // Refused.
  }
}

void check_parsed(const nlohmann::json& text, std::optional<recovery_rule> rule,
                  const registration_limits& limits) {
  const auto x = parse_registration(text, rule, limits);
  if (x) {
    check_fresh(*x);
  } else {
    fuzz::expect_printable(x.why().text);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  check_stored(text);
  const auto parsed = parse_json_strict(text);
  if (!parsed) {
    fuzz::expect_printable(parsed.why().text);
    return 0;
  }
  check_parsed(*parsed, recovery_rule::rerunnable, {});
  check_parsed(*parsed, std::nullopt, {});
  registration_limits small;
  small.id_bytes_max = 1;
  small.name_bytes_max = 4;
  small.input_bytes_max = 64;
  small.labels_max = 1;
  small.label_bytes_max = 2;
  check_parsed(*parsed, recovery_rule::rerunnable, small);
  return 0;
}
