// Lifecycles a second (register, claim, complete, each acknowledged from disk) through the registry
// actor, beside the same work as bare batches of the store and the disk's own syncs, in one run;
// and the time from a registration to its outcome through a whole node with nothing else to do.
#include "actors/clock.hpp"
#include "actors/node/client.hpp"
#include "actors/node/runtime.hpp"
#include "actors/node/system_config.hpp"
#include "actors/registry/registry.hpp"
#include "actors/registry/timekeeper.hpp"
#include "actors/registry/watcher.hpp"
#include "tests/bench/bench.hpp"
#include "tests/support/registrations.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <cstdio>
#include <future>
#include <random>

using namespace belay;
using namespace belay::bench;

namespace {

constexpr double run_seconds = 2.0;
constexpr duration_ms ttl_ms = 60'000;

std::shared_ptr<storage::store> open_store(const std::filesystem::path& path) {
  storage::options options;
  options.directory = path;
  return std::make_shared<storage::store>(options);
}

std::function<std::uint64_t()> random_source() {
  return [engine = std::make_shared<std::mt19937_64>(1)] { return (*engine)(); };
}

std::string name(std::uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "p%012llu", static_cast<unsigned long long>(number));
  return text;
}

/// Bare batches: n registrations, then n claims, then n completions, one commit each.
double bare_rate(const std::filesystem::path& path, std::size_t in_flight) {
  const auto store = open_store(path);
  const auto random = random_source();
  const auto wall = actors::system_time().wall;
  const owner me{"bench", 1};
  std::uint64_t number = 0;
  std::uint64_t finished = 0;
  auto item = tests::make_registration("x");
  const auto start = clock::now();
  while (seconds_since(start) < run_seconds) {
    std::vector<operation> batch;
    for (std::size_t i = 0; i < in_flight; ++i) {
      item.id = name(number++);
      batch.emplace_back(register_request{{item}});
    }
    static_cast<void>(store->apply(batch, {wall(), random}));
    batch.clear();
    for (std::size_t i = 0; i < in_flight; ++i) {
      batch.emplace_back(claim_request{me, {"fake"}, {}, 1, ttl_ms});
    }
    auto claims = store->apply(batch, {wall(), random});
    batch.clear();
    for (auto& answered : claims.answers) {
      auto& row = std::get<claimed_list>(answered).items.at(0);
      batch.emplace_back(complete_request{row.held, make_success("1")});
    }
    static_cast<void>(store->apply(batch, {wall(), random}));
    finished += in_flight;
  }
  return static_cast<double>(finished) / seconds_since(start);
}

struct driver_state {
  std::uint64_t number = 0;
  std::uint64_t finished = 0;
  std::size_t open = 0;
  registration item = tests::make_registration("x");
};

/// Keeps a number of lifecycles in flight, each waiting for every acknowledgement.
class driver {
public:
  driver(caf::stateful_actor<driver_state>* self, registry_actor registry, std::size_t in_flight,
         std::promise<double>* rate)
    : self_{self}, registry_{std::move(registry)}, rate_{rate} {
    for (std::size_t i = 0; i < in_flight; ++i) {
      begin();
    }
  }

private:
  void begin() {
    auto& state = self_->state;
    state.item.id = name(state.number++);
    ++state.open;
    self_->request(registry_, limit, atom::enroll_v, std::vector<registration>{state.item})
      .then([this](const registered_list&) { claim(); });
  }

  void claim() {
    self_
      ->request(registry_, limit, atom::claim_v, owner{"bench", 1},
                std::vector<std::string>{"fake"}, std::vector<std::string>{}, std::uint32_t{1})
      .then([this](const claimed_list& rows) { complete(rows.items.at(0).held); });
  }

