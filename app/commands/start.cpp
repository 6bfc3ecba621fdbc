// belay start: registers processes.
#include "app/commands/commands.hpp"
#include "messages/did_you_mean.hpp"
#include "messages/json_strict.hpp"
#include "messages/registration_stored.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::app {

namespace {

/// The flags of `start`; each becomes a member of the registration's JSON.
struct start_options {
  std::string file;
  std::string id;
  std::string queue;
  std::string due;
  std::string in;
  std::string timeout;
  std::string rule;
  std::string args;
  std::string cwd;
  std::string stdin_file;
  int priority = 0;
  unsigned retries = 0;
  std::string backoff;
  std::string concurrency_key;
  std::string traceparent;
  std::vector<std::string> labels;
  std::vector<std::string> env;
  bool stream = false;
  std::string tool;
};

[[noreturn]] void refuse(const std::string& text) {
  throw command_failure{exit_code::usage, text};
}

nlohmann::json pairs(const std::string& flag, const std::vector<std::string>& given) {
  auto result = nlohmann::json::object();
  for (const auto& text : given) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      refuse(flag + ": '" + text + "' is not acceptable, expected NAME=VALUE");
    }
    result[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return result;
}

nlohmann::json exec_args(const start_options& x, const std::vector<std::string>& program) {
  if (program.empty()) {
    refuse("exec needs a program, as in: belay start exec -- echo hello");
  }
  if (!x.args.empty()) {
    refuse("--args is for other tools; exec takes its program after --");
  }
  nlohmann::json args{{"argv", program}};
  if (!x.cwd.empty()) {
    args["cwd"] = x.cwd;
  }
  if (!x.env.empty()) {
    args["env"] = pairs("--env", x.env);
  }
  if (!x.stdin_file.empty()) {
    args["stdin"] = read_file(x.stdin_file, "--stdin");
  }
  if (x.stream) {
    args["stream"] = true;
  }
  return args;
}

nlohmann::json tool_args(const start_options& x, const std::vector<std::string>& program) {
  if (x.tool == "exec") {
    return exec_args(x, program);
  }
  if (!program.empty()) {
    refuse("the tool '" + x.tool + "' takes its arguments as --args JSON, not after --");
  }
  if (x.args.empty()) {
    return nlohmann::json::object();
  }
  auto args = parse_json_strict(x.args);
  if (!args) {
    refuse("--args: " + args.why().text);
  }
  return std::move(*args);
}

/// `NAME@VERSION` is a workflow, anything else a tool.
nlohmann::json input_of(const start_options& x, const std::vector<std::string>& program) {
  const auto mark = x.tool.rfind('@');
  if (mark == std::string::npos) {
    return {{"type", "tool_call"}, {"tool", x.tool}, {"args", tool_args(x, program)}};
  }
  std::uint32_t version = 0;
  const auto* first = x.tool.data() + mark + 1;
  const auto* last = x.tool.data() + x.tool.size();
  const auto [end, error] = std::from_chars(first, last, version);
  if (error != std::errc{} || end != last || version == 0) {
    refuse("'" + x.tool
           + "' is not acceptable, expected a tool or WORKFLOW@VERSION, as in album@1");
  }
  return {{"type", "workflow"},
          {"workflow", x.tool.substr(0, mark)},
          {"version", version},
          {"args", tool_args(x, program)}};
}

registration from_flags(const start_options& x, const std::vector<std::string>& program) {
  nlohmann::json text;
  text["input"] = input_of(x, program);
  if (!x.id.empty()) {
    text["id"] = x.id;
  }
  if (!x.queue.empty()) {
    text["queue"] = x.queue;
  }
  if (!x.rule.empty()) {
    text["rule"] = x.rule;
  }
  if (!x.due.empty() && !x.in.empty()) {
    refuse("--due and --in both say when: give one of them");
  }
  if (!x.due.empty()) {
    text["due"] = x.due;
  }
  if (!x.in.empty()) {
    text["due"] = format_time(wall_now() + parse_duration_flag("--in", x.in));
  }
  if (!x.timeout.empty()) {
    text["timeout_ms"] = parse_duration_flag("--timeout", x.timeout);
  }
  text["priority"] = x.priority;
  if (x.retries > 0) {
    text["retry"]["attempts"] = x.retries + 1;
  }
  if (!x.backoff.empty()) {
    text["retry"]["backoff_ms"] = parse_duration_flag("--backoff", x.backoff);
  }
  if (!x.concurrency_key.empty()) {
    text["concurrency_key"] = x.concurrency_key;
  }
  // One from the environment that cannot be read is ignored (W3C Trace Context, section 3.2.2).
  const auto* around = std::getenv("TRACEPARENT"); // NOLINT(concurrency-mt-unsafe): one thread
  if (!x.traceparent.empty()) {
    text["traceparent"] = x.traceparent;
  } else if (around != nullptr && is_traceparent(around)) {
    text["traceparent"] = around;
  }
  if (!x.labels.empty()) {
    text["labels"] = pairs("--label", x.labels);
  }
  return expect(parse_registration(text, recovery_rule::rerunnable, widest_limits()));
}

void print_registered(const common_options& common, const registered_list& list) {
  if (common.quiet) {
    return;
  }
  for (const auto& x : list.items) {
    if (common.format == output_format::json) {
      print_line(nlohmann::json{
        {"id", x.id}, {"row", static_cast<std::uint64_t>(x.row)}, {"created", x.created}}
                   .dump());
    } else {
      print_line(printable(x.id));
    }
  }
}

/// Registers a file of registrations, `batch_max` lines a message.
class bulk_start {
public:
  bulk_start(const common_options& common, const std::string& file)
    : common_{common}, file_{file}, client_{connect(common)} {}

