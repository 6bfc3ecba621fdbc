#include "messages/registration.hpp"

#include "messages/json_strict.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

using namespace belay;

namespace {

checked<registration> parse(const std::string& text) {
  auto json = parse_json_strict(text);
  if (!json) {
    return json.why();
  }
  return parse_registration(*json, recovery_rule::rerunnable);
}

} // namespace

TEST_CASE("registration: the example of the README reads as it is written", "[messages]") {
  const auto x = parse(R"({"id": "nightly-7", "input": {"type": "tool_call", "tool": "exec",
    "args": {"argv": ["tar", "czf", "x"]}}, "queue": "default", "priority": 0,
    "due": "2026-12-01T03:00:00Z", "timeout_ms": 30000, "retry": {"attempts": 5,
    "backoff_ms": 1000, "factor": 2, "backoff_max_ms": 60000}, "rule": "rerunnable",
    "labels": {"team": "x"}})");
  REQUIRE(x);
  CHECK(x->id == "nightly-7");
  CHECK(x->kind == "exec");
  CHECK(x->due_at == 1'796'094'000'000);
  CHECK(x->timeout_ms == 30'000);
  CHECK(x->retry == retry_policy{5, 1'000, 2'000, 60'000});
  CHECK(x->labels.at("team") == "x");
}

TEST_CASE("registration: canonical text and hash are pinned", "[messages][golden][s5-203]") {
  const auto x = parse(R"({"id": "a", "input": {"type": "tool_call", "tool": "echo", "args":
    {"b": 1, "a": [true, null, 1.5, "ä"]}}})");
  REQUIRE(x);
  CHECK(
    canonical_text(*x)
    == R"({"id":"a","input":{"args":{"a":[true,null,1.5,"ä"],"b":1},"tool":"echo",)"
       R"("type":"tool_call"},"labels":{},"priority":0,"queue":"default","retry":{"attempts":1,)"
       R"("backoff_max_ms":60000,"backoff_ms":1000,"factor":2},"rule":"rerunnable",)"
       R"("timeout_ms":0})");
  // SHA-256 of "abc", FIPS 180-2 appendix B.1.
  CHECK(hash_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(canonical_text(registration_from_canonical(canonical_text(*x))) == canonical_text(*x));
}

TEST_CASE("registration: any acceptable one survives writing and reading", "[messages]") {
  std::mt19937 random{7};
  const auto number = [&random](int low, int high) {
    return std::uniform_int_distribution<>{low, high}(random);
  };
  for (int i = 0; i < 500; ++i) {
    registration x;
    x.id = "id-" + std::to_string(number(0, 1'000'000)) + (number(0, 1) == 0 ? "ü" : "");
    x.kind = "echo";
    x.input
      = nlohmann::json{{"type", "tool_call"}, {"tool", "echo"}, {"args", {{"n", number(0, 9)}}}}
          .dump();
    x.queue = "q" + std::to_string(number(0, 9));
    x.priority = number(-1'000, 1'000);
    x.due_at = number(0, 1) == 0 ? 0 : 1'700'000'000'000 + number(0, 1'000'000);
    x.timeout_ms = number(0, 1'000'000);
    x.retry = {static_cast<std::uint32_t>(number(1, 1'000)), number(0, 10'000),
               static_cast<std::uint32_t>(number(1'000, 100'000)), number(0, 100'000)};
    x.rule = number(0, 1) == 0 ? recovery_rule::rerunnable : recovery_rule::owner_bound;
    x.labels["k" + std::to_string(number(0, 9))] = "v";
    REQUIRE_FALSE(validate(x));
    CHECK(registration_from_canonical(canonical_text(x)) == x);
  }
}

TEST_CASE("registration: what came over the wire is checked again", "[messages]") {
  auto x = *parse(R"({"id": "a", "input": {"type": "tool_call", "tool": "echo"}})");
  const auto refused = [](const registration& bad) {
    const auto no = validate(bad);
    return no ? no->text : std::string{};
  };
  CHECK(refused(x).empty());
  auto bad = x;
  bad.kind = "exec";
  CHECK(refused(bad).find("input") == 0);
  bad = x;
  bad.input = R"({"type": "tool_call", "tool": "echo", "args": {}})";
  CHECK(refused(bad).find("canonical") != std::string::npos);
  bad = x;
  bad.rule = recovery_rule{};
  CHECK(refused(bad).find("rule") == 0);
  bad = x;
  bad.retry.attempts = 0;
  CHECK(refused(bad).find("retry.attempts: 0") == 0);
  bad = x;
  bad.due_at = -1;
  CHECK(refused(bad).find("due") == 0);
  bad = x;
  bad.queue = "";
  CHECK(refused(bad).find("queue") == 0);
  bad = x;
  bad.id.clear();
  CHECK(refused(bad).find("id: a blank id") == 0);
}

TEST_CASE("registration: without a default the rule has to be said", "[messages]") {
  const auto text
    = nlohmann::json::parse(R"({"id": "a", "input": {"type": "tool_call", "tool": "echo"}})");
  const auto x = parse_registration(text, std::nullopt);
  REQUIRE_FALSE(x);
  CHECK(x.why().text.find("rule: missing") == 0);
}

TEST_CASE("registration: a longer pause than the usual longest is its own longest", "[messages]") {
  const auto read = [](const char* retry) {
    const nlohmann::json text{{"input", {{"type", "tool_call"}, {"tool", "echo"}}},
                              {"retry", nlohmann::json::parse(retry)}};
    const auto x = parse_registration(text, recovery_rule::rerunnable);
    REQUIRE(x);
    return x->retry.backoff_max_ms;
  };
  CHECK(read(R"({"backoff_ms": 1000})") == 60'000);
  CHECK(read(R"({"backoff_ms": 3600000})") == 3'600'000);
  CHECK(read(R"({"backoff_ms": 3600000, "backoff_max_ms": 5000})") == 5'000);
}

TEST_CASE("registration: what is not said leaves no trace in the hash, any other word does",
          "[messages][s5-207][s5-208][s5-136]") {
  const nlohmann::json plain{{"id", "a"}, {"input", {{"type", "tool_call"}, {"tool", "t"}}}};
  const auto hash = [](const nlohmann::json& text) {
    const auto x = parse_registration(text, recovery_rule::rerunnable);
    REQUIRE(x);
    return hash_hex(canonical_text(*x));
  };
  auto same = plain;
  same["attempts_max"] = 0;
  same["events"] = nlohmann::json::array();
  same["observers"] = nlohmann::json::array();
  same["origin"] = {{"by", "host"}};
  same["label"] = "";
  CHECK(hash(same) == hash(plain));
  std::set<std::string> hashes{hash(plain)};
  const std::vector<nlohmann::json> changes{
    {{"attempts_max", 1}},
    {{"events", {{{"type", "step"}}}}},
    {{"parent", {{"id", "p"}}}},
    {{"parent", {{"id", "p"}, {"close", "await"}}}},
    {{"wake", "s"}},
    {{"observers", {"s"}}},
    {{"origin", {{"by", "s"}}}},
    {{"origin", {{"cause", {{"n", 1}}}}}},
    {{"label", "l"}},
    {{"definition", "d"}},
    {{"events", {{{"type", "step"}, {"schema", false}}}}},
    {{"events", {{{"type", "step"}, {"wake", nlohmann::json::object()}}}}}};
  for (const auto& change : changes) {
    auto text = plain;
    text.update(change);
    CHECK(hashes.insert(hash(text)).second);
    const auto x = parse_registration(text, recovery_rule::rerunnable);
    CHECK(registration_from_canonical(canonical_text(*x)) == *x);
    text["unknown"] = 1;
    CHECK_FALSE(parse_registration(text, recovery_rule::rerunnable));
  }
}

TEST_CASE("registration: a schema that is none is refused, and so is a regular expression",
          "[messages]") {
  for (const auto* schema :
       {R"({"type": "objelt"})", R"({"required": 5})", "5", R"({"$ref": "http://x/y"})",
        R"({"properties": {"a": {"pattern": "(a|b)*c"}}})", R"({"patternProperties": {}})"}) {
    nlohmann::json text{{"id", "a"}, {"input", {{"type", "tool_call"}, {"tool", "t"}}}};
    text["events"] = {{{"type", "step"}, {"schema", nlohmann::json::parse(schema)}}};
    INFO(schema);
    const auto x = parse_registration(text, recovery_rule::rerunnable);
    REQUIRE_FALSE(x);
    CHECK(x.why().text.find("events[0].schema") != std::string::npos);
  }
  // A property may have that name.
  nlohmann::json text{{"id", "a"}, {"input", {{"type", "tool_call"}, {"tool", "t"}}}};
  text["events"]
    = {{{"type", "step"}, {"schema", {{"properties", {{"pattern", {{"type", "string"}}}}}}}}};
  CHECK(parse_registration(text, recovery_rule::rerunnable));
}

TEST_CASE("registration: a workflow is read, its kind is name and version", "[messages]") {
  const auto x = parse(R"({"id": "a", "input": {"type": "workflow", "workflow": "album",
    "version": 2, "args": [1]}})");
  REQUIRE(x);
  CHECK(x->kind == "album@2");
  CHECK(x->kind == workflow_kind("album", 2));
  CHECK(x->input == R"({"args":[1],"type":"workflow","version":2,"workflow":"album"})");
  CHECK(registration_from_canonical(canonical_text(*x)) == *x);
  const auto plain = parse(R"({"id": "a", "input": {"type": "workflow", "workflow": "album"}})");
  REQUIRE(plain);
  CHECK(plain->kind == "album@1");
  CHECK(plain->input == R"({"args":{},"type":"workflow","version":1,"workflow":"album"})");
  CHECK(hash_hex(canonical_text(*plain))
        == hash_hex(canonical_text(*parse(R"({"id": "a", "input": {"type": "workflow",
             "workflow": "album", "version": 1, "args": {}}})"))));
  CHECK(hash_hex(canonical_text(*plain)) != hash_hex(canonical_text(*x)));
}

TEST_CASE("registration: canonical text and hash of a workflow are pinned", "[messages][golden]") {
  const auto x = parse(R"({"id": "a", "input": {"type": "workflow", "workflow": "album"}})");
  REQUIRE(x);
  const auto text = canonical_text(*x);
  CHECK(text
        == R"({"id":"a","input":{"args":{},"type":"workflow","version":1,"workflow":"album"},)"
           R"("labels":{},"priority":0,"queue":"default","retry":{"attempts":1,)"
           R"("backoff_max_ms":60000,"backoff_ms":1000,"factor":2},"rule":"rerunnable",)"
           R"("timeout_ms":0})");
  CHECK(hash_hex(text) == "40253eb8ae701ef98a3bd2808f78a1533828028ea4388364ba1288770915b3be");
}

TEST_CASE("registration: a workflow with a bad name, version or key is refused", "[messages]") {
  for (const auto& [input, expected] : std::vector<std::pair<const char*, const char*>>{
         {R"({"type":"workflow"})", "input.workflow"},
         {R"({"type":"workflow","workflow":7})", "input.workflow"},
         {R"({"type":"workflow","workflow":""})", "input.workflow"},
         {R"({"type":"workflow","workflow":"a b"})", "input.workflow"},
         {R"({"type":"workflow","workflow":"a@1"})", "input.workflow"},
         {R"({"type":"workflow","workflow":"a","version":0})", "input"},
         {R"({"type":"workflow","workflow":"a","version":-1})", "input.version"},
         {R"({"type":"workflow","workflow":"a","version":1.5})", "input.version"},
         {R"({"type":"workflow","workflow":"a","version":"1"})", "input.version"},
         {R"({"type":"workflow","workflow":"a","version":4294967296})", "input.version"},
         {R"({"type":"workflow","workflow":"a","tool":"b"})", "tool"},
         {R"({"type":"tool_call","tool":"a@1"})", "input.tool"},
         {R"({"type":"engine"})", "input.type"}}) {
    INFO(input);
    const auto x = parse(R"({"id": "a", "input": )" + std::string{input} + "}");
    REQUIRE_FALSE(x);
    CHECK(x.why().text.find(expected) != std::string::npos);
  }
  auto wire = *parse(R"({"id": "a", "input": {"type": "workflow", "workflow": "album"}})");
  CHECK_FALSE(validate(wire));
  for (const auto* kind : {"album@2", "album", "album@", "other@1"}) {
    auto bad = wire;
    bad.kind = kind;
    CHECK(validate(bad));
  }
  wire.rule = recovery_rule::externally_owned;
  CHECK(validate(wire)->text.find("rule") == 0);
}
