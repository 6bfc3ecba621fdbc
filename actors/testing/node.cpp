#include "actors/testing/node.hpp"

#include "actors/node/node.hpp"
#include "actors/testing/deterministic_system.hpp"
#include "messages/event.hpp"

#include <caf/scoped_actor.hpp>
#include <cstdlib>
#include <limits>
#include <random>
#include <unistd.h>

namespace belay::testing {

namespace {

/// A directory in memory where the system has one.
class memory_directory {
public:
  memory_directory() {
    std::error_code ignored;
    const auto shared = std::filesystem::path{"/dev/shm"};
    const auto base
      = access(shared.c_str(), W_OK) == 0 ? shared : std::filesystem::temp_directory_path(ignored);
    auto pattern = (base / "belay-testing-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error{"cannot make a temporary directory below " + base.string()};
    }
    path_ = pattern;
  }

  ~memory_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  memory_directory(const memory_directory&) = delete;
  memory_directory& operator=(const memory_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }

private:
  std::filesystem::path path_;
};

/// What a tool sees here: never cancelled, since it is over before anybody could.
class inline_context : public running::tool_context {
public:
  inline_context(const running::run_info& info, const running::run_callbacks& callbacks)
    : info_{info}, callbacks_{callbacks} {}

  [[nodiscard]] const running::run_info& info() const override {
    return info_;
  }
  [[nodiscard]] bool cancelled() const override {
    return false;
  }
  bool wait_for(std::chrono::milliseconds) override {
    return true;
  }
  void emit(std::string type, const json& payload) override {
    callbacks_.emit(std::move(type), payload.dump());
  }
  void progress(const json& status) override {
    callbacks_.status(status.dump());
  }
  std::string attach(std::string bytes, std::string name) override {
    attachment x{"sha256:" + hash_hex(bytes), std::move(name), std::move(bytes)};
    auto ref = x.ref;
    callbacks_.attach(std::move(x));
    return ref;
  }

private:
  const running::run_info& info_;
  const running::run_callbacks& callbacks_;
};

class inline_run : public running::tool_run {
public:
  void cancel() override {}
  void kill() override {}
};

running::tool_start inline_start(running::tool_function function) {
  return [function = std::move(function)](const running::run_info& info, const json& args,
                                          running::run_callbacks callbacks) {
    inline_context context{info, callbacks};
    outcome result;
    try {
      result = function(context, args);
    } catch (...) {
      result = workflows::outcome_of(std::current_exception());
    }
    callbacks.finished(std::move(result));
    return std::make_unique<inline_run>();
  };
}

} // namespace

struct node::impl {
  explicit impl(node_options given) : options{given} {
    open();
  }

  ~impl() {
    close();
  }

  void open() {
    storage::options store_options;
    store_options.directory = directory.path();
    store_options.size_max_bytes = 1ULL << 30;
    store_options.free_min_bytes = 0;
    store_options.interruptions_max = options.interruptions_max;
    store_options.check_new
      = [tools = tools](const registration& x) { return tools->check_input(x); };
    store = std::make_shared<storage::store>(store_options);
    system = std::make_unique<deterministic_system>(options.seed == 0 ? 0 : options.seed + crashes);
    system->sched.clock().current_time += std::chrono::milliseconds{elapsed_ms};
    system->wall_jump_ms = wall_jump_ms;
    system->handled_max = options.turns_max;
    dead = false;
    system->halted = [this] { return dead; };
    spawn();
  }

  void spawn() {
    actors::node_setup setup;
    setup.store = store;
    setup.clock = clock
      = std::make_shared<const actors::registry_clock>(system->time(), store->last_time());
    setup.random = [this] { return random(); };
    setup.tools = tools;
    setup.run_code = [this](const process_id&, const std::function<void()>& code) {
      if (!dead) {
        code();
      }
      return running::work_pool::ticket_ptr{};
    };
    setup.registry.ttl_ms = options.lease_ttl.count();
    setup.worker.slots = options.slots;
    setup.worker.cancel_grace_ms = options.cancel_grace.count();
    setup.worker.renew_interval_ms = options.lease_ttl.count() / 3;
    setup.worker.workflow.park_after_ms = options.park_after.count();
    setup.worker.workflow.limits.children_max = options.children_max;
    setup.worker.workflow.limits.result_bytes_max = options.result_bytes_max;
    setup.detach_registry = false;
    // Alarms are exact here; sweeps for safety's sake would be most of what a month costs.
    setup.safety_sweep_ms = 30LL * 24 * 3'600'000;
    setup.on_fault = [this](const std::string& why) {
      if (!dead) {
        fault = why;
      }
    };
    setup.at_commit = [this](actors::commit_point point) { return survives(point); };
    node = system->sys.spawn(actors::node, std::move(setup));
    to = {};
  }

