#include "app/completion.hpp"

#include <algorithm>
#include <array>

namespace belay::app {

namespace {

bool begins_with(const std::string& text, const std::string& head) {
  return text.compare(0, head.size(), head) == 0;
}

/// The first sentence or clause of a help text: what fits beside a candidate.
std::string short_help(const std::string& help) {
  return help.substr(0, help.find_first_of(";:("));
}

const argument_doc* find_option(const command_doc& in, const std::string& name) {
  for (const auto& x : in.options) {
    if (std::find(x.names.begin(), x.names.end(), name) != x.names.end()) {
      return &x;
    }
  }
  return nullptr;
}

/// Where in the tree the cursor stands.
struct place {
  const command_doc* command;
  /// The option whose value is at the cursor.
  const argument_doc* option = nullptr;
  /// How many positional arguments stand before it.
  std::size_t arguments = 0;
  std::vector<std::string> given;
  /// Behind `--`: another program's words.
  bool is_foreign = false;
};

place find_place(const command_doc& root, const std::vector<std::string>& words) {
  place x{&root};
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const auto& word = words[i];
    if (word == "--") {
      x.is_foreign = true;
      return x;
    }
    if (x.option != nullptr) {
      x.option = nullptr; // This was its value.
    } else if (word.size() > 1 && word.front() == '-') {
      x.given.push_back(word.substr(0, word.find('=')));
      const auto* const option = find_option(*x.command, word);
      x.option = option != nullptr && !option->value.empty() ? option : nullptr;
    } else if (const auto* const below = find_command(*x.command, word)) {
      x.command = below;
    } else {
      ++x.arguments;
    }
  }
  return x;
}

void add_values(completions& to, const argument_doc& of, const std::vector<std::string>& words,
                const std::string& begun, const live_names& live) {
  switch (of.kind) {
    case value_kind::file:
      to.files = true;
      break;
    case value_kind::directory:
      to.directories = true;
      break;
    case value_kind::word:
      for (const auto& word : of.words) {
        if (begins_with(word, begun)) {
          to.candidates.push_back({word, {}});
        }
      }
      break;
    case value_kind::process:
    case value_kind::worker:
    case value_kind::queue:
    case value_kind::actor:
      for (auto& x : live ? live(of.kind, words) : std::vector<candidate>{}) {
        if (begins_with(x.text, begun)) {
          to.candidates.push_back(std::move(x));
        }
      }
      break;
    case value_kind::text:
      break;
  }
}

void add_options(completions& to, const place& at, const std::string& begun) {
  for (const auto& option : at.command->options) {
    const auto is_given = std::any_of(option.names.begin(), option.names.end(), [&](const auto& x) {
      return std::find(at.given.begin(), at.given.end(), x) != at.given.end();
    });
    if (is_given && !option.repeatable) {
      continue;
    }
    for (const auto& name : option.names) {
      if (begins_with(name, begun) && begins_with(name, "--")) {
        to.candidates.push_back({name, short_help(option.help)});
      }
    }
  }
}

constexpr const char* bash_script
  = R"sh(# Completes the command lines of PROGRAM in bash, by asking the program itself.
_belay_complete_NAME() {
  local line="${COMP_LINE:0:COMP_POINT}" current="${COMP_WORDS[COMP_CWORD]}" out answer word
  # Bash splits at '=' and ':' too; the program wants the words as they were typed.
  local -a words=()
  read -r -a words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local typed="${words[${#words[@]}-1]}"
  out=$("${COMP_WORDS[0]}" complete-line -- "${words[@]}" 2>/dev/null) || return 0
  COMPREPLY=()
  case "$out" in
    :files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return 0 ;;
    :directories) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return 0 ;;
  esac
  [[ $current == [=:] ]] && current=""
  # What bash holds to be the head of the word stays where it is.
  local head="${typed%"$current"}"
  while IFS= read -r answer; do
    word="${answer%%$'\t'*}"
    [[ -n $word ]] && COMPREPLY+=("$(printf '%q' "${word#"$head"}")")
  done <<<"$out"
}
complete -F _belay_complete_NAME PROGRAM
)sh";

constexpr const char* zsh_script = R"sh(#compdef PROGRAM
# Completes the command lines of PROGRAM in zsh, by asking the program itself.
_belay_complete_NAME() {
  local out line word help
  local -a asked names shown
  asked=("${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}")
  out=$("${asked[1]}" complete-line -- "${asked[@]}" 2>/dev/null) || return 1
  case "$out" in
    :files) _files; return ;;
    :directories) _files -/; return ;;
  esac
  for line in "${(@f)out}"; do
    word="${line%%$'\t'*}"
    [[ -n $word ]] || continue
    help=""
    [[ $line == *$'\t'* ]] && help="${line#*$'\t'}"
    names+=("$word")
    shown+=("$word${help:+  -- $help}")
  done
  (( $#names )) && compadd -l -d shown -- "${names[@]}"
}
if [[ $funcstack[1] == _PROGRAM ]]; then
  _belay_complete_NAME "$@"
else
  compdef _belay_complete_NAME PROGRAM
fi
)sh";

