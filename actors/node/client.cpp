#include "actors/node/client.hpp"

#include "actors/machine.hpp"
#include "actors/node/client_impl.hpp"
#include "messages/message_size.hpp"
#include "messages/wire_error.hpp"

#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <tuple>

namespace belay::actors {

using std::chrono::milliseconds;

namespace {

/// How long an operation may take that waits for nothing but the disk.
constexpr milliseconds operation_deadline{30'000};
/// A full scan of a store: about a million rows a minute.
constexpr milliseconds scan_deadline{3'600'000};
/// One held request; longer waits are made of several, so that a lost node is noticed.
constexpr duration_ms wait_slice_ms = 4'000;
/// What an answer may take beyond the time it was asked to wait.
constexpr milliseconds answer_margin{3'000};
/// How long the end of a client may take.
constexpr milliseconds end_patience{5'000};

} // namespace

client::impl::~impl() {
  caf::anon_send_exit(courier, caf::exit_reason::user_shutdown);
  courier = nullptr;
  {
    const std::lock_guard lock{greeted->mutex};
    greeted->node = {};
  }
  if (maker == std::this_thread::get_id()) {
    own_system.reset();
  } else if (own_system) {
    // CAF 0.17.6: each thread that makes a system or spawns in it keeps the system's logger until
    // it ends another system, and the end of a system waits for its logger. So a system that is
    // ended by another thread than its maker's may wait for ever. It ends beside us, and is left
    // behind if need be.
    struct remains {
      std::unique_ptr<system_config> config;
      std::shared_ptr<const route> way;
      std::unique_ptr<caf::actor_system> system;
    };
    auto left = std::make_unique<remains>(
      remains{std::move(config), std::move(way), std::move(own_system)});
    std::promise<void> done;
    const auto ended = done.get_future();
    std::thread{[left = std::move(left), done = std::move(done)]() mutable {
      left.reset();
      done.set_value();
    }}.detach();
    ended.wait_for(end_patience);
  }
}

std::optional<refusal> client::impl::open(caf::actor_system& system, courier_setup setup) {
  auto first = std::make_shared<std::promise<std::optional<refusal>>>();
  auto told = first->get_future();
  setup.queue = queue;
  setup.random = random_bits;
  setup.greeted = [state = greeted](const welcome& x) {
    const std::lock_guard lock{state->mutex};
    state->node = x;
  };
  setup.first_try = [first](const std::optional<refusal>& no) { first->set_value(no); };
  courier = system.spawn(actors::courier, std::move(setup));
  return told.get();
}

template <class Answer, class Far, class Handle, class... Ts>
checked<Answer>
client::impl::run(bool repeatable, Handle Far::*to, milliseconds deadline, Ts... content) {
  auto result = std::make_shared<std::promise<checked<Answer>>>();
  auto answer = result->get_future();
  auto x = std::make_shared<errand>();
  x->repeatable = repeatable;
  x->refuse = [result](const refusal& no) { result->set_value(no); };
  x->send = [result, to, deadline, repeatable, content = std::make_tuple(std::move(content)...)](
              courier_pointer self, const reached_node& far, const std::function<bool()>& claim,
              const std::function<void(const refusal&)>& broken) {
    std::apply(
      [&](const auto&... each) {
        const auto max = far.registry.node() == self->node() ? 0 : far.message_max;
        if (const auto no = check_message_size(self->system(), max, each...)) {
          const auto told = result; // Claiming ends this errand.
          if (claim()) {
            told->set_value(*no);
          }
          return;
        }
        self->request(far.*to, deadline, each...)
          .then(
            [result, claim](Answer& given) {
              if (claim()) {
                result->set_value(std::move(given));
              }
            },
            [result, claim, broken, repeatable](const caf::error& no) {
              const auto late = no == caf::sec::request_timeout;
              if (!late && no.category() != caf::atom("belay")) {
                broken(to_refusal(no));
              } else if (!claim()) {
                return;
              } else if (!late) {
                result->set_value(to_refusal(no));
              } else if (repeatable) {
                result->set_value(refusal{ec::shutting_down, "the node does not answer"});
              } else {
                result->set_value(refusal{ec::outcome_unknown, "the node did not answer in time"});
              }
            });
      },
      content);
  };
  {
    const std::lock_guard lock{queue->mutex};
    queue->waiting.push_back(std::move(x));
  }
  caf::anon_send(courier, atom::tick_v);
  return answer.get();
}

template <class Answer, class Far, class Handle, class... Ts>
checked<Answer> client::impl::ask(Handle Far::*to, milliseconds deadline, Ts... content) {
  return run<Answer>(true, to, deadline, std::move(content)...);
}

template <class Answer, class Far, class Handle, class... Ts>
checked<Answer> client::impl::ask_once(Handle Far::*to, milliseconds deadline, Ts... content) {
  return run<Answer>(false, to, deadline, std::move(content)...);
}

client::client(std::unique_ptr<impl> x) : impl_{std::move(x)} {}

client::~client() = default;

checked<std::unique_ptr<client>>
client::connect(const std::string& host, std::uint16_t port, const client_options& options) {
  auto x = std::make_unique<impl>();
  x->config = std::make_unique<system_config>(true, 1, options.link);
  x->own_system = std::make_unique<caf::actor_system>(*x->config);
  courier_setup setup;
  setup.patience = milliseconds{options.reconnect_for_ms};
  setup.greet_deadline = milliseconds{options.timeout_ms};
  auto opened = route::open({host, port, options.tls, options.plain_anywhere}, *x->own_system);
  if (!opened) {
    return opened.why();
  }
  x->way = std::move(*opened);
  setup.dial = [way = x->way.get(), deadline = milliseconds{options.timeout_ms}](
                 courier_pointer self, std::function<void(node_actor)> reached,
                 std::function<void(const refusal&)> failed) {
    way->dial(self, deadline, std::move(reached), std::move(failed));
  };
  if (const auto no = x->open(*x->own_system, std::move(setup))) {
    return refusal{no->code,
                   "cannot reach a node at " + address_text(host, port) + ": " + no->text};
  }
  return std::unique_ptr<client>{new client{std::move(x)}};
}

checked<registered_list> client::enroll(std::vector<registration> items) {
  for (auto& item : items) {
    if (item.id.empty()) {
      item.id = make_process_id(); // By its id a repeated registration is one process.
    }
  }
  return impl_->ask<registered_list>(&welcome::registry, operation_deadline, atom::enroll_v,
                                     std::move(items));
}

checked<outcome_view> client::wait(const process_id& id, duration_ms timeout) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    auto slice = wait_slice_ms;
    if (timeout > 0) {
      const auto spent
        = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
      slice = std::clamp<duration_ms>(timeout - spent.count(), 0, wait_slice_ms);
    }
    auto result = impl_->ask<outcome_view>(&welcome::watcher, milliseconds{slice} + answer_margin,
                                           atom::wait_v, id, slice);
    const auto last = timeout > 0 && slice < wait_slice_ms;
    if (result || result.why().code != ec::timed_out || last) {
      return result;
    }
  }
}

checked<node_list> client::nodes() {
  return impl_->ask<node_list>(&welcome::membership, operation_deadline, atom::nodes_v);
}

checked<done> client::drain(const std::string& node, duration_ms length) {
  return impl_->ask<done>(&welcome::membership, operation_deadline + milliseconds{length},
                          atom::drain_v, node, length);
}

checked<done> client::undrain(const std::string& node) {
  return impl_->ask<done>(&welcome::membership, operation_deadline, atom::undrain_v, node);
}

checked<process_view> client::get(const process_id& id) {
  return impl_->ask<process_view>(&welcome::reader, operation_deadline, atom::get_v, id);
}

checked<process_page> client::list(const list_query& query) {
  return impl_->ask<process_page>(&welcome::reader, operation_deadline, atom::list_v, query);
}

checked<process_counts> client::counts() {
  return impl_->ask<process_counts>(&welcome::reader, operation_deadline, atom::count_v);
}

checked<event_page> client::events(const process_id& id, event_seq after, std::uint32_t limit) {
  return impl_->ask<event_page>(&welcome::reader, operation_deadline, atom::events_v, id, after,
                                limit);
}

checked<event_page>
client::follow(const process_id& id, event_seq after, std::uint32_t limit, duration_ms length) {
  return impl_->ask<event_page>(&welcome::watcher, milliseconds{length} + answer_margin,
                                atom::follow_v, id, after, limit, length);
}

checked<event> client::append(append_request request) {
  if (request.key.empty()) {
    request.key = "belay-cpp/" + make_process_id(); // By its key a repeated event is one event.
  }
  return impl_->ask<event>(&welcome::registry, operation_deadline, atom::append_v,
                           std::move(request));
}

checked<cancel_receipt> client::cancel(const cancel_request& request) {
  return impl_->ask<cancel_receipt>(&welcome::registry, operation_deadline, atom::cancel_v,
                                    request);
}

checked<completion> client::settle(const settle_request& request) {
  return impl_->ask<completion>(&welcome::registry, operation_deadline, atom::settle_v, request);
}

checked<abandon_receipt> client::abandon(const abandon_request& request) {
  return impl_->ask_once<abandon_receipt>(&welcome::registry, operation_deadline, atom::abandon_v,
                                          request);
}

checked<done> client::requeue(const requeue_request& request) {
  return impl_->ask_once<done>(&welcome::registry, operation_deadline, atom::requeue_v, request);
}

checked<registered_list> client::again(const again_request& request) {
  return impl_->ask_once<registered_list>(&welcome::registry, operation_deadline, atom::again_v,
                                          request);
}

checked<done> client::set_external_ref(const external_ref_request& request) {
  return impl_->ask<done>(&welcome::registry, operation_deadline, atom::reference_v, request);
}

checked<done> client::observe(const observe_request& request) {
  return impl_->ask<done>(&welcome::registry, operation_deadline, atom::observe_v, request);
}

checked<done> client::transfer(const transfer_request& request) {
  return impl_->ask_once<done>(&welcome::registry, operation_deadline, atom::transfer_v, request);
}

checked<done> client::retarget(const retarget_request& request) {
  return impl_->ask<done>(&welcome::registry, operation_deadline, atom::retarget_v, request);
}

checked<wake_list> client::take_wakes(const take_wakes_request& request) {
  return impl_->ask_once<wake_list>(&welcome::registry, operation_deadline, atom::wakes_v, request);
}

checked<done> client::settle_wake(const settle_wake_request& request) {
  return impl_->ask_once<done>(&welcome::registry, operation_deadline, atom::settle_v, request);
}

checked<prune_report> client::prune(const prune_request& request) {
  return impl_->ask<prune_report>(&welcome::registry, operation_deadline, atom::prune_v, request);
}

checked<done> client::compact_tombstones(const compact_request& request) {
  return impl_->ask<done>(&welcome::registry, operation_deadline, atom::compact_v, request);
}

checked<session_report> client::forget_session(const std::string& session) {
  return impl_->ask<session_report>(&welcome::registry, operation_deadline, atom::forget_v,
                                    session);
}

checked<wake_list> client::wakes(const wakes_query& query) {
  return impl_->ask<wake_list>(&welcome::reader, operation_deadline, atom::wakes_v, query);
}

checked<session_snapshot> client::session(const session_query& query) {
  return impl_->ask<session_snapshot>(&welcome::reader, operation_deadline, atom::session_v, query);
}

checked<event_page> client::recent_events(const process_id& id, std::uint32_t limit) {
  return impl_->ask<event_page>(&welcome::reader, operation_deadline, atom::recent_v, id, limit);
}

checked<std::uint64_t>
client::count_events(const process_id& id, const std::string& type, event_seq through) {
  return impl_->ask<std::uint64_t>(&welcome::reader, operation_deadline, atom::count_v, id, type,
                                   through);
}

checked<change_page> client::changes_since(std::uint64_t position, std::uint32_t limit) {
  return impl_->ask<change_page>(&welcome::reader, operation_deadline, atom::changes_v, position,
                                 limit);
}

checked<journal_page>
client::journal(const process_id& id, std::uint64_t after, std::uint32_t limit) {
  return impl_->ask<journal_page>(&welcome::reader, operation_deadline, atom::journal_v, id, after,
                                  limit);
}

checked<attachment> client::attached(const process_id& id, const std::string& ref) {
  return impl_->ask<attachment>(&welcome::reader, operation_deadline, atom::attach_v, id, ref);
}

checked<std::string> client::node_snapshot() {
  return impl_->ask<std::string>(&reached_node::supervisor, operation_deadline, atom::snapshot_v);
}

checked<std::string> client::registry_snapshot() {
  return impl_->ask<std::string>(&welcome::registry, operation_deadline, atom::snapshot_v);
}

checked<actor_tree> client::tree(std::uint32_t limit) {
  return impl_->ask<actor_tree>(&reached_node::supervisor, operation_deadline, atom::tree_v, limit);
}

checked<actor_tree> client::actors_of(const std::string& worker, const process_id& id) {
  return impl_->ask<actor_tree>(&welcome::membership, operation_deadline, atom::tree_v, worker, id);
}

checked<queue_list> client::queues() {
  return impl_->ask<queue_list>(&welcome::reader, operation_deadline, atom::queues_v);
}

checked<queue_settings> client::configure(const queue_request& request) {
  return impl_->ask<queue_settings>(&welcome::registry, operation_deadline, atom::queue_v, request);
}

checked<process_counts> client::live_references() {
  return impl_->ask<process_counts>(&welcome::reader, operation_deadline, atom::reference_v);
}

checked<done> client::wait_wake(const std::string& session, duration_ms length) {
  return impl_->ask<done>(&welcome::watcher, milliseconds{length} + answer_margin, atom::wakes_v,
                          session, length);
}

checked<event> client::wait_event(const process_id& id, const std::string& type, event_seq after,
                                  duration_ms length) {
  return impl_->ask<event>(&welcome::watcher, milliseconds{length} + answer_margin, atom::follow_v,
                           id, type, after, length);
}

checked<check_report> client::check() {
  return impl_->ask<check_report>(&welcome::reader, scan_deadline, atom::check_v);
}

std::uint32_t client::batch_max() const {
  const std::lock_guard lock{impl_->greeted->mutex};
  return impl_->greeted->node.batch_max;
}

std::uint64_t client::message_max() const {
  const std::lock_guard lock{impl_->greeted->mutex};
  return impl_->greeted->node.message_max;
}

std::string client::node_name() const {
  const std::lock_guard lock{impl_->greeted->mutex};
  return impl_->greeted->node.node;
}

std::vector<std::string> client::tools() const {
  const std::lock_guard lock{impl_->greeted->mutex};
  return impl_->greeted->node.tools;
}

} // namespace belay::actors