  /// The actors' first messages are handled when the test runs the node: its tools are added then.
  void greet() {
    while (!to.registry) {
      auto greeted = ask<welcome>(node, atom::hello_v, protocol_version, std::string{"test"});
      if (greeted) {
        to = *greeted;
      } else if (dead) {
        revive(); // It was to die at one of its first commits.
      } else {
        throw std::runtime_error{"the node under test does not answer: " + greeted.why().text};
      }
    }
  }

  bool survives(actors::commit_point point) {
    if (dead) {
      return false;
    }
    if (point == actors::commit_point::before) {
      ++commits;
      if (crash_in > 0) {
        --crash_in;
        dying = crash_in == 0;
      }
    }
    const auto here
      = point == actors::commit_point::before ? crash_point::before : crash_point::after;
    if (dying && here == where) {
      dying = false;
      dead = true;
    }
    return !dead;
  }

  void close() {
    dead = true;
    system->handled_max = std::numeric_limits<std::size_t>::max();
    elapsed_ms = system->steady_ms() - start_ms;
    to = {};
    system->halted = nullptr;
    if (node) {
      caf::anon_send(node, atom::stop_v, false);
      node = nullptr;
    }
    system->run();
    system.reset();
    store.reset();
  }

  void revive() {
    close();
    ++crashes;
    open();
    if (when_crashed) {
      when_crashed();
    }
  }

  void run() {
    for (;;) {
      system->run();
      if (!dead) {
        break;
      }
      revive();
    }
    if (!fault.empty()) {
      throw std::runtime_error{"the node under test has a fault: " + fault};
    }
  }

