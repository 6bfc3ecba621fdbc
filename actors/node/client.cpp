#include "actors/node/client.hpp"

#include "actors/node/client_impl.hpp"
#include "messages/wire_error.hpp"

#include <caf/io/middleman.hpp>
#include <caf/sec.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <chrono>
#include <optional>

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

} // namespace

client::impl::~impl() {
  self.reset();
  node = {};
  supervisor = nullptr;
  own_system.reset();
}

template <class Answer, class Handle, class... Ts>
checked<Answer> client::impl::ask(const Handle& to, milliseconds deadline, Ts&&... content) {
  std::optional<checked<Answer>> result;
  (*self)
    ->request(to, deadline, std::forward<Ts>(content)...)
    .receive([&result](Answer& x) { result.emplace(std::move(x)); },
             [&result](const caf::error& x) {
               // CAF does not fail a request when its node is lost: only the deadline tells.
               result.emplace(x == caf::sec::request_timeout
                                ? refusal{ec::shutting_down, "the node does not answer"}
                                : to_refusal(x));
             });
  return std::move(*result);
}

checked<welcome> client::impl::greet(const node_actor& to, milliseconds deadline) {
  supervisor = to;
  return ask<welcome>(to, deadline, atom::hello_v, protocol_version, std::string{"belay-cpp"});
}

client::client(std::unique_ptr<impl> x) : impl_{std::move(x)} {}

client::~client() = default;

checked<std::unique_ptr<client>>
client::connect(const std::string& host, std::uint16_t port, duration_ms timeout) {
  auto x = std::make_unique<impl>();
  x->config = std::make_unique<system_config>(true, 1);
  x->own_system = std::make_unique<caf::actor_system>(*x->config);
  x->system = x->own_system.get();
  x->self = std::make_unique<caf::scoped_actor>(*x->system);
  std::optional<refusal> no;
  node_actor node;
  (*x->self)
    ->request(x->system->middleman().actor_handle(), milliseconds{timeout}, caf::connect_atom_v,
              host, port)
    .receive(
      [&node](const caf::node_id&, caf::strong_actor_ptr& found, const std::set<std::string>&) {
        if (found) {
          node = caf::actor_cast<node_actor>(found);
        }
      },
      [&no](const caf::error& error) { no = to_refusal(error); });
  if (!no && !node) {
    no = refusal{ec::shutting_down, "nothing is published there"};
  }
  if (!no) {
    if (auto greeted = x->greet(node, milliseconds{timeout})) {
      x->node = std::move(*greeted);
    } else {
      no = greeted.why();
    }
  }
  if (no) {
    return refusal{no->code,
                   "cannot reach a node at " + host + ":" + std::to_string(port) + ": " + no->text};
  }
  return std::unique_ptr<client>{new client{std::move(x)}};
}

checked<registered_list> client::enroll(std::vector<registration> items) {
  return impl_->ask<registered_list>(impl_->node.registry, operation_deadline, atom::enroll_v,
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
    auto result = impl_->ask<outcome_view>(impl_->node.watcher, milliseconds{slice} + answer_margin,
                                           atom::wait_v, id, slice);
    const auto last = timeout > 0 && slice < wait_slice_ms;
    if (result || result.why().code != ec::timed_out || last) {
      return result;
    }
  }
}

checked<node_list> client::nodes() {
  return impl_->ask<node_list>(impl_->node.membership, operation_deadline, atom::nodes_v);
}

checked<done> client::drain(const std::string& node, duration_ms length) {
  return impl_->ask<done>(impl_->node.membership, operation_deadline + milliseconds{length},
                          atom::drain_v, node, length);
}

checked<done> client::undrain(const std::string& node) {
  return impl_->ask<done>(impl_->node.membership, operation_deadline, atom::undrain_v, node);
}

checked<process_view> client::get(const process_id& id) {
  return impl_->ask<process_view>(impl_->node.reader, operation_deadline, atom::get_v, id);
}

checked<process_page> client::list(const list_query& query) {
  return impl_->ask<process_page>(impl_->node.reader, operation_deadline, atom::list_v, query);
}

checked<process_counts> client::counts() {
  return impl_->ask<process_counts>(impl_->node.reader, operation_deadline, atom::count_v);
}

checked<event_page> client::events(const process_id& id, event_seq after, std::uint32_t limit) {
  return impl_->ask<event_page>(impl_->node.reader, operation_deadline, atom::events_v, id, after,
                                limit);
}

checked<event_page>
client::follow(const process_id& id, event_seq after, std::uint32_t limit, duration_ms length) {
  return impl_->ask<event_page>(impl_->node.watcher, milliseconds{length} + answer_margin,
                                atom::follow_v, id, after, limit, length);
}

checked<event> client::append(const append_request& request) {
  return impl_->ask<event>(impl_->node.registry, operation_deadline, atom::append_v, request);
}

