// The store alone, against the disk's own speed: operations per sync with a long history, claims
// out of a large backlog, counts, opening, and a steady state with retention.
//
// Usage: bench_store [ROWS [STEADY_SECONDS]]; ROWS is the large backlog (default 1,000,000), the
// history a fifth of it.
#include "storage/store.hpp"

#include "tests/bench/bench.hpp"
#include "tests/support/registrations.hpp"

#include <cstdio>
#include <random>

using namespace belay;
using bench::seconds_since;

namespace {

constexpr duration_ms ttl = 1'000'000'000;

struct driver {
  explicit driver(const std::filesystem::path& directory) {
    options.directory = directory;
    open();
  }

  void open() {
    store.reset();
    store = std::make_unique<storage::store>(options);
  }

  storage::batch_result apply(const std::vector<operation>& batch) {
    return store->apply(batch, {++now, [this] { return random(); }});
  }

  registration make(timestamp_ms due = 0, const std::string& queue = "default") {
    auto x = base;
    x.id = "process-" + std::to_string(++number);
    x.due_at = due;
    x.queue = queue;
    return x;
  }

  /// Registers rows, a thousand in a message.
  void fill(std::size_t count, timestamp_ms due, const std::string& queue) {
    while (count > 0) {
      register_request message;
      for (; count > 0 && message.items.size() < 1'000; --count) {
        message.items.push_back(make(due, queue));
      }
      static_cast<void>(apply({std::move(message)}));
    }
  }

