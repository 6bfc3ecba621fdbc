// When a workflow gives its slot away, and when it parks.
#include "actors/component.hpp"
#include "actors/log.hpp"
#include "actors/worker/requests.hpp"
#include "actors/worker/workflow_driver.hpp"
#include "messages/wire_error.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {} // namespace

bool workflow_driver::calls_run() const {
  for (const auto& [op, x] : efforts_) {
    if (x.run) {
      return true;
    }
  }
  return false;
}

void workflow_driver::wait_idle() {
  if (calls_run()) {
    return; // Tools of its own run: it keeps its slot.
  }
  if (waits_long() && setup_.policy.effects == durability::durable) {
    park();
    return;
  }
  if (!idle_) {
    idle_ = true;
    setup_.self->send(setup_.links.sweeper, atom::idle_v, setup_.slot);
  }
  if (park_asked_ || setup_.policy.park_after_ms <= 0) {
    park_when_sure();
    return;
  }
  const auto armed = ++parks_armed_;
  in(setup_.policy.park_after_ms, [this, armed] {
    if (armed == parks_armed_) {
      park_when_sure();
    }
  });
}

void workflow_driver::wake_up() {
  ++parks_armed_;
  park_asked_ = false;
  if (!idle_) {
    go_on();
  } else if (!waking_) {
    waking_ = true;
    setup_.self->send(setup_.links.sweeper, atom::resume_v, setup_.slot);
  }
}

void workflow_driver::resumed() {
  idle_ = false;
  waking_ = false;
  if (phase_ == phase::waiting) {
    go_on();
  }
}

void workflow_driver::park_soon() {
  park_asked_ = true;
  park_when_sure();
}

void workflow_driver::park_when_sure() {
  if (phase_ != phase::waiting || waking_ || calls_run()
      || setup_.policy.effects == durability::in_memory) {
    return;
  }
  auto sure = true;
  for (const auto& [op, x] : efforts_) {
    const auto watched = x.what.kind == effect_kind::child || x.what.kind == effect_kind::signal;
    if (watched && !x.looked_up) {
      sure = false;
      watch(op, true);
    }
  }
  if (sure) {
    park();
  } else {
    park_asked_ = true;
  }
}

std::optional<wait_condition> workflow_driver::condition_of(const workflows::want& x) const {
  switch (x.kind) {
    case effect_kind::child:
      return wait_condition{wait_kind::child, x.name, 0, 0};
    case effect_kind::signal:
      return wait_condition{wait_kind::signal, x.name, x.ordinal, x.deadline};
    case effect_kind::timer:
      return wait_condition{wait_kind::timer, {}, 0, x.deadline};
    default:
      // A call can wait only for its next try.
      if (const auto found = efforts_.find(x.op);
          found != efforts_.end() && found->second.retry_at != 0) {
        return wait_condition{wait_kind::timer, {}, 0, found->second.retry_at};
      }
      return std::nullopt;
  }
}

bool workflow_driver::waits_long() const {
  const auto soon = now() + setup_.policy.park_after_ms;
  const auto pending = engine_->pending();
  return std::all_of(pending.begin(), pending.end(), [this, soon](const auto& x) {
    const auto until = condition_of(x);
    return until && until->kind == wait_kind::timer && until->deadline > soon;
  });
}

std::optional<park_request> workflow_driver::conditions() const {
  constexpr std::size_t conditions_max = 10'000;
  std::vector<wait_condition> all;
  std::set<std::string> children;
  for (const auto& x : engine_->pending()) {
    auto until = condition_of(x);
    if (!until) {
      return std::nullopt;
    }
    const auto twice = x.kind == effect_kind::child && !children.insert(x.name).second;
    if (!twice) {
      all.push_back(std::move(*until));
    }
  }
  if (all.size() > conditions_max) {
    // Of children any will do: each that ends wakes it, and it parks on the others.
    const auto rest = std::stable_partition(
      all.begin(), all.end(), [](const auto& x) { return x.kind != wait_kind::child; });
    if (rest - all.begin() > static_cast<std::ptrdiff_t>(conditions_max)) {
      return std::nullopt; // It stays in memory.
    }
    all.resize(conditions_max);
  }
  if (all.empty()) {
    return std::nullopt;
  }
  const auto of_all = engine_->needed() > 1 && children.size() >= all.size();
  park_request request;
  request.held = setup_.row.held;
  request.needed = of_all ? std::min(engine_->needed(), all.size()) : 1;
  auto& first = all.front();
  if (setup_.deadline != 0 && (first.deadline == 0 || setup_.deadline < first.deadline)) {
    first.deadline = setup_.deadline;
  }
  request.until = std::move(first);
  request.also.assign(std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end()));
  return request;
}

void workflow_driver::park() {
  if (engine_->is_dirty()) {
    park_after_commit_ = true;
    commit();
    return;
  }
  if (auto request = conditions()) {
    phase_ = phase::parking;
    send_park(std::move(*request));
  }
}

void workflow_driver::send_park(park_request request) {
  setup_.self->request(setup_.links.registry, registry_deadline, atom::park_v, request)
    .then(
      [this](const park_receipt&) {
        if (phase_ == phase::parking) {
          phase_ = phase::over;
          setup_.parked();
        }
      },
      [this, request](const caf::error& x) {
        if (phase_ == phase::parking) {
          park_refused(to_refusal(x), request);
        }
      });
}

void workflow_driver::park_refused(const refusal& why, const park_request& request) {
  if (why.code == ec::lease_superseded) {
    setup_.lost();
    return;
  }
  if (why.code != ec::bad_request && why.code != ec::unknown_process) {
    in(again_pause_ms, [this, request] {
      if (phase_ == phase::parking) {
        send_park(request);
      }
    });
    return;
  }
  // One of the waits can never end: whoever asked for it is told. The text begins with the field.
  std::size_t index = 0;
  if (why.text.rfind("also[", 0) == 0) {
    index = std::strtoull(why.text.c_str() + std::string_view{"also["}.size(), nullptr, 10) + 1;
  }
  const auto& refused = index == 0 ? request.until : request.also.at(index - 1);
  phase_ = phase::settling;
  park_asked_ = false;
  for (const auto& x : engine_->pending()) {
    if (x.kind == effect_kind::child && x.name == refused.name) {
      fail(x.op, failure_class::invalid_request, "await_refused", why.text);
    }
  }
  phase_ = phase::waiting;
  if (has_news()) {
    wake_up();
    return;
  }
  log::error(component::workflow, "workflow.park_refused",
             {{"process", setup_.what.id}, {"why", why.text}},
             "a workflow cannot be parked; it stays in memory");
}

} // namespace belay::actors