constexpr const char* fish_script
  = R"sh(# Completes the command lines of PROGRAM in fish, by asking the program itself.
function __belay_complete_NAME
    set -l words (commandline -opc) (commandline -ct)
    set -l answer ($words[1] complete-line -- $words 2>/dev/null)
    or return 0
    switch "$answer[1]"
        case :files
            __fish_complete_path (commandline -ct)
        case :directories
            __fish_complete_directories (commandline -ct)
        case '*'
            printf '%s\n' $answer
    end
end
complete -c PROGRAM -f -a '(__belay_complete_NAME)'
)sh";

std::string filled(std::string text, const std::string& program) {
  auto name = program;
  for (char& c : name) {
    const auto plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    c = plain ? c : '_';
  }
  const std::array<std::pair<std::string, std::string>, 2> blanks{
    {{"PROGRAM", program}, {"complete_NAME", "complete_" + name}}};
  for (const auto& [blank, value] : blanks) {
    for (auto at = text.find(blank); at != std::string::npos;
         at = text.find(blank, at + value.size())) {
      text.replace(at, blank.size(), value);
    }
  }
  return text;
}

} // namespace

completions
complete(const command_doc& root, const std::vector<std::string>& words, const live_names& live) {
  completions x;
  if (words.size() < 2) {
    return x;
  }
  const auto& begun = words.back();
  const auto at = find_place(root, words);
  if (at.is_foreign) {
    x.files = true;
    return x;
  }
  if (at.option != nullptr) {
    add_values(x, *at.option, words, begun, live);
    return x;
  }
  if (const auto equals = begun.find('=');
      equals != std::string::npos && begins_with(begun, "--")) {
    const auto* const option = find_option(*at.command, begun.substr(0, equals));
    if (option != nullptr) {
      auto line = words;
      line.back() = begun.substr(equals + 1);
      add_values(x, *option, line, line.back(), live);
    }
    for (auto& one : x.candidates) {
      one.text.insert(0, begun.substr(0, equals + 1));
    }
    return x;
  }
  if (begins_with(begun, "-")) {
    add_options(x, at, begun);
    return x;
  }
  for (const auto& command : at.command->commands) {
    if (begins_with(command.name, begun)) {
      x.candidates.push_back({command.name, short_help(command.help)});
    }
  }
  const auto& arguments = at.command->arguments;
  if (at.arguments < arguments.size()) {
    add_values(x, arguments[at.arguments], words, begun, live);
  } else if (!arguments.empty() && arguments.back().repeatable) {
    add_values(x, arguments.back(), words, begun, live);
  }
  return x;
}

std::string render(const completions& x) {
  if (x.files) {
    return ":files\n";
  }
  if (x.directories) {
    return ":directories\n";
  }
  std::string text;
  for (const auto& one : x.candidates) {
    text += one.text + (one.help.empty() ? "" : "\t" + one.help) + "\n";
  }
  return text;
}

std::optional<std::string> completion_script(const std::string& shell, const std::string& program) {
  if (shell == "bash") {
    return filled(bash_script, program);
  }
  if (shell == "zsh") {
    return filled(zsh_script, program);
  }
  if (shell == "fish") {
    return filled(fish_script, program);
  }
  return std::nullopt;
}

} // namespace belay::app
