// A peer's stream at a gate: what passes is what was sent, however it was cut. The first byte says
// who speaks (even: a client) and into which pieces the stream is cut.
#include "actors/gate/basp_frame.hpp"

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

using namespace belay;
using fuzz::expect;

namespace {

struct verdict {
  std::string passed;
  std::string why;
  std::optional<gates::node_key> announced;
};

verdict run(const gates::frame_rules& rules, std::string_view stream, std::size_t step) {
  gates::frame_reader reader{rules};
  verdict result;
  std::size_t taken = 0;
  while (taken < stream.size() && result.why.empty()) {
    const auto piece = stream.substr(taken, step);
    taken += piece.size();
    if (auto no = reader.read(piece, result.passed)) {
      fuzz::expect_printable(*no);
      result.why = std::move(*no);
    }
    expect(reader.held_bytes() <= gates::header_bytes + gates::frame_reader::inspected_max,
           "little is held back");
    expect(result.passed.empty() || reader.announced(), "nothing passes before the handshake");
  }
  expect(stream.starts_with(result.passed), "what passes is what was sent");
  if (result.why.empty()) {
    expect(result.passed.size() + reader.held_bytes() == stream.size(), "nothing is lost");
  }
  result.announced = reader.announced();
  expect(!result.announced || *result.announced != rules.own, "nobody has our node id");
  return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto is_client = data[0] % 2 == 0;
  gates::frame_rules rules;
  rules.from = is_client ? gates::speaker::client : gates::speaker::server;
  rules.own.host.fill(is_client ? 0x11 : 0x22); // As in the captures.
  rules.own.os_pid = is_client ? 1 : 2;
  rules.message_max = 65'536;
  const auto stream = fuzz::text_of(data + 1, size - 1);
  const auto step = std::max<std::size_t>(1, data[0] / 2);
  const auto whole = run(rules, stream, std::max<std::size_t>(1, stream.size()));
  const auto pieces = run(rules, stream, step);
  expect(whole.why == pieces.why, "the verdict does not hang on how a stream is cut", whole.why);
  expect(whole.passed == pieces.passed, "nor does what passes");
  return 0;
}
