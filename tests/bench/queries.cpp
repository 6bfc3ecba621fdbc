// How quickly a node with 100,000 processes answers `list`, `get` and `events`.
#include "actors/clock.hpp"
#include "actors/node/client.hpp"
#include "actors/node/runtime.hpp"
#include "tests/bench/bench.hpp"
#include "tests/support/registrations.hpp"

#include <cstdio>
#include <random>

using namespace belay;
using namespace belay::bench;

namespace {

constexpr int rows = 100'000;
constexpr int batch_rows = 1'000;

void fill(const std::filesystem::path& path) {
  storage::options options;
  options.directory = path;
  storage::store store{options};
  std::mt19937_64 engine{1};
  const storage::batch_context context{actors::system_time().wall(),
                                       [&engine] { return engine(); }};
  auto item = tests::make_registration("x");
  for (int first = 0; first < rows; first += batch_rows) {
    register_request request;
    for (int i = first; i < first + batch_rows; ++i) {
      item.id = "p" + std::to_string(i);
      item.queue = i % 10 == 0 ? "tenth" : "default";
      request.items.push_back(item);
    }
    const std::vector<operation> batch{request};
    static_cast<void>(store.apply(batch, context));
  }
}

template <class Work>
void measure(const char* what, Work work) {
  constexpr int runs = 50;
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const auto start = clock::now();
    if (!work()) {
      throw std::runtime_error{what};
    }
    times.push_back(seconds_since(start));
  }
  std::sort(times.begin(), times.end());
  std::printf("%-44s median %7.2f ms, most %7.2f ms\n", what, median(times) * 1e3,
              times.back() * 1e3);
}

} // namespace

int main() {
  const bench_directory scratch;
  fill(scratch.path());
  actors::runtime_options options;
  options.store.directory = scratch.path();
  options.tools = std::make_shared<running::toolbox>();
  actors::runtime node{std::move(options)};
  const auto connected = actors::client::connect("127.0.0.1", node.port());
  if (!connected) {
    throw std::runtime_error{connected.why().text};
  }
  auto& client = **connected;
  std::printf("%d processes, a client over loopback\n", rows);
  measure("get", [&client] { return bool{client.get("p77777")}; });
  measure("events", [&client] { return bool{client.events("p77777", 0, 500)}; });
  list_query query;
  measure("list, newest 50", [&] { return bool{client.list(query)}; });
  query.queue = "tenth";
  measure("list --queue tenth, newest 50", [&] { return bool{client.list(query)}; });
  query.queue.clear();
  query.state = "failure";
  measure("list --state failure (none: a full scan)", [&] { return bool{client.list(query)}; });
  query.state.clear();
  query.limit = 1'000;
  measure("list --limit 1000", [&] { return bool{client.list(query)}; });
  return 0;
}
