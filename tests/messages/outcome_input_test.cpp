// Outcomes as people write them.
#include "messages/outcome_input.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace belay;
using nlohmann::json;

TEST_CASE("outcome input: what is left out has a default", "[messages][outcome]") {
  const auto plain = parse_outcome({{"type", "success"}});
  REQUIRE(plain);
  CHECK(*plain == make_success("null"));
  CHECK(parse_outcome({{"type", "success"}, {"value", {{"n", 3}}}})->value == R"({"n":3})");
  CHECK(parse_outcome({{"type", "cancelled"}, {"message", "no"}})->message == "no");
  CHECK(parse_outcome({{"type", "abandoned"}})->kind == outcome_kind::abandoned);
  const auto failed = parse_outcome({{"type", "failure"}});
  REQUIRE(failed);
  CHECK(*failed == make_failure(failure_class::external, "failed", "", false));
  CHECK(*parse_outcome({{"type", "failure"},
                        {"class", "timeout"},
                        {"code", "late"},
                        {"message", "too late"},
                        {"retryable", true},
                        {"value", 5}})
        == make_failure(failure_class::timeout, "late", "too late", true, "5"));
}

TEST_CASE("outcome input: nonsense is refused by name", "[messages][outcome]") {
  const std::vector<std::pair<json, std::string>> cases{
    {json::array(), "outcome: [] is not acceptable, expected an object"},
    {json::object(), "type: missing"},
    {{{"type", 5}}, "type: 5"},
    {{{"type", "sucess"}}, "type: \"sucess\""},
    {{{"type", "success"}, {"vlaue", 1}}, "unknown key \"vlaue\"; did you mean 'value'?"},
    {{{"type", "success"}, {"code", "x"}}, "code: only a failure has one"},
    {{{"type", "success"}, {"message", 5}}, "message: 5 is not acceptable, expected a text"},
    {{{"type", "failure"}, {"class", "none"}}, "class: \"none\""},
    {{{"type", "failure"}, {"class", 5}}, "class: 5"},
    {{{"type", "failure"}, {"code", nullptr}}, "code: null"},
    {{{"type", "failure"}, {"retryable", "yes"}}, "retryable: \"yes\""},
  };
  for (const auto& [text, says] : cases) {
    const auto got = parse_outcome(text);
    REQUIRE_FALSE(got);
    CHECK(got.why().code == ec::bad_request);
    INFO(got.why().text);
    CHECK(got.why().text.find(says) != std::string::npos);
  }
}
