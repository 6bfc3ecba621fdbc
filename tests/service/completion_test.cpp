// Completion in the shells themselves: what they offer at the cursor of a line.
#include "tests/support/scratch_directory.hpp"
#include "tests/support/shell.hpp"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

using namespace belay;
using tests::run_program;

namespace {

using name_set = std::set<std::string>;

/// Asks bash what it would offer, as its own completion does: by the function that is registered.
constexpr const char* ask_bash = R"sh(
source "$1"
COMP_LINE=$2
COMP_POINT=${#COMP_LINE}
compopt() { :; }
# Splits as bash does: at blanks, and around '=' and ':'.
spaced=${COMP_LINE//=/ = }
spaced=${spaced//:/ : }
read -r -a COMP_WORDS <<<"$spaced"
[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_WORDS[0]=belay
"$(complete -p belay | sed 's/.*-F \([^ ]*\) .*/\1/')"
printf '%s\n' "${COMPREPLY[@]}"
)sh";

/// A zsh that says in a pipe when its line editor is there, and writes down what Ctrl-T, which is a
/// Tab here, would offer.
constexpr const char* zsh_startup = R"sh(
path=($BELAY_BIN $path)
fpath=($ZDOTDIR/functions $fpath)
autoload -Uz compinit
compinit -C -d $ZDOTDIR/dump
LISTMAX=10000
compadd() {
  local -a caught
  builtin compadd -A caught "$@"
  print -rl -- $caught >>$ZDOTDIR/caught
  builtin compadd "$@"
}
show() {
  zle complete-word
  zle kill-whole-line
  print done >$ZDOTDIR/pipe
}
begin() {
  print begun >$ZDOTDIR/pipe
}
zle -N show
bindkey '^T' show
zle -N zle-line-init begin
)sh";

/// Types a line into it.
constexpr const char* ask_zsh = R"sh(
zmodload zsh/zpty
# For reading and writing: so it never ends between two lines.
exec {lines}<>$ZDOTDIR/pipe
zpty shell zsh -d -i
read -r -u $lines begun
zpty -n -w shell "$1"$'\C-t'
read -r -u $lines finished
zpty -d shell
cat $ZDOTDIR/caught
)sh";

struct shells_fixture {
  shells_fixture() {
    REQUIRE(run_program({"/bin/ln", "-s", BELAY_PROGRAM, (bin / "belay").string()}).code == 0);
  }

  static name_set words_of(const tests::program_result& got) {
    INFO(got.err);
    REQUIRE(got.code == 0); // 127: install the shells by scripts/setup --test.
    name_set result;
    std::istringstream lines{got.out};
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) {
        result.insert(line.substr(0, line.find('\t')));
      }
    }
    return result;
  }

  /// A program with ours before all others, below the scratch directory.
  [[nodiscard]] std::vector<std::string> in_path(std::vector<std::string> argv) const {
    const std::string path = std::getenv("PATH");
    const auto home = scratch.path().string();
    argv.insert(argv.begin(), {"env", "-C", home, "HOME=" + home, "XDG_CONFIG_HOME=" + home,
                               "PATH=" + bin.string() + ":" + path, "BELAY_DATA=" + data});
    return argv;
  }

  [[nodiscard]] name_set bash(const std::string& line) const {
    return words_of(run_program(
      in_path({"bash", "--norc", "-c", ask_bash, "bash", BELAY_MADE_DIR "/belay.bash", line})));
  }

  [[nodiscard]] name_set fish(const std::string& line) const {
    return words_of(
      run_program(in_path({"fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]",
                           BELAY_MADE_DIR "/belay.fish", line})));
  }

  [[nodiscard]] name_set zsh(const std::string& line) const {
    const auto place = scratch.path() / "zsh";
    if (std::filesystem::create_directories(place / "functions")) {
      std::filesystem::copy_file(BELAY_MADE_DIR "/belay.zsh", place / "functions" / "_belay");
      std::ofstream{place / ".zshrc"} << zsh_startup;
      REQUIRE(run_program({"mkfifo", (place / "pipe").string()}).code == 0);
    }
    std::ofstream{place / "caught"}; // Empty again.
    return words_of(
      run_program(in_path({"env", "ZDOTDIR=" + place.string(), "BELAY_BIN=" + bin.string(), "zsh",
                           "-f", "-c", ask_zsh, "zsh", line})));
  }

  tests::scratch_directory scratch;
  std::filesystem::path bin = [this] {
    const auto x = scratch.path() / "bin";
    std::filesystem::create_directories(x);
    return x;
  }();
  std::string data = (scratch.path() / "data").string();
};

/// What each shell must offer, whichever it is.
template <class Ask>
void check_shell(const shells_fixture& x, const Ask& ask) {
  CHECK(ask("belay sta") == name_set{"start"});
  CHECK(ask("belay tls i") == name_set{"init", "issue"});
  const auto options = ask("belay start --");
  CHECK(options.count("--id") == 1);
  CHECK(options.count("--args") == 1);
  CHECK(options.count("--older-than") == 0);
  CHECK(ask("belay start --id a --i") == name_set{"--in", "--insecure"});
  CHECK(ask("belay node --role ") == name_set{"both", "registry", "worker"});
  CHECK(ask("belay list -o j") == name_set{"json"});
  CHECK(ask("belay completion ") == name_set{"bash", "fish", "zsh"});
  CHECK(ask("belay complete-l").empty());
  // No node runs: quick and quiet.
  CHECK(ask("belay get ").empty());
  std::ofstream{x.scratch.path() / "only.toml"} << "";
  CHECK(ask("belay node --conf on") == name_set{"only.toml"});
  tests::node_process node{x.data, {}};
  REQUIRE(node.ask({"start", "--id", "made-1", "--in", "1h", "echo"}).code == 0);
  REQUIRE(node.ask({"start", "--id", "made-2", "--in", "1h", "echo"}).code == 0);
  CHECK(ask("belay get m") == name_set{"made-1", "made-2"});
  CHECK(ask("belay drain l") == name_set{"local"});
  CHECK(ask("belay queue pause d") == name_set{"default"});
  CHECK(ask("belay list --queue d") == name_set{"default"});
  CHECK(ask("belay inspect regi") == name_set{"registry"});
  CHECK(ask("belay inspect made-1") == name_set{"made-1"});
  tests::stop_and_check(node);
}

} // namespace

TEST_CASE_METHOD(shells_fixture, "completion: bash", "[service][completion]") {
  check_shell(*this, [this](const std::string& line) { return bash(line); });
  // Where bash splits words that the program does not.
  CHECK(bash("belay node --role=") == name_set{"both", "registry", "worker"});
  CHECK(bash("belay node --role=w") == name_set{"worker"});
}

TEST_CASE_METHOD(shells_fixture, "completion: fish", "[service][completion]") {
  check_shell(*this, [this](const std::string& line) { return fish(line); });
  CHECK(fish("belay node --role=w") == name_set{"--role=worker"});
}

TEST_CASE_METHOD(shells_fixture, "completion: zsh", "[service][completion]") {
  check_shell(*this, [this](const std::string& line) { return zsh(line); });
}
