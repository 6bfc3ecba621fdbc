// belay timeline: a process's life as bars, in the terminal or as a page.
#include "app/timeline.hpp"

#include "app/commands/commands.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

namespace belay::app {

namespace {

constexpr std::uint32_t page_size = 1'000;
/// Of the history and of the children: what a picture can hold.
constexpr std::size_t parts_max = 10'000;
constexpr std::size_t columns_default = 100;
constexpr std::size_t columns_min = 60;
constexpr std::size_t columns_max = 500;

struct timeline_options {
  process_id id;
  std::string html;
  std::size_t columns = 0;
};

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= columns_min
           ? std::min<std::size_t>(size.ws_col, columns_max)
           : columns_default;
}

std::vector<event> history_of(actors::client& client, const process_id& id) {
  std::vector<event> all;
  for (;;) {
    auto page = expect(client.events(id, all.empty() ? 0 : all.back().seq, page_size));
    all.insert(all.end(), page.events.begin(), page.events.end());
    if (!page.more || page.events.empty() || all.size() >= parts_max) {
      return all;
    }
  }
}

std::vector<process_view> children_of(actors::client& client, const process_id& id) {
  std::vector<process_view> all;
  list_query query;
  query.parent = id;
  query.limit = page_size;
  do {
    auto page = expect(client.list(query));
    std::move(page.processes.begin(), page.processes.end(), std::back_inserter(all));
    query.after = page.next;
  } while (query.after != row_id{} && all.size() < parts_max);
  return all;
}

void write_page(const std::string& path, const std::string& page) {
  std::ofstream out{path, std::ios::binary};
  out << page << std::flush;
  if (!out) {
    throw command_failure{exit_code::usage,
                          "--html: cannot write '" + path + "': " + std::strerror(errno)};
  }
}

nlohmann::json json_of(const timeline& x) {
  auto bars = nlohmann::json::array();
  for (const auto& one : x.bars) {
    bars.push_back({{"kind", to_string(one.kind)},
                    {"label", one.label},
                    {"from", one.from},
                    {"until", one.until},
                    {"open", one.is_open},
                    {"end", one.end}});
  }
  return {{"id", x.id}, {"state", x.state}, {"from", x.from}, {"until", x.until}, {"bars", bars}};
}

exit_code show(const common_options& common, const timeline_options& x) {
  const auto client = connect(common);
  const auto view = expect(client->get(x.id));
  const auto made
    = make_timeline(view, history_of(*client, x.id), children_of(*client, x.id), wall_now());
  if (!x.html.empty() && x.html != "-") {
    write_page(x.html, timeline_html(made));
    return exit_code::success;
  }
  if (common.quiet) {
    return exit_code::success;
  }
  if (x.html.empty() && common.format == output_format::json) {
    print_line(json_of(made).dump(2));
    return exit_code::success;
  }
  auto text = x.html == "-" ? timeline_html(made)
                            : timeline_text(made, x.columns == 0 ? terminal_columns() : x.columns);
  text.pop_back();
  print_line(text);
  return exit_code::success;
}

} // namespace

void add_timeline_command(CLI::App& app, common_options& common, command_action& action) {
  auto& command = *app.add_subcommand("timeline", "Draw a process's life as bars");
  auto x = std::make_shared<timeline_options>();
  add_common(command, common);
  command.add_option("ID", x->id, "Process id")->required();
  command
    .add_option("--html", x->html,
                "Write a page of its own to this file instead; - for standard output")
    ->type_name("FILE");
  command.add_option("--columns", x->columns, "Width (default: that of the terminal)")
    ->check(CLI::Range(columns_min, columns_max));
  command.footer("Example: belay timeline nightly-7 --html nightly-7.html");
  command.callback([&common, &action, x] { action = [&common, x] { return show(common, *x); }; });
}

} // namespace belay::app
