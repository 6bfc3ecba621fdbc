#include "actors/node/runtime.hpp"

#include "actors/cluster/dial.hpp"
#include "actors/log.hpp"
#include "actors/machine.hpp"
#include "actors/node/client_impl.hpp"
#include "actors/node/node.hpp"

#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <cstdlib>
#include <unistd.h>

namespace belay::actors {

namespace {

/// EX_IOERR of sysexits.h: an input or output error.
constexpr int fault_exit_code = 74;

constexpr std::chrono::seconds handshake_deadline{10};

void end_program(const std::string& why) {
  log::error("node", "node.fault", {{"why", why}},
             "the node cannot go on: check the disk that holds the data directory, then start it "
             "again; nothing that was acknowledged is lost");
  log::flush();
  std::_Exit(fault_exit_code);
}

/// EX_UNAVAILABLE of sysexits.h: the command line's word for "no node reached".
constexpr int unreachable_exit_code = 69;

void end_worker(const std::string& why) {
  log::error("node", "node.fault", {{"why", why}},
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

uplink_setup make_uplink(const runtime_options& options) {
  uplink_setup x;
  x.name = options.name;
  x.where = options.join_host + ":" + std::to_string(options.join_port);
  x.clock = std::make_shared<remote_clock>(system_time().steady);
  x.random = random_bits;
  x.pauses = {std::chrono::milliseconds{options.reconnect_min_ms},
              std::chrono::milliseconds{options.reconnect_max_ms}};
  x.on_fault = options.on_fault ? options.on_fault : end_worker;
  x.dial = [host = options.join_host, port = options.join_port](uplink_setup::pointer self,
                                                                uplink_setup::reached reached,
                                                                uplink_setup::failed failed) {
    dial(self, host, port, dial_deadline, std::move(reached), std::move(failed));
  };
  return x;
}

} // namespace

struct runtime::impl {
  std::unique_ptr<running::work_pool> workflow_threads;
  std::shared_ptr<storage::store> store;
  std::unique_ptr<system_config> config;
  std::unique_ptr<caf::actor_system> system;
  node_actor node;
  std::uint16_t port = 0;

  ~impl() {
    node = nullptr;
    system.reset();
  }
};

runtime::runtime(runtime_options options) : impl_{std::make_unique<impl>()} {
  if (const auto no = check_facets(options.effects, options.stores)) {
    throw std::invalid_argument{no->text};
  }
  auto& x = *impl_;
  const auto joins = !options.join_host.empty();
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
    setup.uplink = make_uplink(options);
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
  const auto otherwise = joins ? end_worker : end_program;
  setup.on_fault = options.on_fault ? options.on_fault : otherwise;
  x.node = x.system->spawn(node, std::move(setup));
  if (options.publish && !joins) {
    const auto port
      = x.system->middleman().publish(x.node, options.port, options.address.c_str(), true);
    if (!port) {
      stop(false);
      wait_stopped();
      throw std::runtime_error{"cannot listen on " + options.address + ":"
                               + std::to_string(options.port) + ": "
                               + x.system->render(port.error())};
    }
    x.port = *port;
  }
}

runtime::~runtime() {
  stop(false);
  wait_stopped();
}

std::uint16_t runtime::port() const {
  return impl_->port;
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
