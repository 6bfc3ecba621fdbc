// One set of names: what a live node tells, what the documentation lists, what alarms and dashboard
// ask for. And what Prometheus's own tool says of each.
#include "tests/metrics/scrape.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <cstdlib>
#include <fstream>
#include <regex>

using namespace belay;
using nlohmann::json;

namespace {

std::string read(const std::string& path) {
  std::ifstream in{std::string{BELAY_SOURCE_DIR} + "/" + path};
  REQUIRE(in);
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Returns the names of metrics in a text; those of a histogram's parts are the histogram's.
std::set<std::string> names_in(const std::string& text) {
  static const std::regex name{"belay_[a-z0-9_]+"};
  static const std::regex part{"(_bucket|_count|_sum)$"};
  std::set<std::string> found;
  for (std::sregex_iterator one{text.begin(), text.end(), name}, end; one != end; ++one) {
    found.insert(std::regex_replace(one->str(), part, ""));
  }
  return found;
}

struct row {
  std::string type;
  std::string labels;
  std::string alarms;
};

/// The tables of docs/METRICS.md.
std::map<std::string, row> documented() {
  std::map<std::string, row> found;
  std::istringstream lines{read("docs/METRICS.md")};
  static const std::regex line_form{
    R"(\| `(belay_[a-z0-9_]+)` \| (\w+) \|[^|]*\|([^|]*)\|[^|]*\|([^|]*)\|)"};
  for (std::string line; std::getline(lines, line);) {
    std::smatch parts;
    if (std::regex_match(line, parts, line_form)) {
      found[parts[1]] = {parts[2], parts[3], parts[4]};
    }
  }
  return found;
}

/// The labels that the series of a metric have, `le` left out.
std::set<std::string> labels_of(const std::string& series) {
  static const std::regex label{R"re(([a-z_]+)=")re"};
  std::set<std::string> found;
  for (std::sregex_iterator one{series.begin(), series.end(), label}, end; one != end; ++one) {
    if ((*one)[1] != "le") {
      found.insert((*one)[1]);
    }
  }
  return found;
}

bool is_missing_promtool() {
  if (tests::run_program({"promtool", "--version"}).code == 0) {
    return false;
  }
  // In CI what cannot be checked is a failure; elsewhere it is said.
  REQUIRE(std::getenv("BELAY_CI") == nullptr);
  WARN("promtool is missing, so this is not checked (scripts/setup --ci installs it)");
  return true;
}

/// A node that is registry and worker, and has run one process.
struct live_fixture {
  tests::scratch_directory scratch;
  tests::node_process node{scratch.path() / "data", {"metrics.listen=0"}};
  tests::scrape told = look();

  [[nodiscard]] tests::scrape look() const {
    const auto address = tests::metrics_of(node);
    REQUIRE(node.ask({"start", "--id", "a", "echo"}).code == 0);
    REQUIRE(node.ask({"wait", "a"}).code == 0);
    return tests::scrape{address};
  }
};

} // namespace

TEST_CASE_METHOD(live_fixture,
                 "metrics: the documentation lists what a live node tells, and no more",
                 "[metrics][system]") {
  const auto listed = documented();
  CHECK(listed.size() > 40);
  for (const auto& [name, type] : told.types()) {
    INFO(name);
    REQUIRE(listed.count(name) == 1);
    CHECK(listed.at(name).type == type);
  }
  for (const auto& [name, x] : listed) {
    INFO(name);
    CHECK(told.types().count(name) == 1);
  }
  for (const auto& [series, value] : told.values()) {
    INFO(series);
    const auto name = *names_in(series.substr(0, series.find('{'))).begin();
    for (const auto& label : labels_of(series)) {
      CHECK(listed.at(name).labels.find("`" + label + "`") != std::string::npos);
    }
  }
}

TEST_CASE_METHOD(live_fixture, "metrics: alarms and dashboard ask for what there is",
                 "[metrics][system]") {
  const auto listed = documented();
  const auto alerts = read("conf/prometheus/alerts.yml");
  const auto dashboard = read("conf/grafana/belay.json");
  CHECK(json::parse(dashboard).at("panels").size() > 10);
  for (const auto& text : {alerts, dashboard}) {
    CHECK(names_in(text).size() > 10);
    for (const auto& name : names_in(text)) {
      INFO(name);
      CHECK(listed.count(name) == 1);
      CHECK(told.types().count(name) == 1);
    }
  }
}

TEST_CASE("metrics: each alarm is documented, tested, and says what to do", "[metrics]") {
  const auto alerts = read("conf/prometheus/alerts.yml");
  const auto cases = read("conf/prometheus/alerts_test.yml");
  const auto operations = read("docs/OPERATIONS.md");
  static const std::regex rule{R"(- alert: (\w+)[\s\S]*?runbook: docs/OPERATIONS\.md#(\S+))"};
  std::set<std::string> names;
  for (std::sregex_iterator one{alerts.begin(), alerts.end(), rule}, end; one != end; ++one) {
    const auto name = (*one)[1].str();
    INFO(name);
    names.insert(name);
    auto anchor = "alarm-" + name;
    std::transform(anchor.begin(), anchor.end(), anchor.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    CHECK((*one)[2].str() == anchor);
    CHECK(tests::has(operations, "### Alarm: " + name + "\n"));
    CHECK(tests::has(cases, "  - name: " + name + "\n"));
    CHECK(tests::has(cases, "{alertname: " + name + ", eval_time: 110m}"));
  }
  CHECK(names.size() > 15);
  // The table says which alarm looks at a metric.
  for (const auto& [name, x] : documented()) {
    static const std::regex word{"Belay\\w+"};
    for (std::sregex_iterator one{x.alarms.begin(), x.alarms.end(), word}, end; one != end; ++one) {
      INFO(name << " " << one->str());
      CHECK(names.count(one->str()) == 1);
      const auto from = alerts.find("- alert: " + one->str() + "\n");
      const auto to = std::min(alerts.find("- alert:", from + 1), alerts.size());
      CHECK(tests::has(alerts.substr(from, to - from), name));
    }
  }
  for (const auto& name : names_in(alerts)) {
    INFO(name);
    CHECK(tests::has(documented().at(name).alarms, "Belay"));
  }
}

TEST_CASE_METHOD(live_fixture, "metrics: promtool finds nothing to say about a live node's",
                 "[metrics][system]") {
  if (is_missing_promtool()) {
    return;
  }
  const auto file = (scratch.path() / "scrape").string();
  std::ofstream{file} << told.text();
  const auto got = tests::run_program({"/bin/sh", "-c", "promtool check metrics < \"$0\"", file});
  INFO(got.out << got.err);
  CHECK(got.code == 0);
  CHECK(got.out.empty());
  CHECK(got.err.empty());
}

TEST_CASE("metrics: promtool takes the alarms, and each rings in its own case alone", "[metrics]") {
  if (is_missing_promtool()) {
    return;
  }
  const std::string folder = std::string{BELAY_SOURCE_DIR} + "/conf/prometheus/";
  const auto checked = tests::run_program({"promtool", "check", "rules", folder + "alerts.yml"});
  INFO(checked.out << checked.err);
  CHECK(checked.code == 0);
  const auto tested = tests::run_program({"promtool", "test", "rules", folder + "alerts_test.yml"});
  INFO(tested.out << tested.err);
  CHECK(tested.code == 0);
}
