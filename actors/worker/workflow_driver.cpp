#include "actors/worker/workflow_driver.hpp"

#include "actors/component.hpp"
#include "actors/log.hpp"
#include "actors/worker/journal_parts.hpp"
#include "actors/worker/requests.hpp"
#include "actors/workflow/definition.hpp"
#include "messages/page_size.hpp"
#include "messages/wire_error.hpp"

#include <caf/send.hpp>
#include <limits>
#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

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
    log::info(component::workflow, "workflow.says", {{"process", id}, {"fields", fields.dump()}},
              text);
  };
  x.watch_step = setup_.trace.step_watch();
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
      setup_.trace.end_part(std::move(found->second.trace), false, "");
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
  for (auto& child : batch.children) {
    if (child.traceparent.empty()) {
      child.traceparent = setup_.trace.traceparent();
    }
  }
  journal_request all{
    setup_.row.held,         std::move(batch.entries),     std::move(batch.children),
    std::move(batch.events), std::move(batch.attachments), std::move(batch.status)};
  if (setup_.policy.effects == durability::in_memory) {
    forget_entries(all);
    if (all.children.empty() && all.attachments.empty() && all.status.empty()) {
      committed();
      return;
    }
  }
  // In this program one message holds whatever it must.
  constexpr auto no_bound = std::numeric_limits<std::size_t>::max();
  pending_ = parts_of(std::move(all), setup_.links.uplink ? page_bytes_max : no_bound);
  send_pending();
}

void workflow_driver::forget_entries(journal_request& all) const {
  for (auto& one : all.events) {
    caf::anon_send(process_actor{setup_.self}, atom::append_v, std::move(one.type),
                   std::move(one.payload));
  }
  all.entries.clear();
  all.events.clear();
}

void workflow_driver::send_pending() {
  setup_.self->request(setup_.links.registry, registry_deadline, atom::journal_v, pending_.front())
    .then(
      [this](const journal_receipt&) {
        if (phase_ != phase::committing) {
          return;
        }
        pending_.pop_front();
        if (pending_.empty()) {
          committed();
        } else {
          send_pending();
        }
      },
      [this](const caf::error& x) { commit_refused(to_refusal(x)); });
}

void workflow_driver::committed() {
  if (phase_ != phase::committing) {
    return;
  }
  ++commits_;
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