  exit_code run() {
    std::ifstream opened;
    if (file_ != "-") {
      opened.open(file_);
      if (!opened) {
        refuse("--file: cannot read '" + file_ + "'");
      }
    }
    auto& in = file_ == "-" ? std::cin : opened;
    std::string line;
    while (std::getline(in, line)) {
      ++line_number_;
      take(line);
      if (items_.size() >= client_->batch_max() || bytes_ >= batch_bytes_max) {
        send();
      }
    }
    if (in.bad()) {
      refuse("--file: reading '" + file_ + "' failed after line " + std::to_string(line_number_));
    }
    send();
    finish();
    return exit_code::success;
  }

private:
  /// Chosen: well below any cluster.message_max (a single longer line goes alone).
  static constexpr std::size_t batch_bytes_max = 1U << 20;

  void take(const std::string& line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      return;
    }
    auto text = parse_json_strict(line);
    if (!text) {
      bad_line(line_number_, text.why().text);
    }
    auto item = parse_registration(*text, recovery_rule::rerunnable, widest_limits());
    if (!item) {
      bad_line(line_number_, item.why().text);
    }
    if (item->id.empty()) {
      item->id = make_process_id();
    }
    bytes_ += line.size();
    items_.push_back(std::move(*item));
    lines_.push_back(line_number_);
  }

  void send() {
    if (items_.empty()) {
      return;
    }
    auto answered = client_->enroll(std::move(items_));
    items_.clear();
    bytes_ = 0;
    if (!answered) {
      refused(answered.why());
    }
    lines_.clear();
    for (const auto& x : answered->items) {
      ++(x.created ? created_ : present_);
    }
    print_registered(common_, *answered);
    progress();
  }

  /// The registry says "item N: ..."; a person wants the line.
  [[noreturn]] void refused(const refusal& no) {
    auto text = no.text;
    std::size_t line = lines_.front();
    if (text.rfind("item ", 0) == 0) {
      const auto index = std::strtoull(text.c_str() + 5, nullptr, 10);
      if (index >= 1 && index <= lines_.size()) {
        line = lines_[index - 1];
        text = text.substr(text.find(": ") + 2);
      }
    } else if (lines_.size() > 1) {
      throw command_failure{exit_code_of(no), "lines " + std::to_string(lines_.front()) + " to "
                                                + std::to_string(lines_.back()) + ": " + text
                                                + already()};
    }
    throw command_failure{exit_code_of(no),
                          file_ + ": line " + std::to_string(line) + ": " + text + already()};
  }

  [[noreturn]] void bad_line(std::size_t line, const std::string& text) {
    refuse(file_ + ": line " + std::to_string(line) + ": " + text + already());
  }

  [[nodiscard]] std::string already() const {
    return "; nothing of this message was registered (" + std::to_string(created_ + present_)
           + " processes of earlier messages are)";
  }

  void progress() {
    if (!common_.quiet && isatty(STDERR_FILENO) == 1) {
      std::fprintf(stderr, "\r%zu registered", created_ + present_);
      shown_ = true;
    }
  }

  void finish() {
    if (shown_) {
      std::fputs("\r\033[K", stderr);
    }
    if (!common_.quiet) {
      std::fprintf(stderr, "%zu registered: %zu new, %zu already there\n", created_ + present_,
                   created_, present_);
    }
  }

  const common_options& common_;
  std::string file_;
  std::unique_ptr<actors::client> client_;
  std::vector<registration> items_;
  std::vector<std::size_t> lines_;
  std::size_t bytes_ = 0;
  std::size_t line_number_ = 0;
  std::size_t created_ = 0;
  std::size_t present_ = 0;
  bool shown_ = false;
};