  template <class Answer, class Handle, class... Ts>
  checked<Answer> ask(const Handle& who, Ts&&... content) {
    std::optional<checked<Answer>> result;
    caf::scoped_actor self{system->sys};
    auto handle = self->request(who, std::chrono::seconds{3'600}, std::forward<Ts>(content)...);
    system->run();
    if (!self->has_next_message()) {
      return refusal{ec::outcome_unknown, "no answer: the program died"};
    }
    handle.receive([&result](Answer& x) { result.emplace(std::move(x)); },
                   [&result](const caf::error& x) { result.emplace(to_refusal(x)); });
    return std::move(*result);
  }

  node_options options;
  memory_directory directory;
  std::shared_ptr<running::toolbox> tools = std::make_shared<running::toolbox>();
  std::shared_ptr<storage::store> store;
  std::shared_ptr<const actors::registry_clock> clock;
  std::unique_ptr<deterministic_system> system;
  node_actor node;
  welcome to;
  std::mt19937_64 random{options.seed + 1};
  std::string fault;
  static constexpr std::int64_t start_ms = 3'600'000;
  std::int64_t elapsed_ms = 0;
  std::int64_t wall_jump_ms = 0;
  std::function<void()> when_crashed;
  std::uint64_t commits = 0;
  std::uint64_t crashes = 0;
  std::uint64_t crash_in = 0;
  crash_point where = crash_point::before;
  bool dying = false;
  bool dead = false;
};

node::node(node_options options) : impl_{std::make_unique<impl>(options)} {}

node::~node() = default;

node& node::tool(std::string name, running::tool_function function, json schema) {
  impl_->tools->add({std::move(name), std::move(schema), inline_start(std::move(function))});
  return *this;
}

node& node::tool(std::string name, simple_tool function, json schema) {
  return tool(
    std::move(name),
    [function = std::move(function)](running::tool_context&, const json& args) {
      return make_success(function(args).dump());
    },
    std::move(schema));
}

node& node::workflow(std::string name, workflow_function code, std::uint32_t version, json schema) {
  impl_->tools->add(
    workflow_definition{std::move(name), version, std::move(schema), std::move(code)});
  return *this;
}

void node::start(registration x) {
  impl_->greet();
  const auto answered = impl_->ask<registered_list>(impl_->to.registry, atom::enroll_v,
                                                    std::vector<registration>{std::move(x)});
  if (impl_->dead) {
    run();
  } else if (!answered) {
    throw std::runtime_error{answered.why().text};
  }
}

namespace {

registration parse(const process_id& id, json input) {
  auto x
    = parse_registration(json{{"id", id}, {"input", std::move(input)}}, recovery_rule::rerunnable);
  if (!x) {
    throw std::runtime_error{x.why().text};
  }
  return std::move(*x);
}

} // namespace

void node::start_workflow(process_id id, const std::string& name, json args,
                          std::uint32_t version) {
  start(parse(
    id,
    {{"type", "workflow"}, {"workflow", name}, {"version", version}, {"args", std::move(args)}}));
}

void node::start_tool(process_id id, const std::string& name, json args) {
  start(parse(id, {{"type", "tool_call"}, {"tool", name}, {"args", std::move(args)}}));
}

checked<event> node::signal(const process_id& id, const std::string& name, const json& payload,
                            const std::string& key) {
  impl_->greet();
  append_request x{id, event_types::signal_prefix + name, payload.dump(), key, false, {}};
  auto answered = impl_->ask<event>(impl_->to.registry, atom::append_v, std::move(x));
  if (impl_->dead) {
    run();
  }
  return answered;
}

checked<cancel_receipt> node::cancel(const process_id& id, bool kill) {
  impl_->greet();
  auto answered = impl_->ask<cancel_receipt>(impl_->to.registry, atom::cancel_v,
                                             cancel_request{id, "asked by the test", kill});
  if (impl_->dead) {
    run();
  }
  return answered;
}

void node::run() {
  impl_->run();
}

void node::advance(std::chrono::milliseconds length) {
  const auto end = impl_->system->steady_ms() + length.count();
  run();
  while (impl_->system->steady_ms() < end) {
    impl_->system->advance(std::chrono::milliseconds{end - impl_->system->steady_ms()});
    run();
  }
}

void node::crash_at(std::uint64_t commit, crash_point where) {
  impl_->crash_in = commit;
  impl_->where = where;
}

void node::crash() {
  impl_->dead = true;
  run();
}

void node::when_crashed(std::function<void()> look) {
  impl_->when_crashed = std::move(look);
}

void node::jump_wall_clock(std::chrono::milliseconds length) {
  impl_->wall_jump_ms += length.count();
}

void node::lose_leases() {
  owner holder{"local", 0};
  for (const auto& x : all()) {
    if (x.state == process_state::running) {
      holder = x.holder;
    }
  }
  static_cast<void>(
    impl_->store->apply(std::vector<operation>{void_request{holder, "taken by the test"}},
                        {impl_->clock->now(), [this] { return impl_->random(); }}));
  impl_->greet();
  caf::anon_send(impl_->to.registry, atom::sweep_v);
}

std::uint64_t node::commits() const {
  return impl_->commits;
}

std::uint64_t node::crashes() const {
  return impl_->crashes;
}

std::optional<outcome> node::outcome_of(const process_id& id) const {
  const auto view = impl_->store->get(id);
  if (!view || view->outcome_json.empty()) {
    return std::nullopt;
  }
  return outcome_from_json(json::parse(view->outcome_json));
}

process_view node::get(const process_id& id) const {
  auto view = impl_->store->get(id);
  if (!view) {
    throw std::runtime_error{view.why().text};
  }
  return std::move(*view);
}

std::vector<event> node::history(const process_id& id) const {
  std::vector<event> all;
  for (auto more = true; more;) {
    auto page = impl_->store->events_after(id, all.empty() ? 0 : all.back().seq, 1'000);
    if (!page) {
      throw std::runtime_error{page.why().text};
    }
    more = page->more;
    all.insert(all.end(), page->events.begin(), page->events.end());
  }
  return all;
}

std::vector<journal_entry> node::journal(const process_id& id) const {
  std::vector<journal_entry> all;
  for (auto more = true; more;) {
    auto page = impl_->store->journal_after(id, all.empty() ? 0 : all.back().number, 1'000);
    if (!page) {
      throw std::runtime_error{page.why().text};
    }
    more = page->more;
    all.insert(all.end(), page->entries.begin(), page->entries.end());
  }
  return all;
}

std::vector<process_view> node::all() const {
  std::vector<process_view> result;
  list_query query;
  query.limit = 1'000;
  for (auto more = true; more;) {
    const auto page = impl_->store->list(query, now());
    result.insert(result.end(), page.processes.begin(), page.processes.end());
    more = page.next != row_id{};
    query.after = page.next;
  }
  std::reverse(result.begin(), result.end());
  return result;
}

std::vector<std::string> node::check() const {
  return impl_->store->check();
}

timestamp_ms node::now() const {
  return impl_->clock->now();
}

} // namespace belay::testing
