#include "app/manual.hpp"

#include "app/configuration.hpp"
#include "app/version.hpp"

#include <algorithm>
#include <array>
#include <sstream>

namespace belay::app {

namespace {

using pair_list = std::vector<std::pair<std::string, std::string>>;

/// Text as it is to be read: nothing in it is a command of roff, and a dash can be searched for.
std::string roff_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  return result;
}

/// The same for lines of text: one that begins with a dot or quote would be a command.
std::string lines(const std::string& text) {
  std::string result;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) {
    const auto first = line.empty() ? ' ' : line.front();
    result += (first == '.' || first == '\'' ? "\\&" : "") + roff_text(line) + "\n";
  }
  return result;
}

std::string bold(const std::string& text) {
  return "\\fB" + roff_text(text) + "\\fR";
}

std::string italic(const std::string& text) {
  return "\\fI" + roff_text(text) + "\\fR";
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string header(const std::string& name, int section) {
  return ".TH " + upper(roff_text(name)) + " " + std::to_string(section) + " " + commit_date()
         + " \"belay " + version() + "\" \"belay manual\"\n";
}

/// One entry of a list; `tag` is roff already.
std::string entry(const std::string& tag, const std::string& text) {
  return ".TP\n" + tag + "\n" + lines(text.empty() ? "See its own manual page." : text);
}

std::string tags(const argument_doc& x) {
  std::string text;
  for (const auto& name : x.names) {
    text += (text.empty() ? "" : ", ") + (name.front() == '-' ? bold(name) : italic(name));
  }
  if (!x.value.empty() && x.names.front().front() == '-') {
    text += " " + italic(x.value);
  }
  return text + (x.repeatable ? " ..." : "");
}

std::string entries(const std::vector<argument_doc>& all) {
  std::string text;
  for (const auto& x : all) {
    auto help = x.help;
    if (x.required) {
      help += " (required)";
    }
    text += entry(tags(x), help);
  }
  return text;
}

/// What a footer says before its examples, and these.
std::pair<std::string, std::string> split_footer(const std::string& footer) {
  constexpr std::string_view mark = "Example:";
  const auto at = footer.find(mark);
  if (at == std::string::npos) {
    return {footer, ""};
  }
  std::string examples;
  std::istringstream in{footer.substr(at + mark.size())};
  for (std::string line; std::getline(in, line);) {
    const auto begin = line.find_first_not_of(' ');
    if (begin != std::string::npos) {
      examples += line.substr(begin) + "\n";
    }
  }
  return {footer.substr(0, at), examples};
}

std::string synopsis(const std::string& name, const command_doc& x) {
  auto text = bold(name);
  if (!x.options.empty()) {
    text += " [" + italic("OPTION") + " ...]";
  }
  for (const auto& one : x.arguments) {
    const auto word = italic(one.names.front()) + (one.repeatable ? " ..." : "");
    text += " " + (one.required ? word : "[" + word + "]");
  }
  if (!x.commands.empty()) {
    text += " " + italic("COMMAND");
  }
  return text + "\n";
}

std::string examples_section(const std::string& examples) {
  return examples.empty() ? "" : ".SH EXAMPLES\n.nf\n" + lines(examples) + ".fi\n";
}

/// Everything about a command below a page's heading.
std::string body(const std::string& name, const command_doc& x, const std::string& level) {
  const auto [notes, examples] = split_footer(x.footer);
  auto text = lines(x.help + ".");
  if (!notes.empty()) {
    text += ".PP\n" + lines(notes);
  }
  if (!x.arguments.empty()) {
    text += level + (level == ".SH" ? " ARGUMENTS\n" : " Arguments\n") + entries(x.arguments);
  }
  if (!x.options.empty()) {
    text += level + (level == ".SH" ? " OPTIONS\n" : " Options\n") + entries(x.options);
  }
  for (const auto& below : x.commands) {
    const auto whole = name + " " + below.name;
    text += ".SH \"" + upper(roff_text(below.name)) + "\"\n" + synopsis(whole, below) + ".PP\n"
            + body(whole, below, ".SS");
  }
  if (level == ".SH") {
    text += examples_section(examples);
  } else if (!examples.empty()) {
    text += ".SS Example\n.nf\n" + lines(examples) + ".fi\n";
  }
  return text;
}

std::string list_section(const std::string& title, const pair_list& list) {
  auto text = ".SH \"" + title + "\"\n";
  for (const auto& [name, help] : list) {
    text += entry(bold(name), help);
  }
  return text;
}

std::string see_also(const std::vector<std::string>& pages) {
  std::string text = ".SH \"SEE ALSO\"\n";
  for (const auto& page : pages) {
    const auto open = page.find('(');
    text += ".BR " + roff_text(page.substr(0, open)) + " " + page.substr(open)
            + (&page == &pages.back() ? "\n" : " ,\n");
  }
  return text;
}

manual_page command_page(const command_doc& root, const command_doc& x) {
  const auto name = root.name + "-" + x.name;
  auto text = header(name, 1) + ".SH NAME\n" + roff_text(name) + " \\- " + lines(x.help)
              + ".SH SYNOPSIS\n" + synopsis(root.name + " " + x.name, x) + ".SH DESCRIPTION\n"
              + body(root.name + " " + x.name, x, ".SH")
              + see_also({root.name + "(1)", root.name + ".toml(5)"});
  return {name + ".1", std::move(text)};
}

manual_page program_page(const command_doc& root) {
  const auto [notes, examples] = split_footer(root.footer);
  std::string commands;
  for (const auto& x : root.commands) {
    commands += entry(bold(root.name + "-" + x.name) + "(1)", x.help);
  }
  const pair_list codes{{"0", "Success."},
                        {"1", "The process failed, or a check found something."},
                        {"2", "Bad usage, or input that was refused."},
                        {"3", "The process was cancelled."},
                        {"4", "The process was abandoned."},
                        {"5", "Timed out."},
                        {"69", "No node was reached."},
                        {"74", "A fault of the disk or of the store."}};
  const pair_list variables{
    {"BELAY_DATA", "Data directory where --data is not given."},
    {"BELAY_TLS", "Directory of certificates where --node is given and --tls is not."},
    {"BELAY_SECTION_KEY", "Any setting, as in BELAY_WORKER_SLOTS for worker.slots."},
    {"XDG_STATE_HOME", "Without BELAY_DATA the data directory is belay in there; without this one "
                       "too, ~/.local/state/belay."},
    {"NO_COLOR", "When it is not empty, no colours on a terminal."},
    {"NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID",
     "Set by systemd: where a node says that it is ready, and how often that it is alive."}};
  const pair_list files{
    {"belay.toml", "A configuration, named with --conf. See belay.toml(5)."},
    {"DATA/node.json", "Where the node of a data directory listens; there while it runs."},
    {"DATA/belay.mdb", "The store."}};
  const pair_list signals{
    {"SIGTERM, SIGINT", "A node drains and stops; the second one stops it at once."},
    {"SIGHUP", "A node reads its configuration and certificates again. Log levels and certificates "
               "count at once, other settings from the next start. What is not acceptable is "
               "refused as a whole, and the node goes on as before."}};
  auto text = header(root.name, 1) + ".SH NAME\n" + roff_text(root.name)
              + " \\- a durable process runtime\n.SH SYNOPSIS\n" + synopsis(root.name, root)
              + ".SH DESCRIPTION\n" + lines(root.help)
              + ".PP\n"
                "At\\-least\\-once execution, exactly one outcome, no stale writer ever accepted.\n"
              + ".SH COMMANDS\n" + commands + ".SH OPTIONS\n" + entries(root.options)
              + list_section("EXIT STATUS", codes) + list_section("ENVIRONMENT", variables)
              + list_section("FILES", files) + list_section("SIGNALS", signals)
              + examples_section(examples) + see_also({root.name + ".toml(5)"});
  return {root.name + ".1", std::move(text)};
}

manual_page configuration_page(const command_doc& root) {
  const auto name = root.name + ".toml";
  auto text
    = header(name, 5) + ".SH NAME\n" + roff_text(name)
      + " \\- settings of a belay node\n.SH SYNOPSIS\n" + bold(root.name + " node --conf") + " "
      + italic("FILE") + "\n.SH DESCRIPTION\n"
      + lines(
        "A file in TOML. Every key has a default; an unknown key or a value out of its bounds "
        "is refused.\nEvery key can also be given as a variable of the environment "
        "(worker.slots is BELAY_WORKER_SLOTS)\nor as a flag (--set worker.slots=8); the flag "
        "wins over the environment, the environment over the file.")
      + ".PP\n"
      + lines("Durations are texts with a unit: ms, s, m, h, d. Sizes: B, KiB, MiB, GiB.\n"
              "The keys of [log] count at once when the node gets SIGHUP, as do the files in "
              "node.tls; all others from its next start.");
  std::string section;
  for (const auto& key : configuration_keys()) {
    const auto dot = key.name.rfind('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      text += ".SH [" + roff_text(section) + "]\n";
    }
    text += entry(bold(key.name) + " (" + roff_text(key.unit) + ", default "
                    + roff_text(key.default_text) + ")",
                  key.help + ".");
  }
  text += see_also({root.name + "(1)", root.name + "-node(1)", root.name + "-config(1)"});
  return {name + ".5", std::move(text)};
}

} // namespace

std::vector<manual_page> manual_pages(const command_doc& root) {
  std::vector<manual_page> pages{program_page(root), configuration_page(root)};
  for (const auto& x : root.commands) {
    pages.push_back(command_page(root, x));
  }
  return pages;
}

} // namespace belay::app
