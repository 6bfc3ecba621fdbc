#include "actors/node/runtime.hpp"

#include "actors/log.hpp"
#include "actors/node/client_impl.hpp"
#include "actors/node/node.hpp"

#include <caf/io/middleman.hpp>
#include <cstdlib>
#include <openssl/rand.h>

namespace belay::actors {

namespace {

/// EX_IOERR of sysexits.h: an input or output error.
constexpr int fault_exit_code = 74;

constexpr std::chrono::seconds handshake_deadline{10};

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  // RAND_bytes fails only when the system has no entropy source at all.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&bits), sizeof bits) != 1) {
    throw std::runtime_error{"the system's random number generator does not answer"};
  }
  return bits;
}

void end_program(const std::string& why) {
  log::error("node", "node.fault", {{"why", why}},
             "the node cannot go on: check the disk that holds the data directory, then start it "
             "again; nothing that was acknowledged is lost");
  log::flush();
  std::_Exit(fault_exit_code);
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
  auto store_options = options.store;
  if (options.tools) {
    store_options.check_new
      = [tools = options.tools](const registration& item) { return tools->check_input(item); };
  }
  x.store = std::make_shared<storage::store>(store_options);
  x.config = std::make_unique<system_config>(options.publish);
  x.system = std::make_unique<caf::actor_system>(*x.config);
  node_setup setup;
  setup.name = options.name;
  setup.store = x.store;
  setup.clock = std::make_shared<const registry_clock>(system_time(), x.store->last_time());
  setup.random = random_bits;
  setup.tools = options.tools;
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
  setup.registry
    = {options.batch_ops_max, options.batch_bytes_max, options.register_max, options.ttl_ms,
       options.name,          options.retention};
  setup.worker = {options.name,
                  options.slots,
                  options.queues,
                  options.cancel_grace_ms,
                  options.ttl_ms,
                  options.renew_interval_ms,
                  options.waiting_max,
                  {options.park_after_ms,
                   options.effects,
                   {options.journal_max, options.children_max, options.result_bytes_max}}};
  setup.watch = {options.waiters_max, options.wait_ms_max};
  setup.readers = options.readers;
  setup.safety_sweep_ms = options.safety_sweep_ms;
  setup.drain_timeout_ms = options.drain_timeout_ms;
  setup.on_fault = options.on_fault ? options.on_fault : end_program;
  x.node = x.system->spawn(node, std::move(setup));
  if (options.publish) {
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
  x->system = impl_->system.get();
  x->self = std::make_unique<caf::scoped_actor>(*x->system);
  auto greeted = x->greet(impl_->node, handshake_deadline);
  if (!greeted) {
    throw std::runtime_error{"the node does not answer: " + greeted.why().text};
  }
  x->node = std::move(*greeted);
  return std::unique_ptr<client>{new client{std::move(x)}};
}

} // namespace belay::actors
