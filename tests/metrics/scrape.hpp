// Asks a node of its metrics over HTTP, with curl, and reads what it says.
#pragma once

#include "tests/support/program.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace belay::tests {

struct http_answer {
  /// 0: nobody answers.
  int status = 0;
  std::string body;
};

/// `more`: further arguments of curl.
inline http_answer fetch(const std::string& address, const std::string& path,
                         const std::vector<std::string>& more = {}) {
  std::vector<std::string> argv{"curl", "-s", "-g", "-m", "60", "-w", "\n%{http_code}"};
  argv.insert(argv.end(), more.begin(), more.end());
  argv.push_back("http://" + address + path);
  const auto got = run_program(argv);
  REQUIRE(got.code != 127); // There is a curl.
  const auto line = got.out.rfind('\n');
  REQUIRE(line != std::string::npos);
  return {std::stoi(got.out.substr(line + 1)), got.out.substr(0, line)};
}

/// Every series of a scrape with its value, as in `belay_x{kind="exec"}`.
class scrape {
public:
  explicit scrape(const std::string& address) : text_{fetch(address, "/metrics").body} {
    std::istringstream lines{text_};
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("# TYPE ", 0) == 0) {
        std::istringstream words{line.substr(7)};
        std::string name;
        words >> name >> types_[name];
      } else if (!line.empty() && line[0] != '#') {
        const auto space = line.rfind(' ');
        values_[line.substr(0, space)] = std::stod(line.substr(space + 1));
      }
    }
  }

  /// The value of a series; it must be there.
  [[nodiscard]] double at(const std::string& series) const {
    INFO(series);
    REQUIRE(values_.count(series) == 1);
    return values_.at(series);
  }

  /// The sum of all series of a metric.
  [[nodiscard]] double sum(const std::string& metric) const {
    double result = 0;
    for (const auto& [series, value] : values_) {
      result += series == metric || series.rfind(metric + "{", 0) == 0 ? value : 0;
    }
    return result;
  }

  [[nodiscard]] const std::string& text() const {
    return text_;
  }

  [[nodiscard]] const std::map<std::string, double>& values() const {
    return values_;
  }

  /// Types by name.
  [[nodiscard]] const std::map<std::string, std::string>& types() const {
    return types_;
  }

private:
  std::string text_;
  std::map<std::string, double> values_;
  std::map<std::string, std::string> types_;
};

/// Where a node tells its metrics, from its node.json; waits until it is there.
inline std::string metrics_of(const node_process& node) {
  for (;;) {
    std::ifstream in{node.directory() / "node.json"};
    const auto content = nlohmann::json::parse(in, nullptr, false);
    if (content.is_object()) {
      return content.at("metrics").get<std::string>();
    }
  }
}

/// Asks /readyz until it answers with this status; returns what it says then. The test's own
/// time-out is the bound.
inline std::string until_ready_says(const std::string& address, int status) {
  for (;;) {
    const auto got = fetch(address, "/readyz");
    if (got.status == status) {
      return got.body;
    }
  }
}

} // namespace belay::tests
