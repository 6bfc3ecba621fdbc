// Manual pages and --version: made from what the program knows, so that they cannot go stale.
#include "app/configuration.hpp"
#include "app/version.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>

using namespace belay;
using tests::has;
using tests::run_belay;
using tests::run_program;

namespace {

struct pages_fixture {
  pages_fixture() {
    REQUIRE(run_belay({"manual", directory.path().string()}).code == 0);
  }

  /// As a person reads it. Fails the test where mandoc has something to warn of.
  [[nodiscard]] std::string page(const std::string& file) const {
    const auto path = (directory.path() / file).string();
    const auto lint = run_program({"mandoc", "-T", "lint", "-W", "warning", path});
    INFO(lint.out << lint.err);
    REQUIRE(lint.code != 127); // Install mandoc: scripts/setup --test.
    CHECK(lint.code == 0);
    const auto rendered = run_program({"mandoc", "-T", "ascii", path});
    CHECK(rendered.code == 0);
    // Bold and underlined letters are struck over.
    auto text = std::regex_replace(rendered.out, std::regex{".\b"}, "");
    return text;
  }

  /// The commands that `--help` of a command lists.
  static std::vector<std::string> commands(std::vector<std::string> of) {
    of.emplace_back("--help");
    std::vector<std::string> names;
    std::istringstream lines{run_belay(of).out};
    bool listed = false;
    for (std::string line; std::getline(lines, line);) {
      if (line.find("Subcommands:") == 0) {
        listed = true;
      } else if (listed && line.compare(0, 2, "  ") == 0 && line[2] != ' ') {
        names.push_back(line.substr(2, line.find(' ', 2) - 2));
      } else if (line.empty()) {
        listed = false;
      }
    }
    return names;
  }

  tests::scratch_directory directory;
};

} // namespace

TEST_CASE_METHOD(pages_fixture, "manual: every command has its page, with every option",
                 "[service][manual]") {
  const auto names = commands({});
  REQUIRE(names.size() > 30);
  const auto program = page("belay.1");
  for (const auto& name : names) {
    CAPTURE(name);
    CHECK(has(program, "belay-" + name + "(1)"));
    const auto text = page("belay-" + name + ".1");
    const auto inner = commands({name});
    for (const auto& below : inner) {
      CHECK(has(text, "belay " + name + " " + below));
    }
    const auto help = run_belay({name, "--help"}).out;
    const std::regex option{R"((^|[ ,])(--[a-z][-a-z]*))"};
    for (std::sregex_iterator i{help.begin(), help.end(), option}; i != std::sregex_iterator{};
         ++i) {
      CAPTURE((*i)[2].str());
      CHECK(has(text, (*i)[2].str()));
    }
  }
  // What is not for people is in no list.
  CHECK_FALSE(has(program, "complete-line"));
}

TEST_CASE_METHOD(pages_fixture, "manual: every setting is there with default and unit",
                 "[service][manual]") {
  const auto text = std::regex_replace(page("belay.toml.5"), std::regex{"\\s+"}, " ");
  for (const auto& key : app::configuration_keys()) {
    CAPTURE(key.name);
    CHECK(has(text, key.name + " (" + key.unit + ", default " + key.default_text + ")"));
  }
}

TEST_CASE("version: says what was built from what, and how writes are kept", "[service][version]") {
  const auto text = run_belay({"--version"});
  CHECK(text.code == 0);
  CHECK(text.out == app::version_text() + "\n");
  CHECK(has(text.out, "fdatasync"));
  CHECK(has(text.out, "OpenSSL 3."));
  CHECK(has(text.out, "CAF 0.17."));
  const auto fields = nlohmann::json::parse(run_belay({"version", "-o", "json"}).out);
  CHECK(fields == app::version_json());
  const std::string commit = fields.at("commit");
  CHECK(std::regex_match(commit, std::regex{"unknown|[0-9a-f]{12}(-dirty)?"}));
}
