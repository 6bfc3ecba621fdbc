#include "actors/registry/watcher.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/registry/page_limits.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

/// Waiters that any change may concern.
constexpr row_id any_row{};
/// A wake's pause ends without a commit: who waits for wakes looks again this often at the latest.
constexpr auto wake_recheck = std::chrono::seconds{1};

} // namespace

void watcher_state::start(pointer self, std::shared_ptr<storage::store> store,
                          std::shared_ptr<const registry_clock> clock, watch_policy policy) {
  self_ = self;
  store_ = std::move(store);
  clock_ = std::move(clock);
  policy_ = policy;
  self->set_exit_handler([this](const caf::exit_msg&) { stop(); });
}

watcher_state::time_point watcher_state::deadline_after(duration_ms length) const {
  return self_->clock().now()
         + std::chrono::milliseconds{std::clamp<duration_ms>(length, 0, policy_.wait_ms_max)};
}

std::optional<refusal>
watcher_state::admit(const process_id& id, row_id& row, duration_ms length) const {
  if (length > 0 && waiters_.size() >= policy_.waiters_max) {
    return refusal{ec::overloaded, "as many requests wait as watch.waiters_max allows ("
                                     + std::to_string(policy_.waiters_max) + ")"};
  }
  const auto found = store_->find(id);
  if (!found) {
    return found.why();
  }
  row = *found;
  return std::nullopt;
}

caf::result<outcome_view> watcher_state::wait(const process_id& id, duration_ms length) {
  row_id row{};
  if (const auto no = admit(id, row, length)) {
    return to_error(*no);
  }
  auto promise = self_->make_response_promise<outcome_view>();
  waiter x;
  x.row = row;
  x.deadline = deadline_after(length);
  x.check = [this, row, promise]() mutable {
    auto ended = store_->outcome_of(row);
    if (!ended) {
      return false;
    }
    promise.deliver(std::move(*ended));
    return true;
  };
  x.expire = [promise]() mutable {
    promise.deliver(caf::make_error(ec::timed_out, std::string{"no outcome yet"}));
  };
  x.refuse = [promise]() mutable {
    promise.deliver(caf::make_error(ec::shutting_down, std::string{"the node is stopping"}));
  };
  subscribe(std::move(x));
  return promise;
}

caf::result<event_page> watcher_state::follow(const process_id& id, event_seq after,
                                              std::uint32_t limit, duration_ms length) {
  if (limit == 0 || limit > events_limit_max) {
    return limit_refused(limit, events_limit_max);
  }
  row_id row{};
  if (const auto no = admit(id, row, length)) {
    return to_error(*no);
  }
  auto promise = self_->make_response_promise<event_page>();
  waiter x;
  x.row = row;
  x.deadline = deadline_after(length);
  x.check = [this, id, after, limit, promise]() mutable {
    auto page = store_->events_after(id, after, limit);
    if (!page) {
      promise.deliver(to_error(page.why()));
      return true;
    }
    if (page->events.empty() && !page->terminal) {
      return false;
    }
    promise.deliver(std::move(*page));
    return true;
  };
  x.expire = [promise]() mutable { promise.deliver(event_page{}); };
  x.refuse = [promise]() mutable {
    promise.deliver(caf::make_error(ec::shutting_down, std::string{"the node is stopping"}));
  };
  subscribe(std::move(x));
  return promise;
}

caf::result<event> watcher_state::follow_type(const process_id& id, const std::string& type,
                                              event_seq after, duration_ms length) {
  return wait_event(
    id, length, [store = store_, id, type, after] { return store->event_after(id, type, after); });
}

caf::result<event> watcher_state::nth_signal(const process_id& id, const std::string& signal,
                                             std::uint64_t n, duration_ms length) {
  const auto type = event_types::signal_prefix + signal;
  return wait_event(id, length,
                    [store = store_, id, type, n] { return store->nth_event(id, type, n); });
}

caf::result<event>
watcher_state::wait_event(const process_id& id, duration_ms length, find_function find) {
  row_id row{};
  if (const auto no = admit(id, row, length)) {
    return to_error(*no);
  }
  auto promise = self_->make_response_promise<event>();
  waiter x;
  x.row = row;
  x.deadline = deadline_after(length);
  x.check = [this, id, row, find = std::move(find), promise]() mutable {
    // First whether it has ended: an event that comes between the two reads is then still seen.
    const auto ended = store_->outcome_of(row).has_value();
    auto found = find();
    if (!found) {
      promise.deliver(to_error(found.why()));
      return true;
    }
    if (*found) {
      promise.deliver(std::move(**found));
      return true;
    }
    if (ended) {
      promise.deliver(caf::make_error(ec::already_terminal,
                                      "'" + id + "' has its outcome; no such event will come"));
    }
    return ended;
  };
  x.expire = [promise]() mutable {
    promise.deliver(caf::make_error(ec::timed_out, std::string{"no such event yet"}));
  };
  x.refuse = [promise]() mutable {
    promise.deliver(caf::make_error(ec::shutting_down, std::string{"the node is stopping"}));
  };
  subscribe(std::move(x));
  return promise;
}

