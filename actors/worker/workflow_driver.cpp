#include "actors/worker/workflow_driver.hpp"

#include "actors/log.hpp"
#include "actors/workflow/definition.hpp"
#include "messages/wire_error.hpp"

#include <caf/send.hpp>
#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

constexpr const char* component = "workflow";
constexpr auto registry_deadline = std::chrono::seconds{10};
/// Pause before a request that was not answered, or found the store full, is sent again.
constexpr duration_ms again_pause_ms = 250;
constexpr std::uint32_t journal_page_max = 1'000;

void run_slice(const std::shared_ptr<workflows::engine>& engine, const process_actor& tell) {
  engine->advance();
  caf::anon_send(tell, atom::advance_v);
}

} // namespace

workflow_driver::workflow_driver(driver_setup setup) : setup_{std::move(setup)} {}

workflow_driver::~workflow_driver() {
  abandon();
}

timestamp_ms workflow_driver::now() const {
  return setup_.links.now();
}

void workflow_driver::in(duration_ms delay, std::function<void()> what) {
  const auto tag = ++last_tag_;
  alarms_.emplace(tag, std::move(what));
  setup_.set_alarm(tag, std::max<duration_ms>(delay, 0));
}

void workflow_driver::at(timestamp_ms when, std::function<void()> what) {
  in(when - now(), std::move(what));
}

void workflow_driver::alarm(std::uint32_t tag) {
  const auto found = alarms_.find(tag);
  if (found == alarms_.end() || phase_ == phase::over) {
    return;
  }
  const auto what = std::move(found->second);
  alarms_.erase(found);
  what();
}

// -- beginning ------------------------------------------------------------------------------------

void workflow_driver::start() {
  if (setup_.row.journaled) {
    load(0);
  } else {
    make_engine();
  }
}

void workflow_driver::load(std::uint64_t after) {
  setup_.self
    ->request(setup_.links.reader, registry_deadline, atom::journal_v, setup_.what.id, after,
              journal_page_max)
    .then(
      [this](journal_page& page) {
        for (auto& entry : page.entries) {
          journal_.push_back(std::move(entry));
        }
        if (page.more) {
          load(journal_.back().number);
        } else {
          make_engine();
        }
      },
      [this, after](const caf::error&) { in(again_pause_ms, [this, after] { load(after); }); });
}

void workflow_driver::make_engine() {
  const auto input = nlohmann::json::parse(setup_.what.input);
  const auto* definition = setup_.links.tools->find_workflow(setup_.what.kind);
  workflows::engine_setup x;
  x.id = setup_.what.id;
  x.attempt = setup_.row.attempt;
  x.run = setup_.row.failures;
  x.args = input.at("args");
  x.originator = setup_.what.originator;
  x.journal = std::move(journal_);
  x.now = setup_.links.now;
  x.limits = setup_.policy.limits;
  x.check_child
    = [tools = setup_.links.tools](const registration& child) { return tools->check_input(child); };
  x.log = [id = setup_.what.id](const std::string& text, const nlohmann::json& fields) {
    log::info(component, "workflow.says", {{"process", id}, {"fields", fields.dump()}}, text);
  };
  engine_ = std::make_shared<workflows::engine>(std::move(x), definition->code);
  slice();
}

void workflow_driver::slice() {
  phase_ = phase::slicing;
  ticket_
    = setup_.links.run_code(setup_.what.id, [engine = engine_, tell = process_actor{setup_.self}] {
        run_slice(engine, tell);
      });
}

void workflow_driver::advance() {
  if (phase_ == phase::slicing) {
    ticket_ = nullptr;
    go_on();
  }
}

// -- between slices -------------------------------------------------------------------------------

void workflow_driver::go_on() {
  phase_ = phase::settling;
  if (cancel_reason_ && !cancel_told_) {
    cancel_told_ = true;
    engine_->request_cancel(*cancel_reason_);
  }
  do {
    drop_unwanted();
    take_arrived();
    take_signals();
    if (engine_->must_commit() || (engine_->result() && engine_->is_dirty())) {
      commit();
      return;
    }
    if (const auto& result = engine_->result()) {
      finish(*result);
      return;
    }
    for (auto& want : engine_->take_wants()) {
      begin(std::move(want));
    }
    begin_due_calls();
  } while (has_news()); // Some can be answered at once: there is no such tool.
  phase_ = phase::waiting;
  wait_idle();
}

bool workflow_driver::has_news() const {
  return !arrived_.empty() || !signals_.empty();
}

