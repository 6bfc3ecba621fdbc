#include "actors/node/runtime.hpp"

#include "actors/cluster/route.hpp"
#include "actors/component.hpp"
#include "actors/gate/gate.hpp"
#include "actors/log.hpp"
#include "actors/machine.hpp"
#include "actors/metrics/endpoint.hpp"
#include "actors/node/client_impl.hpp"
#include "actors/node/node.hpp"
#include "messages/message_size.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <cstdlib>
#include <mutex>
#include <unistd.h>

namespace belay::actors {

namespace {

/// EX_IOERR of sysexits.h: an input or output error.
constexpr int fault_exit_code = 74;

constexpr std::chrono::seconds handshake_deadline{10};

void end_program(const std::string& why) {
  log::error(component::node, "node.fault", {{"why", why}},
             "the node cannot go on: check the disk that holds the data directory, then start it "
             "again; nothing that was acknowledged is lost");
  log::flush();
  std::_Exit(fault_exit_code);
}

/// EX_UNAVAILABLE of sysexits.h: the command line's word for "no node reached".
constexpr int unreachable_exit_code = 69;

void end_worker(const std::string& why) {
  log::error(component::node, "node.fault", {{"why", why}},
             "this worker cannot go on; its leases end, and others run what it ran");
  log::flush();
  std::_Exit(unreachable_exit_code);
}

/// Host and process id, for people.
std::string here() {
  return host_name() + ":" + std::to_string(getpid());
}

std::shared_ptr<storage::store> open_store(const runtime_options& options) {
  auto x = options.store;
  if (options.tools && options.works) {
    x.check_new
      = [tools = options.tools](const registration& item) { return tools->check_input(item); };
  }
  return std::make_shared<storage::store>(x);
}

std::unique_ptr<route> make_route(const runtime_options& options, const caf::actor_system& system) {
  route_options x;
  x.host = options.join_host;
  x.port = options.join_port;
  x.tls = options.tls;
  x.plain_anywhere = options.plain_anywhere;
  x.message_max = options.message_max;
  auto made = route::open(x, system);
  if (!made) {
    throw std::invalid_argument{made.why().text};
  }
  return std::move(*made);
}

uplink_setup make_uplink(const runtime_options& options, const route* way) {
  uplink_setup x;
  x.name = options.name;
  x.where = address_text(options.join_host, options.join_port);
  x.clock = std::make_shared<remote_clock>(system_time().steady);
  x.random = random_bits;
  x.message_max = options.tls.empty() ? 0 : options.message_max;
  x.pauses = {std::chrono::milliseconds{options.reconnect_min_ms},
              std::chrono::milliseconds{options.reconnect_max_ms}};
  x.on_fault = options.on_fault ? options.on_fault : end_worker;
  x.last_error = [way] { return way->last_error(); };
  x.dial = [way](uplink_setup::pointer self, uplink_setup::reached reached,
                 uplink_setup::failed failed) {
    way->dial(self, dial_deadline, std::move(reached), std::move(failed));
  };
  return x;
}

} // namespace

struct runtime::impl {
  /// Goes last: actors hold it, and it writes what they have left.
  std::shared_ptr<const tracing::tracer> tracer;
  std::unique_ptr<running::work_pool> workflow_threads;
  std::shared_ptr<storage::store> store;
  std::unique_ptr<system_config> config;
  /// Of a worker node: the way to its registry. Goes after the system.
  std::unique_ptr<route> way;
  std::unique_ptr<caf::actor_system> system;
  node_actor node;
  std::shared_ptr<visitors> known = std::make_shared<visitors>();
  /// In front of the port on which CAF listens.
  std::unique_ptr<gates::gate> gate;
  std::filesystem::path tls;
  /// What a sign of life is asked of; the node tells it from its own thread.
  std::mutex vital_mutex;
  caf::actor_addr vital;
  /// None when nobody is told of metrics.
  std::unique_ptr<metrics::endpoint> meters;

  void listen(const runtime_options& options);
  /// Makes the instruments and hands them to the node.
  void measure(const runtime_options& options, node_setup& setup);
  /// Takes note of who is there; called from the node's own thread.
  void meet(const metrics::parts& who);