/// A name that is no tool of the node, but a workflow in one version, means that version; of
/// several one is to be named.
std::string with_version(const std::string& name, const std::vector<std::string>& offered) {
  if (name.find('@') != std::string::npos
      || std::find(offered.begin(), offered.end(), name) != offered.end()) {
    return name;
  }
  std::vector<std::string> versions;
  for (const auto& kind : offered) {
    if (kind.rfind(name + "@", 0) == 0) {
      versions.push_back(kind);
    }
  }
  if (versions.size() > 1) {
    std::string list;
    for (const auto& kind : versions) {
      list += (list.empty() ? "" : ", ") + kind;
    }
    refuse("the node offers several versions of '" + name + "': say which of " + list);
  }
  return versions.empty() ? name : versions.front();
}

exit_code start(const common_options& common, const start_options& x) {
  if (!x.file.empty()) {
    if (!x.tool.empty() || !x.id.empty()) {
      refuse("--file brings whole registrations: give neither a tool nor --id with it");
    }
    return bulk_start{common, x.file}.run();
  }
  if (x.tool.empty()) {
    refuse("start needs a tool, as in: belay start exec -- echo hello");
  }
  static_cast<void>(from_flags(x, common.program)); // What is wrong is said without a node.
  const auto client = connect(common);
  const auto& tools = client->tools();
  auto named = x;
  named.tool = with_version(x.tool, tools);
  auto item = from_flags(named, common.program);
  if (item.id.empty()) {
    item.id = make_process_id();
  }
  if (!common.quiet && std::find(tools.begin(), tools.end(), item.kind) == tools.end()) {
    print_error("note: no worker of this node offers '" + item.kind
                + "'; the process waits until one does" + suggestion(item.kind, tools));
  }
  print_registered(common, expect(client->enroll({std::move(item)})));
  return exit_code::success;
}

} // namespace

void add_start_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("start", "Register a process, or a file of them");
  auto x = std::make_shared<start_options>();
  add_common(command, common);
  // An empty variable of a shell must not become a process of another name each time.
  const auto not_blank = [](const std::string& id) {
    return id.empty() ? std::string{"'' is not acceptable, expected 1 to 256 bytes"}
                      : std::string{};
  };
  command.add_option("--id", x->id, "The process's id; the same again is the same process")
    ->check(not_blank);
  command.add_option("--file", x->file, "JSON lines, one registration each (- for standard input)")
    ->type_name("FILE");
  command.add_option("--queue", x->queue, "Queue (default: default)")->type_name("QUEUE");
  command.add_option("--priority", x->priority, "-1000 to 1000, higher first (default: 0)");
  command.add_option("--due", x->due, "Not before this time, as in 2026-12-01T03:00:00Z");
  command.add_option("--in", x->in, "Not before this long from now, as in 10m");
  command.add_option("--timeout", x->timeout, "Longest run time of one attempt, as in 30s");
  command.add_option("--retries", x->retries, "Attempts after the first that fails (default: 0)");
  command.add_option("--backoff", x->backoff, "Pause before the second attempt (default: 1s)");
  command
    .add_option("--rule", x->rule,
                "rerunnable (default), owner_bound or externally_owned: what may happen when "
                "the owner is lost")
    ->type_name("{rerunnable,owner_bound,externally_owned}");
  command.add_option("--concurrency-key", x->concurrency_key,
                     "Of those with the same key in the queue, no more run at once than `belay "
                     "queue limit --per-key` says");
  command.add_option("--traceparent", x->traceparent,
                     "W3C trace context that it belongs to (default: TRACEPARENT of the "
                     "environment)");
  command.add_option("--label", x->labels, "NAME=VALUE, may be repeated")
    ->allow_extra_args(false)
    ->take_all();
  command.add_option("--args", x->args, "Arguments of a tool other than exec, as JSON");
  command.add_option("--cwd", x->cwd, "exec: working directory")->type_name("DIR");
  command.add_option("--env", x->env, "exec: NAME=VALUE, may be repeated")
    ->allow_extra_args(false)
    ->take_all();
  command
    .add_option("--stdin", x->stdin_file, "exec: file to read standard input from (- for ours)")
    ->type_name("FILE");
  command.add_flag("--stream", x->stream, "exec: write output as events while it runs");
  command.add_option(
    "TOOL", x->tool,
    "The tool, or a workflow as NAME or NAME@VERSION; for exec the program follows "
    "after --");
  command.footer(
    "The rule is rerunnable unless said otherwise: after a crash the process may be "
    "run again.\n"
    "Example: belay start --id nightly-7 exec --timeout 30s -- tar czf /tmp/x.tgz /etc");
  command.callback([&common, &action, x] { action = [&common, x] { return start(common, *x); }; });
}

} // namespace belay::app
