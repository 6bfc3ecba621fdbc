// The numbers of message types are part of the protocol: they may be added to, never moved.
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace {

/// What stands behind "CAF_ADD_ATOM(belay_messages, " or "CAF_ADD_TYPE_ID(...", in order.
std::vector<std::string> declared() {
  std::ifstream in{BELAY_SOURCE_DIR "/messages/type_ids.hpp"};
  std::vector<std::string> result;
  const std::string block = "(belay_messages, ";
  for (std::string line; std::getline(in, line);) {
    const auto begin = line.find(block);
    if (line.find("CAF_ADD_") != std::string::npos && begin != std::string::npos) {
      const auto from = begin + block.size();
      result.push_back(line.substr(from, line.rfind(')') - from));
    }
  }
  return result;
}

std::vector<std::string> released() {
  std::ifstream in{BELAY_SOURCE_DIR "/tests/messages/type_ids.txt"};
  std::vector<std::string> result;
  for (std::string line; std::getline(in, line);) {
    result.push_back(line);
  }
  return result;
}

} // namespace

TEST_CASE("type ids: the list of the last release is the beginning of today's", "[messages]") {
  const auto now = declared();
  const auto then = released();
  REQUIRE(then.size() > 100);
  REQUIRE(now.size() >= then.size());
  for (std::size_t i = 0; i < then.size(); ++i) {
    INFO("number " << i);
    CHECK(now[i] == then[i]);
  }
}

TEST_CASE("type ids: texts of atoms differ and travel unchanged", "[messages]") {
  std::set<std::string> texts;
  for (const auto& line : declared()) {
    const auto open = line.find('"');
    if (open == std::string::npos) {
      continue;
    }
    const auto text = line.substr(open + 1, line.rfind('"') - open - 1);
    INFO(text);
    CHECK(text.size() <= 10);
    // Any other character would become a blank, and two atoms one (CAF 0.17.6).
    CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
    CHECK(texts.insert(text).second);
  }
}
