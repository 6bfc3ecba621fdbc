// How spans are written.
#include "actors/trace/span.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace belay::tracing;

TEST_CASE("span: the OTLP JSON is this, to the letter", "[trace]") {
  span first;
  first.trace_id = "5b8efff798038103d269b633813fc60c";
  first.span_id = "eee19b7ec3c1b174";
  first.parent_id = "eee19b7ec3c1b173";
  first.name = "run";
  first.kind = span_kind::consumer;
  first.start_ns = 1'544'712'660'000'000'000;
  first.end_ns = 1'544'712'661'000'000'001;
  first.attributes
    = {{"belay.process.id", "p"}, {"belay.attempt", std::int64_t{2}}, {"belay.retried", true}};
  first.failed = true;
  first.message = "exit code 1";
  span second;
  second.trace_id = "5b8efff798038103d269b633813fc60c";
  second.span_id = "eee19b7ec3c1b175";
  second.name = "commit";
  second.start_ns = 1;
  second.end_ns = 2;
  second.links = {{"5b8efff798038103d269b633813fc60d", "eee19b7ec3c1b174"}};
  const std::vector<span> spans{first, second};
  CHECK(
    to_otlp_json({{"service.name", "belay"}}, spans)
    == R"({"resourceSpans":[{"resource":{"attributes":[)"
       R"({"key":"service.name","value":{"stringValue":"belay"}}]},"scopeSpans":[)"
       R"({"scope":{"name":"belay"},"spans":[)"
       R"({"attributes":[{"key":"belay.process.id","value":{"stringValue":"p"}},)"
       R"({"key":"belay.attempt","value":{"intValue":"2"}},)"
       R"({"key":"belay.retried","value":{"boolValue":true}}],)"
       R"("endTimeUnixNano":"1544712661000000001","kind":5,"name":"run",)"
       R"("parentSpanId":"eee19b7ec3c1b173","spanId":"eee19b7ec3c1b174",)"
       R"("startTimeUnixNano":"1544712660000000000",)"
       R"("status":{"code":2,"message":"exit code 1"},)"
       R"("traceId":"5b8efff798038103d269b633813fc60c"},)"
       R"({"attributes":[],"endTimeUnixNano":"2","kind":1,)"
       R"("links":[{"spanId":"eee19b7ec3c1b174","traceId":"5b8efff798038103d269b633813fc60d"}],)"
       R"("name":"commit","spanId":"eee19b7ec3c1b175","startTimeUnixNano":"1",)"
       R"("traceId":"5b8efff798038103d269b633813fc60c"}]}]}]})");
}

TEST_CASE("span: a line stays a line of JSON, whatever a message holds", "[trace]") {
  span x;
  x.failed = true;
  x.message = "two\nlines \xff \"quoted\"";
  const auto line = to_otlp_json({}, std::vector<span>{x});
  CHECK(line.find('\n') == std::string::npos);
  const auto text = nlohmann::json::parse(line);
  CHECK(text["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["status"]["message"]
        == "two\nlines \xef\xbf\xbd \"quoted\"");
}
