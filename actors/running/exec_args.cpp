#include "actors/running/exec_args.hpp"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fnmatch.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace belay::running {

namespace {

constexpr std::size_t argv_max = 4'096;

bool has_nul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

std::string variable(const std::vector<std::string>& environment, const std::string& name) {
  for (const auto& entry : environment) {
    if (entry.compare(0, name.size() + 1, name + "=") == 0) {
      return entry.substr(name.size() + 1);
    }
  }
  return "";
}

std::vector<std::string> make_environment(const exec_args& args, const run_info& info) {
  std::map<std::string, std::string> all;
  if (!args.clear_env) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text{*entry};
      const auto equals = text.find('=');
      if (equals != std::string::npos) {
        all[text.substr(0, equals)] = text.substr(equals + 1);
      }
    }
  }
  // What a service manager tells this node: a program must not speak in its place (sd_notify(3)).
  for (const auto* name : {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}) {
    all.erase(name);
  }
  // The node's own surroundings are not those of what it runs.
  all.erase("TRACEPARENT");
  all.erase("TRACESTATE");
  if (!info.traceparent.empty()) {
    all["TRACEPARENT"] = info.traceparent;
  }
  for (const auto& [name, value] : args.env) {
    all[name] = value;
  }
  all["BELAY_PROCESS_ID"] = info.id;
  all["BELAY_ATTEMPT"] = std::to_string(info.attempt);
  std::vector<std::string> result;
  result.reserve(all.size());
  for (const auto& [name, value] : all) {
    result.push_back(name + "=" + value);
  }
  return result;
}

bool is_program(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode)
         && access(path.c_str(), X_OK) == 0;
}

/// Looks a name up as execvp(3) would; empty when there is none.
std::string
find_program(const std::string& name, const std::string& search, const std::string& cwd) {
  const auto below = [&cwd](const std::string& path) {
    return path.front() == '/' || cwd.empty() ? path : cwd + "/" + path;
  };
  if (name.find('/') != std::string::npos) {
    const auto path = below(name);
    return is_program(path) ? path : "";
  }
  std::size_t from = 0;
  while (from <= search.size()) {
    const auto colon = std::min(search.find(':', from), search.size());
    const auto folder = search.substr(from, colon - from);
    const auto path = below((folder.empty() ? "." : folder) + "/" + name);
    if (is_program(path)) {
      return path;
    }
    from = colon + 1;
  }
  return "";
}

/// A pattern with a slash speaks of the file that will really run; one without, of the bare name it
/// was asked for by. A path in argv[0] must be allowed as a path.
bool is_allowed(const std::vector<std::string>& patterns, const std::string& given,
                const std::string& path) {
  std::error_code ignored;
  const auto real = std::filesystem::weakly_canonical(path, ignored).string();
  for (const auto& pattern : patterns) {
    const auto about_path = pattern.find('/') != std::string::npos;
    const auto matches = [&pattern](const std::string& text) {
      return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
    };
    if (pattern == "*" || (about_path && (matches(path) || matches(real)))
        || (!about_path && given.find('/') == std::string::npos && matches(given))) {
      return true;
    }
  }
  return false;
}

} // namespace

nlohmann::json exec_schema(const exec_options& options) {
  return {
    {"type", "object"},
    {"required", {"argv"}},
    {"additionalProperties", false},
    {"properties",
     {{"argv",
       {{"type", "array"},
        {"items", {{"type", "string"}}},
        {"minItems", 1},
        {"maxItems", argv_max}}},
      {"cwd", {{"type", "string"}, {"pattern", "^/"}}},
      {"env", {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}}},
      {"clear_env", {{"type", "boolean"}}},
      {"stdin", {{"type", "string"}}},
      {"stream", {{"type", "boolean"}}},
      {"capture_bytes",
       {{"type", "integer"}, {"minimum", 0}, {"maximum", options.capture_bytes_max}}},
      {"success_codes",
       {{"type", "array"}, {"items", {{"type", "integer"}, {"minimum", 0}, {"maximum", 255}}}}}}}};
}

checked<exec_args> read_exec_args(const nlohmann::json& text, const exec_options& options) {
  exec_args x;
  const auto bad = [](const std::string& what) { return refusal{ec::bad_request, "args/" + what}; };
  x.argv = text.at("argv").get<std::vector<std::string>>();
  x.cwd = text.value("cwd", "");
  x.env = text.value("env", std::map<std::string, std::string>{});
  x.clear_env = text.value("clear_env", false);
  x.input = text.value("stdin", "");
  x.stream = text.value("stream", false);
  x.capture_bytes = text.value("capture_bytes", options.capture_bytes_max);
  x.success_codes = text.value("success_codes", std::set<int>{0});
  if (x.argv.front().empty()) {
    return bad("argv/0: \"\" is not acceptable, expected a program");
  }
  for (const auto& word : x.argv) {
    if (has_nul(word)) {
      return bad("argv: a string with a NUL byte is not acceptable");
    }
  }
  for (const auto& [name, value] : x.env) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value)) {
      return bad("env: '" + name
                 + "' is not acceptable as the name of a variable, or its value has "
                   "a NUL byte");
    }
  }
  if (has_nul(x.cwd)) {
    return bad("cwd: a NUL byte is not acceptable");
  }
  if (x.input.size() > options.stdin_bytes_max) {
    return bad("stdin: " + std::to_string(x.input.size())
               + " bytes are not acceptable, expected at most "
               + std::to_string(options.stdin_bytes_max) + " (tools.exec.stdin_max)");
  }
  return x;
}

resolution resolve(const exec_args& args, const run_info& info, const exec_options& options) {
  resolved_program result;
  result.environment = make_environment(args, info);
  std::error_code unknown; // A path that is too long is not there either.
  if (!args.cwd.empty() && !std::filesystem::is_directory(args.cwd, unknown)) {
    return make_failure(failure_class::execution, "cwd_not_found",
                        "the working directory '" + args.cwd + "' is not there", false);
  }
  const auto& name = args.argv.front();
  result.path = find_program(name, variable(result.environment, "PATH"), args.cwd);
  if (result.path.empty()) {
    return make_failure(failure_class::execution, "program_not_found",
                        "there is no program '" + name + "'", false);
  }
  if (!is_allowed(options.allow, name, result.path)) {
    return make_failure(failure_class::permission_denied, "program_not_allowed",
                        "tools.exec.allow does not name '" + name + "' (" + result.path + ")",
                        false);
  }
  return result;
}

void put_bytes(nlohmann::json& to, const std::string& name, const std::string& bytes) {
  nlohmann::json text = bytes;
  try {
    static_cast<void>(text.dump()); // Throws on anything that is not UTF-8.
    to[name] = std::move(text);
  } catch (const nlohmann::json::type_error&) {
    std::string encoded((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const auto length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                        reinterpret_cast<const unsigned char*>(bytes.data()),
                                        static_cast<int>(bytes.size()));
    encoded.resize(static_cast<std::size_t>(length));
    to[name + "_base64"] = std::move(encoded);
  }
}

std::string signal_name(int number) {
  const char* name = sigabbrev_np(number);
  return name == nullptr ? "signal " + std::to_string(number) : "SIG" + std::string{name};
}

} // namespace belay::running