checked<cancel_receipt> client::cancel(const cancel_request& request) {
  return impl_->ask<cancel_receipt>(impl_->node.registry, operation_deadline, atom::cancel_v,
                                    request);
}

checked<completion> client::settle(const settle_request& request) {
  return impl_->ask<completion>(impl_->node.registry, operation_deadline, atom::settle_v, request);
}

checked<abandon_receipt> client::abandon(const abandon_request& request) {
  return impl_->ask<abandon_receipt>(impl_->node.registry, operation_deadline, atom::abandon_v,
                                     request);
}

checked<done> client::requeue(const requeue_request& request) {
  return impl_->ask<done>(impl_->node.registry, operation_deadline, atom::requeue_v, request);
}

checked<registered_list> client::again(const again_request& request) {
  return impl_->ask<registered_list>(impl_->node.registry, operation_deadline, atom::again_v,
                                     request);
}

checked<done> client::set_external_ref(const external_ref_request& request) {
  return impl_->ask<done>(impl_->node.registry, operation_deadline, atom::reference_v, request);
}

checked<done> client::observe(const observe_request& request) {
  return impl_->ask<done>(impl_->node.registry, operation_deadline, atom::observe_v, request);
}

checked<done> client::transfer(const transfer_request& request) {
  return impl_->ask<done>(impl_->node.registry, operation_deadline, atom::transfer_v, request);
}

checked<done> client::retarget(const retarget_request& request) {
  return impl_->ask<done>(impl_->node.registry, operation_deadline, atom::retarget_v, request);
}

checked<wake_list> client::take_wakes(const take_wakes_request& request) {
  return impl_->ask<wake_list>(impl_->node.registry, operation_deadline, atom::wakes_v, request);
}

checked<done> client::settle_wake(const settle_wake_request& request) {
  return impl_->ask<done>(impl_->node.registry, operation_deadline, atom::settle_v, request);
}

checked<prune_report> client::prune(const prune_request& request) {
  return impl_->ask<prune_report>(impl_->node.registry, operation_deadline, atom::prune_v, request);
}

checked<done> client::compact_tombstones(const compact_request& request) {
  return impl_->ask<done>(impl_->node.registry, operation_deadline, atom::compact_v, request);
}

checked<session_report> client::forget_session(const std::string& session) {
  return impl_->ask<session_report>(impl_->node.registry, operation_deadline, atom::forget_v,
                                    session);
}

checked<wake_list> client::wakes(const wakes_query& query) {
  return impl_->ask<wake_list>(impl_->node.reader, operation_deadline, atom::wakes_v, query);
}

checked<session_snapshot> client::session(const session_query& query) {
  return impl_->ask<session_snapshot>(impl_->node.reader, operation_deadline, atom::session_v,
                                      query);
}

checked<event_page> client::recent_events(const process_id& id, std::uint32_t limit) {
  return impl_->ask<event_page>(impl_->node.reader, operation_deadline, atom::recent_v, id, limit);
}

checked<std::uint64_t>
client::count_events(const process_id& id, const std::string& type, event_seq through) {
  return impl_->ask<std::uint64_t>(impl_->node.reader, operation_deadline, atom::count_v, id, type,
                                   through);
}

checked<change_page> client::changes_since(std::uint64_t position, std::uint32_t limit) {
  return impl_->ask<change_page>(impl_->node.reader, operation_deadline, atom::changes_v, position,
                                 limit);
}

checked<journal_page>
client::journal(const process_id& id, std::uint64_t after, std::uint32_t limit) {
  return impl_->ask<journal_page>(impl_->node.reader, operation_deadline, atom::journal_v, id,
                                  after, limit);
}

checked<attachment> client::attached(const process_id& id, const std::string& ref) {
  return impl_->ask<attachment>(impl_->node.reader, operation_deadline, atom::attach_v, id, ref);
}

checked<std::string> client::node_snapshot() {
  return impl_->ask<std::string>(impl_->supervisor, operation_deadline, atom::snapshot_v);
}

checked<process_counts> client::live_references() {
  return impl_->ask<process_counts>(impl_->node.reader, operation_deadline, atom::reference_v);
}

checked<done> client::wait_wake(const std::string& session, duration_ms length) {
  return impl_->ask<done>(impl_->node.watcher, milliseconds{length} + answer_margin, atom::wakes_v,
                          session, length);
}

checked<event> client::wait_event(const process_id& id, const std::string& type, event_seq after,
                                  duration_ms length) {
  return impl_->ask<event>(impl_->node.watcher, milliseconds{length} + answer_margin,
                           atom::follow_v, id, type, after, length);
}

checked<check_report> client::check() {
  return impl_->ask<check_report>(impl_->node.reader, scan_deadline, atom::check_v);
}

std::uint32_t client::batch_max() const {
  return impl_->node.batch_max;
}

const std::string& client::node_name() const {
  return impl_->node.node;
}

const std::vector<std::string>& client::tools() const {
  return impl_->node.tools;
}

} // namespace belay::actors