  /// Registers, claims and ends `count` processes in large batches.
  void live(std::size_t count) {
    for (std::size_t done = 0; done < count; done += 1'000) {
      fill(1'000, 0, "default");
      const auto got = apply({claim_request{{"w", 1}, {"fake"}, {"default"}, 1'000, ttl}});
      std::vector<operation> ends;
      for (const auto& row : std::get<claimed_list>(got.answers.front()).items) {
        ends.push_back(complete_request{row.held, make_success("1")});
      }
      static_cast<void>(apply(ends));
    }
  }

  storage::options options;
  std::unique_ptr<storage::store> store;
  registration base = tests::make_registration("x");
  timestamp_ms now = 1'790'000'000'000;
  std::uint64_t number = 0;
  std::mt19937_64 random{7};
};

void line(const char* what, double figure, const char* unit, double aim, bool at_least) {
  const auto met = at_least ? figure >= aim : figure <= aim;
  std::printf("%-58s %10.2f %-4s aim %8.2f  %s\n", what, figure, unit, aim,
              met ? "met" : "NOT MET");
}

/// Operations per second when `width` callers have one operation each in every batch: register,
/// claim, renew, three events, complete, one after the other, each of them on disk before the next.
double operations_per_second(driver& x, std::size_t width) {
  constexpr double length = 1.5;
  const auto start = bench::clock::now();
  std::size_t operations = 0;
  while (seconds_since(start) < length) {
    std::vector<operation> batch;
    for (std::size_t i = 0; i < width; ++i) {
      batch.push_back(register_request{{x.make()}});
    }
    static_cast<void>(x.apply(batch));
    batch.clear();
    for (std::size_t i = 0; i < width; ++i) {
      batch.push_back(claim_request{{"w", 1}, {"fake"}, {"default"}, 1, ttl});
    }
    const auto claims = x.apply(batch);
    std::vector<lease> held;
    for (const auto& answered : claims.answers) {
      held.push_back(std::get<claimed_list>(answered).items.at(0).held);
    }
    const auto each = [&](const auto& make) {
      batch.clear();
      for (const auto& one : held) {
        batch.push_back(make(one));
      }
      static_cast<void>(x.apply(batch));
    };
    each([](const lease& one) { return operation{renew_request{one, ttl + 1}}; });
    for (int events = 0; events < 3; ++events) {
      each([](const lease& one) {
        return operation{append_request{one.id, "note", "{}", "", true, one}};
      });
    }
    each([](const lease& one) { return operation{complete_request{one, make_success("1")}}; });
    operations += 7 * width;
  }
  return static_cast<double>(operations) / seconds_since(start);
}

void backlog(const std::filesystem::path& directory, std::size_t rows) {
  driver x{directory};
  x.fill(rows / 2, x.now + ttl, "delayed");
  x.fill(rows / 2 - 1'000, 0, "other");
  x.fill(1'000, 0, "default");
  auto best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = bench::clock::now();
    const auto got = x.apply({claim_request{{"w", 1}, {"fake"}, {"default"}, 1'000, ttl}});
    best = std::min(best, seconds_since(start) * 1e3);
    std::vector<operation> back;
    for (const auto& row : std::get<claimed_list>(got.answers.front()).items) {
      back.push_back(release_request{row.held, "again", true});
    }
    static_cast<void>(x.apply(back));
  }
  line("claim of 1,000 due rows out of the backlog, with its commit", best, "ms", 5, false);
  std::vector<double> counts;
  for (int i = 0; i < 100; ++i) {
    const auto start = bench::clock::now();
    static_cast<void>(x.store->counts());
    counts.push_back(seconds_since(start) * 1e3);
  }
  line("counts by state", bench::median(counts), "ms", 1, false);
  x.store.reset();
  const auto start = bench::clock::now();
  x.open();
  line("opening the store", seconds_since(start), "s", 1, false);
}

/// Lifecycles with retention: what a fifth of the time gives at the end against the beginning.
void steady(const std::filesystem::path& directory, double length) {
  driver x{directory};
  std::vector<double> rates;
  const auto start = bench::clock::now();
  while (seconds_since(start) < length) {
    const auto slice = bench::clock::now();
    std::size_t done = 0;
    while (seconds_since(slice) < length / 10) {
      x.live(1'000);
      done += 1'000;
      // Keeps about ten thousand finished rows.
      prune_request request;
      request.before = x.now - 30;
      request.max = 1'000;
      static_cast<void>(x.apply({request}));
      static_cast<void>(x.apply({compact_request{x.now - 60, 0, 1'000}}));
    }
    rates.push_back(static_cast<double>(done) / seconds_since(slice));
  }
  const auto first = (rates.at(1) + rates.at(2)) / 2;
  const auto last = (rates.at(rates.size() - 2) + rates.at(rates.size() - 3)) / 2;
  std::printf("steady state: %.0f lifecycles/s at first, %.0f at last, file %.1f MiB\n", first,
              last, static_cast<double>(x.store->stat().file_bytes) / (1 << 20));
  line("steady state with retention, rate at the end over the start", last / first, "x", 0.8, true);
}

} // namespace

int main(int argc, char** argv) {
  const auto rows = static_cast<std::size_t>(bench::number_argument(argc, argv, 1, 1'000'000));
  const auto length = bench::number_argument(argc, argv, 2, 60);
  const bench::bench_directory directory;
  std::printf("raw 4 KiB overwrite and fdatasync: %.0f us\n",
              bench::raw_sync_seconds(directory.path()) * 1e6);
  {
    driver x{directory.path() / "history"};
    x.live(rows / 5);
    std::printf("history: %zu finished processes\n", rows / 5);
    constexpr std::array<std::pair<std::size_t, double>, 4> aims{
      {{1, 0.33}, {8, 2.2}, {64, 12}, {512, 40}}};
    for (const auto& [width, aim] : aims) {
      // The disk's own speed right before and after: on a shared machine it changes by the second.
      const auto before = bench::raw_sync_seconds(directory.path(), 200);
      const auto rate = operations_per_second(x, width);
      const auto raw = (before + bench::raw_sync_seconds(directory.path(), 200)) / 2;
      char what[80];
      std::snprintf(what, sizeof what, "operations per raw sync, %zu at once (%.0f/s, %.0f us)",
                    width, rate, raw * 1e6);
      line(what, rate * raw, "", aim, true);
    }
  }
  std::printf("backlog: %zu processes\n", rows);
  backlog(directory.path() / "backlog", rows);
  steady(directory.path() / "steady", length);
  return 0;
}
