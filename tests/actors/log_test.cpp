// The log: which events are shown, and what a line looks like.
#include "actors/log.hpp"

#include "tests/support/captured_log.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>
#include <vector>

using namespace belay;
using tests::captured_log;

TEST_CASE("log: a file gets one JSON object a line with time, level, names, message and fields",
          "[log]") {
  const captured_log out{{}};
  log::info("sweeper", "worker.enlisted",
            {{"owner", "local"},
             {"row", std::uint64_t{18'446'744'073'709'551'615U}},
             {"offset", -3},
             {"again", true}},
            "a worker is here");
  const auto lines = out.lines();
  REQUIRE(lines.size() == 1);
  const auto line = nlohmann::json::parse(lines[0]);
  CHECK(std::regex_match(line.at("time").get<std::string>(),
                         std::regex{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"}));
  CHECK(line.at("level") == "info");
  CHECK(line.at("component") == "sweeper");
  CHECK(line.at("event") == "worker.enlisted");
  CHECK(line.at("message") == "a worker is here");
  CHECK(line.at("owner") == "local");
  CHECK(line.at("row") == 18'446'744'073'709'551'615U);
  CHECK(line.at("offset") == -3);
  CHECK(line.at("again") == true);
  CHECK(line.size() == 9);
}

TEST_CASE("log: newlines, control characters and broken UTF-8 cannot break a JSON line", "[log]") {
  const captured_log out{{.format = log::line_format::json}};
  log::error("exec", "exec.failed", {{"what", "two\nlines\x1b[31m\xff"}}, "text\r\nand more");
  const auto lines = out.lines();
  REQUIRE(lines.size() == 1);
  const auto line = nlohmann::json::parse(lines[0]);
  CHECK(line.at("what") == "two\nlines\x1b[31m\xef\xbf\xbd");
  CHECK(line.at("message") == "text\r\nand more");
  CHECK(lines[0].find('\x1b') == std::string::npos);
}

TEST_CASE("log: a field cannot stand in for a key of the line itself", "[log]") {
  const captured_log out{{.format = log::line_format::json}};
  log::warn("node", "node.odd", {{"level", "forged"}, {"time", 0}}, "odd");
  const auto line = nlohmann::json::parse(out.lines().at(0));
  CHECK(line.at("level") == "warn");
  CHECK(line.at("level_") == "forged");
  CHECK(line.at("time_") == 0);
}

TEST_CASE("log: the human format is one plain line with quoted values where needed", "[log]") {
  const captured_log out{{.format = log::line_format::human}};
  log::warn(
    "keeper", "lease.lost",
    {{"process", "order-7"}, {"why", "a \"b\"\nc\x1b[0m\xc2\x9b"}, {"row", 12U}, {"empty", ""}},
    "stopping\nnow");
  const auto lines = out.lines();
  REQUIRE(lines.size() == 1);
  const auto text = lines[0].substr(lines[0].find(' ') + 1);
  CHECK(text
        == R"(warn  keeper lease.lost: stopping\nnow process=order-7 why="a \"b\"\nc\x1b[0m\x9b")"
           R"( row=12 empty="")");
}

TEST_CASE("log: events below the level are dropped, and a component can have a level of its own",
          "[log]") {
  const captured_log out{
    {.format = log::line_format::json,
     .level_min = log::level::warn,
     .levels = {{"registry", log::level::trace}, {"node", log::level::error}}}};
  log::info("watcher", "a", {}, "dropped");
  log::warn("watcher", "b", {}, "shown");
  log::trace("registry", "c", {}, "shown");
  log::warn("node", "d", {}, "dropped");
  log::error("node", "e", {}, "shown");
  log::info("of an embedding program", "f", {}, "dropped");
  std::string events;
  for (const auto& line : out.lines()) {
    events += nlohmann::json::parse(line).at("event").get<std::string>();
  }
  CHECK(events == "bce");
  CHECK(log::enabled("registry", log::level::trace));
  CHECK_FALSE(log::enabled("watcher", log::level::info));
}

TEST_CASE("log: a level for a component that there is not is refused", "[log]") {
  CHECK_THROWS_AS(log::init({.levels = {{"sweper", log::level::info}}}), std::invalid_argument);
}

TEST_CASE("log: level names read back", "[log]") {
  for (const auto* name : {"trace", "debug", "info", "warn", "error"}) {
    REQUIRE(log::level_from(name));
    CHECK(log::to_string(*log::level_from(name)) == name);
  }
  CHECK_FALSE(log::level_from("warning"));
}

TEST_CASE("log: lines of many threads stay whole", "[log]") {
  constexpr int threads = 4;
  constexpr int each = 250;
  const captured_log out{{.format = log::line_format::json}};
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < threads; ++i) {
      writers.emplace_back([i] {
        for (int j = 0; j < each; ++j) {
          log::info("process", "process.run", {{"thread", i}, {"number", j}}, "a line");
        }
      });
    }
  }
  const auto lines = out.lines();
  CHECK(lines.size() == threads * each);
  for (const auto& line : lines) {
    CHECK(nlohmann::json::accept(line));
  }
}