void workflow_driver::drop_unwanted() {
  for (const auto op : engine_->take_dropped()) {
    const auto found = efforts_.find(op);
    if (found == efforts_.end()) {
      continue;
    }
    if (auto run = std::move(found->second.run)) {
      const auto call = found->second.call;
      run->cancel();
      leaving_.emplace(call, std::move(run));
      in(setup_.cancel_grace_ms, [this, call] { leaving_.erase(call); });
    }
    efforts_.erase(found);
  }
}

void workflow_driver::take_arrived() {
  auto notes = std::move(notes_);
  notes_.clear();
  for (auto& [op, state] : notes) {
    engine_->note(op, std::move(state));
  }
  auto arrived = std::move(arrived_);
  arrived_.clear();
  for (auto& [op, result] : arrived) {
    engine_->complete(op, std::move(result));
  }
}

void workflow_driver::commit() {
  phase_ = phase::committing;
  auto batch = engine_->take_batch();
  pending_ = {setup_.row.held,         std::move(batch.entries),     std::move(batch.children),
              std::move(batch.events), std::move(batch.attachments), std::move(batch.status)};
  if (setup_.policy.effects == durability::in_memory) {
    forget_entries();
  } else {
    send_pending();
  }
}

void workflow_driver::forget_entries() {
  for (auto& one : pending_.events) {
    caf::anon_send(process_actor{setup_.self}, atom::append_v, std::move(one.type),
                   std::move(one.payload));
  }
  pending_.entries.clear();
  pending_.events.clear();
  if (pending_.children.empty() && pending_.attachments.empty() && pending_.status.empty()) {
    committed();
  } else {
    send_pending();
  }
}

void workflow_driver::send_pending() {
  setup_.self->request(setup_.links.registry, registry_deadline, atom::journal_v, pending_)
    .then([this](const journal_receipt&) { committed(); },
          [this](const caf::error& x) { commit_refused(to_refusal(x)); });
}

void workflow_driver::committed() {
  if (phase_ != phase::committing) {
    return;
  }
  ++commits_;
  pending_ = {};
  engine_->committed();
  if (park_after_commit_) {
    park_after_commit_ = false;
    if (!has_news() && !cancel_reason_) {
      park();
      return;
    }
  }
  slice();
}

void workflow_driver::commit_refused(const refusal& why) {
  if (phase_ != phase::committing) {
    return;
  }
  switch (why.code) {
    case ec::lease_superseded:
      setup_.lost();
      break;
    case ec::bad_request:
    case ec::registration_conflict:
    case ec::already_terminal:
    case ec::unknown_process:
    case ec::pruned:
    case ec::overloaded:
      // What the code asks for cannot be had: it can never go on from here.
      finish(make_failure(failure_class::invalid_request, "journal_refused", why.text, false));
      break;
    default:
      // The store is full or did not answer; the same again is the same.
      in(again_pause_ms, [this] {
        if (phase_ == phase::committing) {
          send_pending();
        }
      });
  }
}

void workflow_driver::finish(outcome result) {
  phase_ = phase::over;
  efforts_.clear();
  leaving_.clear();
  setup_.finished(std::move(result));
}

void workflow_driver::cancel(const std::string& reason) {
  if (cancel_reason_ || phase_ == phase::over) {
    return;
  }
  cancel_reason_ = reason;
  if (phase_ == phase::waiting) {
    wake_up();
  }
}

void workflow_driver::abandon() {
  phase_ = phase::over;
  efforts_.clear();
  leaving_.clear();
  alarms_.clear();
  if (ticket_) {
    running::work_pool::abandon(ticket_);
    ticket_ = nullptr;
  }
  if (engine_) {
    // Its frames may hold what takes time to destroy.
    static_cast<void>(setup_.links.run_code(
      setup_.what.id, [engine = std::move(engine_)]() mutable { engine.reset(); }));
    engine_ = nullptr;
  }
}

// -- slots and parking ----------------------------------------------------------------------------

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
    if (!twice && all.size() < conditions_max) {
      all.push_back(std::move(*until));
    }
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
  log::error(component, "workflow.park_refused", {{"process", setup_.what.id}, {"why", why.text}},
             "a workflow cannot be parked; it stays in memory");
}

nlohmann::json workflow_driver::snapshot() const {
  constexpr std::array words{"loading", "slicing", "settling", "committing",
                             "waiting", "parking", "over"};
  auto waits = nlohmann::json::array();
  for (const auto& [op, x] : efforts_) {
    waits.push_back({{"for", to_string(x.what.kind)},
                     {"name", x.what.name},
                     {"ordinal", x.what.ordinal},
                     {"deadline", x.what.deadline},
                     {"running", x.run != nullptr},
                     {"failures", x.failures}});
  }
  return {{"phase", words.at(static_cast<std::size_t>(phase_))},
          {"commits", commits_},
          {"idle", idle_},
          {"waits", std::move(waits)}};
}

} // namespace belay::actors