  void complete(const lease& held) {
    self_->request(registry_, limit, atom::complete_v, held, make_success("1"))
      .then([this](const completion&) {
        auto& state = self_->state;
        ++state.finished;
        --state.open;
        if (seconds_since(start_) < run_seconds) {
          begin();
        } else if (state.open == 0) {
          rate_->set_value(static_cast<double>(state.finished) / seconds_since(start_));
          self_->quit();
        }
      });
  }

  static constexpr std::chrono::seconds limit{30};
  caf::stateful_actor<driver_state>* self_;
  registry_actor registry_;
  std::promise<double>* rate_;
  clock::time_point start_ = clock::now();
};

double actor_rate(const std::filesystem::path& path, std::size_t in_flight) {
  const auto store = open_store(path);
  actors::system_config config{false};
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  auto time = system.spawn(actors::timekeeper, duration_ms{30'000});
  const auto clock = std::make_shared<const actors::registry_clock>(actors::system_time(), 0);
  auto watch = system.spawn(actors::watcher, store, clock, actors::watch_policy{},
                            std::shared_ptr<actors::visitors>{});
  actors::registry_links links{store,
                               clock,
                               random_source(),
                               watch,
                               time,
                               {}, // Nobody enlists.
                               [](const std::string&) { std::abort(); }};
  auto registry
    = system.spawn<caf::detached>(actors::registry, std::move(links), actors::registry_policy{});
  std::promise<double> rate;
  auto future = rate.get_future();
  system.spawn([&](caf::stateful_actor<driver_state>* me) -> caf::behavior {
    auto work = std::make_shared<driver>(me, registry, in_flight, &rate);
    me->attach_functor([work] {});
    return {[](caf::unit_t) {}};
  });
  const auto result = future.get();
  caf::anon_send_exit(registry, caf::exit_reason::user_shutdown);
  self->wait_for(registry);
  caf::anon_send_exit(time, caf::exit_reason::kill);
  caf::anon_send_exit(watch, caf::exit_reason::user_shutdown);
  self->wait_for(watch, time);
  return result;
}

/// Register to outcome seen, one at a time, through a whole node; in median seconds.
double latency(const std::filesystem::path& path, int count) {
  auto box = std::make_shared<running::toolbox>();
  box->add({"fake", nlohmann::json::object(),
            [](const running::run_info&, const nlohmann::json&,
               running::run_callbacks callbacks) -> std::unique_ptr<running::tool_run> {
              callbacks.finished(make_success("1"));
              return nullptr;
            }});
  actors::runtime_options options;
  options.store.directory = path;
  options.tools = box;
  options.publish = false;
  actors::runtime node{std::move(options)};
  const auto client = node.make_client();
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    auto item = tests::make_registration(name(static_cast<std::uint64_t>(i)));
    const auto start = clock::now();
    static_cast<void>(client->enroll({item}));
    const auto ended = client->wait(item.id, 10'000);
    times.push_back(seconds_since(start));
    if (!ended) {
      throw std::runtime_error{ended.why().text};
    }
  }
  return median(times);
}

} // namespace

int main() {
  const bench_directory scratch;
  std::printf("lifecycles a second, each step acknowledged from disk\n");
  std::printf("%10s %12s %12s %9s %14s\n", "in flight", "registry", "bare store", "ratio",
              "raw syncs/s");
  int number = 0;
  for (const std::size_t in_flight : {1U, 8U, 64U, 512U}) {
    const auto raw = 1.0 / raw_sync_seconds(scratch.path());
    const auto bare = bare_rate(scratch.path() / std::to_string(number++), in_flight);
    const auto actors = actor_rate(scratch.path() / std::to_string(number++), in_flight);
    std::printf("%10zu %12.0f %12.0f %9.2f %14.0f\n", in_flight, actors, bare, actors / bare, raw);
  }
  const auto raw = raw_sync_seconds(scratch.path());
  const auto one = latency(scratch.path() / "latency", 500);
  std::printf(
    "register to outcome seen, one in flight: median %.0f us = %.1f raw syncs (%.0f us)\n",
    one * 1e6, one / raw, raw * 1e6);
  return 0;
}
