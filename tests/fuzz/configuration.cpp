// Settings from a file, the environment and flags: what is accepted is shown so that it can be
// loaded again.
//
// Lines "%%" divide an input: first the file, then one setting each, BELAY_KEY=VALUE for a variable
// and anything else for a flag.
#include "app/configuration.hpp"

#include "tests/fuzz/fuzz.hpp"

#include <cerrno>
#include <map>
#include <stdexcept>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

using namespace belay;
using namespace belay::app;
using fuzz::expect;

namespace {

/// A file in memory.
class memory_file {
public:
  explicit memory_file(std::string_view text) : file_{memfd_create("fuzz", MFD_CLOEXEC)} {
    if (file_ < 0 || write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw std::system_error{errno, std::generic_category(), "cannot write a file in memory"};
    }
  }

  ~memory_file() {
    close(file_);
  }

  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;

  [[nodiscard]] std::filesystem::path path() const {
    return "/proc/self/fd/" + std::to_string(file_);
  }

private:
  int file_;
};

struct sources {
  std::string file;
  std::map<std::string, std::string> environment;
  std::vector<std::string> flags;
};

sources split(std::string_view text) {
  constexpr std::string_view divider = "\n%%\n";
  sources result;
  auto end = text.find(divider);
  result.file = text.substr(0, end);
  while (end != std::string_view::npos) {
    text.remove_prefix(end + divider.size());
    end = text.find(divider);
    std::string setting{text.substr(0, end)};
    setting.resize(std::min(setting.find('\0'), setting.size())); // Neither can hold a NUL byte.
    const auto equals = setting.find('=');
    if (setting.compare(0, 6, "BELAY_") == 0 && equals != std::string::npos) {
      result.environment[setting.substr(0, equals)] = setting.substr(equals + 1);
    } else {
      result.flags.push_back(std::move(setting));
    }
  }
  return result;
}

checked<configuration> load(const sources& from) {
  const memory_file file{from.file};
  return load_configuration(
    file.path(),
    [&from](const std::string& name) {
      const auto found = from.environment.find(name);
      return found == from.environment.end() ? std::nullopt : std::optional{found->second};
    },
    from.flags);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto x = load(split(fuzz::text_of(data, size)));
  if (!x) {
    expect(!x.why().text.empty(), "a refusal says why");
    return 0;
  }
  const auto shown = render_configuration(*x);
  auto again = load({shown, {}, {}});
  expect(static_cast<bool>(again), "what is shown is accepted", shown);
  x->origins.clear();
  again->origins.clear();
  expect(render_configuration(*again) == render_configuration(*x), "what is shown is stable",
         shown);
  expect(again->node_name == x->node_name && again->worker_queues == x->worker_queues
           && again->exec_allow == x->exec_allow && again->log_levels == x->log_levels,
         "texts are loaded as they are shown", shown);
  return 0;
}