caf::result<done> watcher_state::wait_wake(const std::string& session, duration_ms length) {
  if (waiters_.size() >= policy_.waiters_max) {
    return caf::make_error(ec::overloaded, std::string{"too many requests wait"});
  }
  auto promise = self_->make_response_promise<done>();
  waiter x;
  x.row = any_row;
  x.asked = deadline_after(length);
  x.deadline = std::min(x.asked, self_->clock().now() + wake_recheck);
  x.check = [this, session, promise]() mutable {
    const auto there = store_->has_wake(session, clock_->now());
    if (there) {
      promise.deliver(done{1});
    }
    return there;
  };
  x.expire = [promise]() mutable { promise.deliver(done{0}); };
  x.refuse = [promise]() mutable {
    promise.deliver(caf::make_error(ec::shutting_down, std::string{"the node is stopping"}));
  };
  subscribe(std::move(x));
  return promise;
}

void watcher_state::subscribe(waiter x) {
  if (x.deadline <= self_->clock().now()) {
    // Only asked whether: nothing to subscribe to.
    if (!x.check()) {
      x.expire();
    }
    return;
  }
  const auto number = ++last_number_;
  by_row_[x.row].insert(number);
  by_deadline_.emplace(x.deadline, number);
  auto& stored = waiters_.emplace(number, std::move(x)).first->second;
  if (stored.check()) {
    remove(number);
    return;
  }
  arm();
}

void watcher_state::remove(std::uint64_t number) {
  const auto found = waiters_.find(number);
  if (found == waiters_.end()) {
    return;
  }
  by_deadline_.erase({found->second.deadline, number});
  const auto row = by_row_.find(found->second.row);
  row->second.erase(number);
  if (row->second.empty()) {
    by_row_.erase(row);
  }
  waiters_.erase(found);
}

void watcher_state::changed(const std::vector<row_id>& rows) {
  if (waiters_.empty()) {
    return;
  }
  auto concerned = rows;
  concerned.push_back(any_row);
  for (const auto row : concerned) {
    const auto found = by_row_.find(row);
    if (found == by_row_.end()) {
      continue;
    }
    const auto numbers = found->second;
    for (const auto number : numbers) {
      if (waiters_.at(number).check()) {
        remove(number);
      }
    }
  }
}

void watcher_state::tick() {
  const auto now = self_->clock().now();
  ticks_.came();
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const auto number = by_deadline_.begin()->second;
    auto& x = waiters_.at(number);
    const auto there = x.check();
    if (!there && x.asked > now) { // Only looked again.
      by_deadline_.erase({x.deadline, number});
      x.deadline = std::min(x.asked, now + wake_recheck);
      by_deadline_.emplace(x.deadline, number);
      continue;
    }
    if (!there) {
      x.expire();
    }
    remove(number);
  }
  arm();
}

void watcher_state::arm() {
  if (by_deadline_.empty()) {
    return;
  }
  const auto next = by_deadline_.begin()->first;
  if (ticks_.are_needed(next)) {
    self_->delayed_send(self_, next - self_->clock().now(), atom::tick_v);
  }
}

void watcher_state::stop() {
  for (auto& [number, x] : waiters_) {
    x.refuse();
  }
  // A stored promise holds its actor: the cycle ends here.
  waiters_.clear();
  by_row_.clear();
  by_deadline_.clear();
  self_->quit(caf::exit_reason::user_shutdown);
}

std::string watcher_state::snapshot() const {
  return nlohmann::json{{"actor", name}, {"waiters", waiters_.size()}, {"rows", by_row_.size()}}
    .dump();
}

watcher_actor::behavior_type
watcher(watcher_state::pointer self, std::shared_ptr<storage::store> store,
        std::shared_ptr<const registry_clock> clock, watch_policy policy,
        std::shared_ptr<visitors> known) {
  install_fault_handlers(self, component::watcher);
  auto& state = self->state;
  state.start(self, std::move(store), std::move(clock), policy);
  const guard by{self, std::move(known)};
  using gates::role;
  return {
    by(role::read, [&state](atom::wait, const process_id& id,
                            duration_ms length) { return state.wait(id, length); }),
    by(role::read,
       [&state](atom::follow, const process_id& id, event_seq after, std::uint32_t limit,
                duration_ms length) { return state.follow(id, after, limit, length); }),
    by(role::read,
       [&state](atom::follow, const process_id& id, const std::string& type, event_seq after,
                duration_ms length) { return state.follow_type(id, type, after, length); }),
    by(role::read,
       [&state](atom::signal, const process_id& id, const std::string& signal, std::uint64_t n,
                duration_ms length) { return state.nth_signal(id, signal, n, length); }),
    by(role::read, [&state](atom::wakes, const std::string& session,
                            duration_ms length) { return state.wait_wake(session, length); }),
    by.inside([&state](atom::changed, const std::vector<row_id>& rows) { state.changed(rows); }),
    by.inside([&state](atom::tick) { state.tick(); }),
    by(role::read, [&state](atom::snapshot) { return state.snapshot(); }),
  };
}

} // namespace belay::actors
