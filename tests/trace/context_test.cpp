// Trace contexts: read, written, derived, sampled.
#include "actors/trace/context.hpp"

#include "messages/registration.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace belay;
using namespace belay::tracing;

namespace {

const std::string given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

} // namespace

TEST_CASE("trace context: read and written again it is the same", "[trace]") {
  const auto x = parse_traceparent(given);
  REQUIRE(x);
  CHECK(x->trace_id == "0af7651916cd43dd8448eb211c80319c");
  CHECK(x->span_id == "b7ad6b7169203331");
  CHECK(x->sampled);
  CHECK(to_traceparent(*x) == given);
}

TEST_CASE("trace context: only the last bit of the flags says sampled", "[trace]") {
  const auto base = given.substr(0, given.size() - 2);
  CHECK_FALSE(parse_traceparent(base + "00")->sampled);
  CHECK_FALSE(parse_traceparent(base + "02")->sampled);
  CHECK(parse_traceparent(base + "03")->sampled);
  CHECK(parse_traceparent(base + "ff")->sampled);
  CHECK_FALSE(parse_traceparent(base + "fe")->sampled);
  CHECK_FALSE(parse_traceparent(""));
}

TEST_CASE("trace context: of later versions what is known is read, and alone passed on",
          "[trace]") {
  const auto rest = given.substr(2);
  for (const auto& later : {"01" + rest, "fe" + rest + "-more.of=it", "cc" + rest + "-"}) {
    const auto x = parse_traceparent(later);
    REQUIRE(x);
    CHECK(to_traceparent(*x) == given);
    CHECK(as_version_00(later) == given);
  }
  CHECK(as_version_00(given) == given);
  CHECK(as_version_00("").empty());
  for (const auto& bad :
       {"ff" + rest, given + "-00", given + "0", "01" + rest + "x", "01" + rest + "- ",
        "01" + rest + "-" + std::string(512, 'a'), "0A" + rest, "01" + rest.substr(1)}) {
    CHECK_FALSE(parse_traceparent(bad));
  }
}

TEST_CASE("trace context: derived ids are the same everywhere and differ by all that they name",
          "[trace]") {
  const auto trace = derive_trace_id("a", row_id{1});
  CHECK(trace == derive_trace_id("a", row_id{1}));
  CHECK(trace == "be6e097c4b872b9d5eaac330a597d6a8"); // SHA-256 of "belay trace\n1\na".
  const std::set<std::string> traces{trace, derive_trace_id("a", row_id{2}),
                                     derive_trace_id("b", row_id{1})};
  CHECK(traces.size() == 3);
  const auto span = derive_span_id(trace, "a", fencing_token{1}, "run");
  CHECK(span == derive_span_id(trace, "a", fencing_token{1}, "run"));
  const std::set<std::string> spans{
    span, derive_span_id(trace, "a", fencing_token{2}, "run"),
    derive_span_id(trace, "a", fencing_token{1}, "claim"),
    derive_span_id(trace, "b", fencing_token{1}, "run"),
    derive_span_id(derive_trace_id("b", row_id{1}), "a", fencing_token{1}, "run")};
  CHECK(spans.size() == 5);
  CHECK(is_traceparent(to_traceparent({trace, span, true})));
}

TEST_CASE("trace context: the ratio keeps its part of the traces, and more with a larger one",
          "[trace]") {
  auto kept = 0;
  for (std::uint64_t i = 0; i < 4'000; ++i) {
    const auto trace = derive_trace_id("p", row_id{i});
    CHECK(is_sampled(trace, 1.0));
    CHECK_FALSE(is_sampled(trace, 0.0));
    if (is_sampled(trace, 0.25)) {
      ++kept;
      CHECK(is_sampled(trace, 0.5));
    }
  }
  // The ids are fixed, so the number is, too; 1,000 is meant.
  CHECK(kept > 900);
  CHECK(kept < 1'100);
  CHECK(is_sampled(std::string(18, 'f') + std::string(14, '0'), 0.001));
  CHECK_FALSE(is_sampled(std::string(18, '0') + std::string(14, 'f'), 0.999));
}
