// Schemas: what may be handed in, what is harmless, and that no check ends in an exception.
#include "messages/schema.hpp"

#include "messages/json_strict.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace belay;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

/// `{"not": {"not": ... {}}}`, so many objects in all.
json nested(std::size_t levels) {
  auto x = json::object();
  for (std::size_t i = 1; i < levels; ++i) {
    x = json{{"not", std::move(x)}};
  }
  return x;
}

} // namespace

TEST_CASE("schema: a word that could end or hold up the node is refused by its place",
          "[messages][schema]") {
  const std::vector<std::pair<const char*, const char*>> refused{
    {R"({"$ref": "#"})", R"($ref at "/$ref")"},
    {R"({"allOf": [{"$ref": "#"}]})", R"($ref at "/allOf/0/$ref")"},
    {R"({"definitions": {"a": {"$ref": "#/definitions/a"}}})", R"("/definitions/a/$ref")"},
    {R"({"dependencies": {"a": {"$ref": "#"}}})", R"("/dependencies/a/$ref")"},
    {R"({"format": "date"})", R"(format at "/format")"},
    {R"({"properties": {"a/b": {"format": "date"}}})", R"("/properties/a~1b/format")"},
    {R"({"properties": {"properties": {"format": "date"}}})", R"("/properties/properties/format")"},
    {R"({"items": [true, {"format": "time"}]})", R"("/items/1/format")"},
    {R"({"additionalProperties": {"format": "x"}})", R"("/additionalProperties/format")"},
    {R"({"if": {"not": {"pattern": "a"}}})", R"(pattern at "/if/not/pattern")"},
    {R"({"patternProperties": {}})", R"(patternProperties at "/patternProperties")"},
    {R"({"multipleOf": 0})", R"(multipleOf at "/multipleOf" (0))"},
    {R"({"contains": {"multipleOf": 0.0}})", R"(multipleOf at "/contains/multipleOf" (0.0))"},
    {R"({"multipleOf": -1})", "expected a number above 0"},
    {R"({"multipleOf": -0.5})", "expected a number above 0"},
    {R"({"multipleOf": "2"})", "expected a number above 0"},
    {R"({"multipleOf": null})", "expected a number above 0"},
    {R"({"multipleOf": 18446744073709551615})", "expected a number above 0"},
    {R"({"type": "objelt"})", "expected a JSON schema of draft 7"},
    {"5", "expected a JSON schema of draft 7"},
  };
  for (const auto& [text, part] : refused) {
    INFO(text);
    const auto no = validate_schema("events[0].schema", json::parse(text));
    REQUIRE(no);
    CHECK(no->code == ec::bad_request);
    CHECK(no->text.find("events[0].schema: ") == 0);
    CHECK_THAT(no->text, Contains(part));
  }
  CHECK_THAT(validate_schema("x", json{{"format", "date"}})->text,
             Contains("expected a schema without $ref, format, pattern and patternProperties"));
}

TEST_CASE("schema: properties may have the names of words, and values any content",
          "[messages][schema]") {
  for (const auto* text :
       {R"({"properties": {"format": {}, "$ref": {}, "pattern": {}, "multipleOf": {}}})",
        R"({"const": {"format": "png", "multipleOf": 0}})", R"({"enum": [{"$ref": "#"}]})",
        R"({"default": {"pattern": 1}, "examples": [{"format": 1}]})",
        R"({"required": ["format", "$ref"]})", R"({"dependencies": {"format": ["pattern"]}})",
        R"({"multipleOf": 3})", R"({"multipleOf": 0.5})", "true", "false"}) {
    INFO(text);
    CHECK_FALSE(validate_schema("x", json::parse(text)));
  }
  const json_schema named{json::parse(R"({"properties": {"$ref": {"multipleOf": 3}}})")};
  CHECK_FALSE(named.check("x", json{{"$ref", 9}}));
  CHECK(named.check("x", json{{"$ref", 10}})->text.find("x/$ref: 10") == 0);
}

TEST_CASE("schema: its depth has a bound", "[messages][schema]") {
  CHECK_FALSE(validate_schema("x", nested(json_depth_max)));
  CHECK_THAT(validate_schema("x", nested(json_depth_max + 1))->text,
             Contains("nested deeper") && Contains("64 levels at most"));
  CHECK_THROWS_AS(json_schema{nested(json_depth_max + 1)}, std::invalid_argument);
}

TEST_CASE("schema: a program's own is checked for what cannot be survived", "[messages][schema]") {
  for (const auto* text :
       {R"({"$ref": "#"})", R"({"properties": {"a": {"$ref": "#"}}})", R"({"multipleOf": 0})"}) {
    INFO(text);
    CHECK_THROWS_AS(json_schema{json::parse(text)}, std::invalid_argument);
  }
}

TEST_CASE("schema: a format says something to readers only", "[messages][schema]") {
  const json_schema schema{json::parse(
    R"({"format": "date", "properties": {"format": {"format": "date-time", "type": "string"}}})")};
  for (const auto& value : {json::array(), json::object(), json(5), json(nullptr), json("no date"),
                            json(std::string(1U << 20U, '1')), json{{"format", "no time"}}}) {
    CHECK_FALSE(schema.check("args", value));
  }
  CHECK(schema.check("args", json{{"format", 5}})->text.find("args/format: 5") == 0);
}

TEST_CASE("schema: what fails while it is checked is a refusal", "[messages][schema]") {
  const json_schema schema{json{{"pattern", "("}}};
  const auto no = schema.check("args", "text");
  REQUIRE(no);
  CHECK(no->code == ec::bad_request);
  CHECK(no->text.find("args: \"text\" cannot be checked against its schema: ") == 0);
}
