// Arguments of the exec tool: what is accepted can be handed to the system.
#include "actors/running/exec_args.hpp"

#include "messages/json_strict.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

using namespace belay;
using namespace belay::running;
using fuzz::expect;

namespace {

exec_options make_options() {
  exec_options x;
  x.allow = {"true", "/bin/s*", "/usr/bin/*"};
  x.capture_bytes_max = 1'000;
  x.stdin_bytes_max = 64;
  return x;
}

const toolbox& tools(const exec_options& options) {
  static toolbox box;
  if (box.find("exec") == nullptr) {
    box.add({"exec", exec_schema(options), nullptr});
  }
  return box;
}

bool has_nul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

void check_accepted(const exec_args& x, const exec_options& options) {
  expect(!x.argv.empty() && !x.argv.front().empty(), "there is a program");
  expect(std::none_of(x.argv.begin(), x.argv.end(), has_nul), "no word has a NUL byte");
  expect(x.cwd.empty() || x.cwd.front() == '/', "the working directory is absolute", x.cwd);
  expect(!has_nul(x.cwd), "the working directory has no NUL byte");
  for (const auto& [name, value] : x.env) {
    expect(!name.empty() && name.find('=') == std::string::npos && !has_nul(name + value),
           "a variable has a name that the system takes", name);
  }
  expect(x.input.size() <= options.stdin_bytes_max, "the input is bounded");
  expect(x.capture_bytes <= options.capture_bytes_max, "the captured output is bounded");
  expect(std::all_of(x.success_codes.begin(), x.success_codes.end(),
                     [](int code) { return code >= 0 && code <= 255; }),
         "a success code is an exit code");
  const auto found = resolve(x, {"id", 1}, options);
  if (const auto* program = std::get_if<resolved_program>(&found)) {
    expect(!program->path.empty(), "a program has a path");
    expect(
      std::count(program->environment.begin(), program->environment.end(), "BELAY_PROCESS_ID=id")
        == 1,
      "a program knows its process");
  } else {
    expect(std::get<outcome>(found).kind == outcome_kind::failure, "what cannot run is a failure");
    expect(!std::get<outcome>(found).message.empty(), "a failure says why");
  }
}

/// Any output of a program can be shown as JSON.
void check_output(std::string_view bytes) {
  nlohmann::json to;
  put_bytes(to, "stdout", std::string{bytes});
  expect(to.contains("stdout") != to.contains("stdout_base64"), "output is text or Base64");
  expect(!to.dump().empty(), "output can be written");
  if (to.contains("stdout")) {
    expect(to["stdout"].get<std::string>() == bytes, "output that is text stays as it is");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto options = make_options();
  const auto text = fuzz::text_of(data, size);
  check_output(text);
  const auto parsed = parse_json_strict(text);
  if (!parsed) {
    return 0;
  }
  if (const auto no = tools(options).check_args("exec", *parsed)) {
    expect(!no->text.empty(), "a refusal says why");
    return 0;
  }
  const auto x = read_exec_args(*parsed, options);
  if (x) {
    check_accepted(*x, options);
  } else {
    expect(!x.why().text.empty(), "a refusal says why");
  }
  return 0;
}