  ~impl() {
    node = nullptr;
    known->ask(nullptr);
    if (meters) {
      meters->close();
    }
    gate.reset();
    vital = nullptr;
    system.reset();
  }
};

void runtime::impl::listen(const runtime_options& options) {
  {
    // It has begun once it answers: whoever came sooner would address actors that are not there.
    caf::scoped_actor self{*system};
    self->request(node, handshake_deadline, atom::snapshot_v)
      .receive([](const std::string&) {},
               [](const caf::error& no) { throw std::runtime_error{to_refusal(no).text}; });
  }
  const auto behind = system->middleman().publish(node, 0, "127.0.0.1", true);
  if (!behind) {
    throw std::runtime_error{"cannot listen on 127.0.0.1: " + system->render(behind.error())};
  }
  gates::gate_options x;
  x.address = options.address;
  x.port = options.port;
  x.target_port = *behind;
  x.node = caf::to_string(system->node());
  if (!options.tls.empty()) {
    x.tls = gates::tls_files_in(options.tls);
  }
  x.plain_anywhere = options.plain_anywhere;
  x.message_max = frame_max(options.message_max);
  x.may_address = [all = known](std::uint64_t actor) { return all->receives(actor); };
  x.connections_max = options.connections_max;
  x.handshake_timeout_ms = options.handshake_timeout_ms;
  x.on_closed = options.on_disconnected;
  auto opened = gates::gate::open(x);
  if (!opened) {
    throw std::invalid_argument{opened.why().text};
  }
  gate = std::move(*opened);
  known->ask([door = gate.get()](const caf::node_id& from) -> std::optional<gates::identity> {
    const auto found = door->peer_of(from);
    return found ? std::optional{found->who} : std::nullopt;
  });
}

void runtime::impl::measure(const runtime_options& options, node_setup& setup) {
  if (!options.metrics.is_on) {
    return;
  }
  metrics::endpoint_setup x;
  x.how = options.metrics;
  x.node = options.name;
  x.role = !store ? "worker" : setup.works ? "registry+worker" : "registry";
  x.store = store;
  x.now = [clock = setup.clock] { return clock->now(); };
  if (setup.works) {
    x.kinds = options.offer.empty() ? options.tools->names() : options.offer;
    x.stuck = [all = setup.stuck] { return all().size(); };
  }
  if (options.publish && store) {
    x.connections = [this] { return gate->connections(); };
  }
  meters = std::make_unique<metrics::endpoint>(*system, std::move(x));
  setup.registry_meter = meters->of_registry();
  setup.worker_meter = meters->of_worker();
}

void runtime::impl::meet(const metrics::parts& who) {
  {
    const std::lock_guard guard{vital_mutex};
    vital = who.registry ? who.registry.address() : who.sweeper.address();
  }
  if (meters) {
    meters->ready().meet(who);
  }
}

runtime::runtime(runtime_options options) : impl_{std::make_unique<impl>()} {
  if (const auto no = check_facets(options.effects, options.stores)) {
    throw std::invalid_argument{no->text};
  }
  auto& x = *impl_;
  const auto joins = !options.join_host.empty();
  x.tracer = tracing::make_tracer(options.trace, options.name);
  if (!joins) {
    x.store = open_store(options);
  }
  x.config = std::make_unique<system_config>(options.publish || joins, 0, options.link);
  x.system = std::make_unique<caf::actor_system>(*x.config);
  node_setup setup;
  setup.name = options.name;
  setup.works = options.works || joins;
  setup.random = random_bits;
  setup.tools = options.tools;
  if (joins) {
    x.way = make_route(options, *x.system);
    setup.uplink = make_uplink(options, x.way.get());
  } else {
    setup.store = x.store;
    setup.clock = std::make_shared<const registry_clock>(system_time(), x.store->last_time());
  }
  x.workflow_threads = std::make_unique<running::work_pool>(options.workflow_threads);
  setup.run_code
    = [pool = x.workflow_threads.get()](const process_id& id, std::function<void()> code) {
        return pool->submit(id, std::move(code));
      };
  setup.stuck = [pool = x.workflow_threads.get(), tools = options.stuck_tools] {
    auto all = pool->stuck();
    const auto more = tools ? tools() : std::vector<running::stuck_code>{};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  setup.known = x.known;
  setup.message_max = options.publish ? options.message_max : 0;
  setup.registry.batch_ops_max = options.batch_ops_max;
  setup.registry.batch_bytes_max = options.batch_bytes_max;
  setup.registry.register_max = options.register_max;
  setup.registry.ttl_ms = options.ttl_ms;
  setup.registry.link_grace_ms = options.link_grace_ms;
  setup.registry.retention = options.retention;
  setup.worker.card.place = here();
  setup.worker.slots = options.slots;
  setup.worker.queues = options.queues;
  setup.worker.offer = options.offer;
  setup.worker.cancel_grace_ms = options.cancel_grace_ms;
  setup.worker.renew_interval_ms = options.renew_interval_ms;
  setup.worker.waiting_max = options.waiting_max;
  auto& workflow = setup.worker.workflow;
  workflow.park_after_ms = options.park_after_ms;
  workflow.effects = options.effects;
  workflow.limits.journal_max = options.journal_max;
  workflow.limits.children_max = options.children_max;
  workflow.limits.result_bytes_max = options.result_bytes_max;
  workflow.limits.event_bytes_max = options.store.event_bytes_max;
  workflow.limits.status_bytes_max = options.store.status_bytes_max;
  workflow.limits.attachment_bytes_max = options.store.attachment_bytes_max;
  setup.watch = {options.waiters_max, options.wait_ms_max};
  setup.readers = options.readers;
  setup.safety_sweep_ms = options.safety_sweep_ms;
  setup.drain_timeout_ms = options.drain_timeout_ms;
  setup.worker.on_enlisted = options.on_enlisted;
  setup.on_started = [x = impl_.get()](const metrics::parts& who) { x->meet(who); };
  x.tls = options.tls;
  setup.tracer = x.tracer;
  const auto otherwise = joins ? end_worker : end_program;
  setup.on_fault = options.on_fault ? options.on_fault : otherwise;
  x.measure(options, setup);
  x.node = x.system->spawn(node, std::move(setup));
  try {
    if (options.publish && !joins) {
      x.listen(options);
    }
    if (x.meters) {
      if (const auto no = x.meters->open()) {
        throw std::invalid_argument{no->text};
      }
    }
  } catch (...) {
    stop(false);
    wait_stopped();
    throw;
  }
}

runtime::~runtime() {
  stop(false);
  wait_stopped();
}

std::uint16_t runtime::port() const {
  return impl_->gate ? impl_->gate->port() : 0;
}

void runtime::check_alive(std::chrono::milliseconds patience,
                          std::function<void(bool)> answered) const {
  caf::actor to;
  {
    const std::lock_guard guard{impl_->vital_mutex};
    to = caf::actor_cast<caf::actor>(impl_->vital);
  }
  if (!to) {
    answered(false);
    return;
  }
  impl_->system->spawn(
    [to, patience, answered = std::move(answered)](caf::event_based_actor* self) {
      self->request<caf::message_priority::high>(to, patience, atom::snapshot_v)
        .then([answered](const std::string&) { answered(true); },
              [answered](const caf::error&) { answered(false); });
    });
}

std::optional<refusal> runtime::reload_certificates() {
  if (impl_->gate && !impl_->tls.empty()) {
    return impl_->gate->reload(gates::tls_files_in(impl_->tls));
  }
  return impl_->way ? impl_->way->reload() : std::nullopt;
}

std::uint16_t runtime::metrics_port() const {
  return impl_->meters ? impl_->meters->port() : 0;
}

void runtime::stop(bool drain) {
  caf::anon_send(impl_->node, atom::stop_v, drain);
}

void runtime::wait_stopped() {
  caf::scoped_actor self{*impl_->system};
  self->wait_for(impl_->node);
}

std::unique_ptr<client> runtime::make_client() {
  auto x = std::make_unique<client::impl>();
  courier_setup setup;
  setup.greet_deadline = handshake_deadline;
  setup.dial = [node = impl_->node](courier_pointer, const std::function<void(node_actor)>& reached,
                                    const std::function<void(const refusal&)>&) { reached(node); };
  if (const auto no = x->open(*impl_->system, std::move(setup))) {
    throw std::runtime_error{"the node does not answer: " + no->text};
  }
  return std::unique_ptr<client>{new client{std::move(x)}};
}

} // namespace belay::actors
