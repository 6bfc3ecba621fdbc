#include "actors/worker/process.hpp"

#include "actors/component.hpp"
#include "actors/faults.hpp"
#include "actors/worker/requests.hpp"
#include "actors/worker/workflow_driver.hpp"
#include "actors/workflow/definition.hpp"

#include <nlohmann/json.hpp>

namespace belay::actors {

namespace {

/// Events on their way to the registry; what a run says beyond that is counted, not kept.
constexpr std::uint32_t appends_max = 64;

constexpr const char* not_begun = "cancelled before this attempt began";

metrics::run_end end_of(outcome_kind kind) {
  switch (kind) {
    case outcome_kind::success:
      return metrics::run_end::success;
    case outcome_kind::cancelled:
      return metrics::run_end::cancelled;
    default:
      return metrics::run_end::failure;
  }
}

} // namespace

process_state_machine::process_state_machine() = default;
process_state_machine::~process_state_machine() = default;

void process_state_machine::start(pointer self, process_setup setup) {
  self_ = self;
  setup_ = std::move(setup);
  self->set_exit_handler([this](const caf::exit_msg& x) {
    count_end(metrics::run_end::stopped);
    if (!setup_.links.uplink) { // Of another node's run the registry says that it was lost.
      trace_.ended("stopped");
    }
    end(x.reason);
  });
  try {
    what_ = registration_from_canonical(setup_.row.registration_json);
  } catch (const std::exception& x) {
    finished(make_failure(failure_class::internal, "registration_unreadable", x.what(), false));
    return;
  }
  trace_ = {setup_.links.tracer, setup_.row, what_};
  if (setup_.row.cancel_requested && !setup_.row.journaled) {
    cancelling_ = true;
    finished(make_cancelled(not_begun));
    return;
  }
  if (setup_.hold) {
    self_->send(setup_.links.sweeper, atom::resume_v, setup_.slot);
  } else {
    run();
  }
}

running::run_callbacks process_state_machine::callbacks() {
  // The run may call from any thread, and after this actor has ended.
  const auto me = process_actor{self_};
  return {
    [me](outcome result) { caf::anon_send(me, atom::finished_v, std::move(result)); },
    [me](std::string type, std::string payload) {
      caf::anon_send(me, atom::append_v, std::move(type), std::move(payload));
    },
    [me](std::string text) { caf::anon_send(me, atom::status_v, std::move(text)); },
    [me](attachment bytes) { caf::anon_send(me, atom::attach_v, std::move(bytes)); },
  };
}

bool process_state_machine::is_workflow() const {
  return setup_.links.tools->find_workflow(what_.kind) != nullptr;
}

void process_state_machine::run() {
  const auto& tools = *setup_.links.tools;
  if (tools.find(what_.kind) == nullptr && !is_workflow()) {
    give_back();
    return;
  }
  trace_.begin();
  const auto args = nlohmann::json::parse(what_.input).at("args");
  if (const auto no = tools.check_args(what_.kind, args); no && !setup_.row.journaled) {
    finished(make_failure(failure_class::invalid_request, "bad_arguments", no->text, false));
    return;
  }
  log::debug(component::process, "process.run",
             {{"process", what_.id},
              {"row", static_cast<std::uint64_t>(setup_.row.held.row)},
              {"attempt", setup_.row.attempt},
              {"fence", static_cast<std::uint64_t>(setup_.row.held.fence)},
              {"owner", setup_.row.held.holder.name}},
             "running");
  if (const auto& meter = setup_.links.meter) {
    meter_ = &meter->of(what_.kind);
    begun_at_ = self_->clock().now();
    metrics::worker_instruments::run_begins(
      *meter_, setup_.links.now ? setup_.links.now() - setup_.row.held.claimed_at : 0);
  }
  if (is_workflow()) {
    run_workflow();
  } else {
    run_tool(args);
  }
}

void process_state_machine::give_back() {
  // Not the process's fault: the row stays claimable, for a worker that has the tool.
  log::warn(component::process, "process.not_taken", {{"process", what_.id}, {"tool", what_.kind}},
            "this worker has no such tool; the row is given back");
  phase_ = phase::ended;
  self_->request(setup_.links.registry, registry_deadline, atom::release_v, setup_.row.held)
    .then([this](const done&) { self_->quit(caf::exit_reason::normal); },
          [this](const caf::error& x) { self_->quit(x); });
}

void process_state_machine::run_tool(const nlohmann::json& args) {
  if (what_.timeout_ms > 0) {
    set_alarm(timeout_tag, what_.timeout_ms);
  }
  const auto* tool = setup_.links.tools->find(what_.kind);
  run_ = tool->start({what_.id, setup_.row.attempt, trace_.traceparent()}, args, callbacks());
}

void process_state_machine::run_workflow() {
  driver_setup x;
  x.self = self_;
  x.row = setup_.row;
  x.what = what_;
  x.slot = setup_.slot;
  x.links = setup_.links;
  x.policy = setup_.workflow;
  x.trace = trace_;
  x.cancel_grace_ms = setup_.cancel_grace_ms;
  if (what_.timeout_ms > 0) {
    // A workflow's time counts from its first start, however often it is parked on the way.
    x.deadline = setup_.row.started_at + what_.timeout_ms;
    set_alarm(timeout_tag, std::max<duration_ms>(x.deadline - setup_.links.now(), 0));
  }
  x.finished = [this](outcome result) { finished(std::move(result)); };
  x.parked = [this] {
    count_end(metrics::run_end::parked);
    trace_.ended("parked");
    end(caf::exit_reason::normal);
  };
  x.lost = [this] { lost("journal"); };
  x.set_alarm = [this](std::uint32_t tag, duration_ms delay) {
    self_->send(setup_.links.sweeper, atom::alarm_v, setup_.slot, false, tag, delay);
  };
  workflow_ = std::make_unique<workflow_driver>(std::move(x));
  workflow_->start();
  if (setup_.row.cancel_requested || cancelling_) {
    cancelling_ = true;
    stop_run();
  }
}

void process_state_machine::set_alarm(alarm_tag tag, duration_ms delay) {
  self_->send(setup_.links.sweeper, atom::alarm_v, setup_.slot, false,
              static_cast<std::uint32_t>(tag), delay);
}

void process_state_machine::stop_run() {
  if (run_) {
    run_->cancel();
  } else if (workflow_) {
    workflow_->cancel(timed_out_ ? "its time is over" : "asked to stop");
  } else {
    return;
  }
  set_alarm(grace_tag, setup_.cancel_grace_ms);
}

void process_state_machine::kill_run() {
  if (run_) {
    run_->kill();
  } else if (workflow_) {
    workflow_->abandon();
    finished(make_cancelled("killed; its code was left behind"));
  }
}

void process_state_machine::cancel(bool kill) {
  if (phase_ != phase::running) {
    return;
  }
  const auto first = !cancelling_;
  cancelling_ = true;
  if (setup_.hold && (kill || !setup_.row.journaled)) {
    finished(make_cancelled(not_begun)); // Else its code is told once it has a slot.
  } else if (kill) {
    kill_run();
  } else if (first) {
    stop_run();
  }
}

void process_state_machine::count_end(metrics::run_end how) {
  if (auto* const meter = std::exchange(meter_, nullptr)) {
    metrics::worker_instruments::run_ended(*meter, how, self_->clock().now() - begun_at_);
  }
}

void process_state_machine::lost(const std::string&) {
  count_end(metrics::run_end::lost);
  end(caf::make_error(ec::lease_superseded, std::string{"lease lost"}));
}

void process_state_machine::release(const std::string& reason) {
  if (phase_ != phase::running) {
    return; // The outcome is on its way.
  }
  phase_ = phase::ended;
  count_end(metrics::run_end::released);
  run_.reset();
  if (workflow_) {
    workflow_->abandon();
  }
  self_->request(setup_.links.registry, registry_deadline, atom::release_v, setup_.row.held, reason)
    .then(
      [this](const done& x) {
        if (x.count > 0) { // Else it was not ours any more.
          trace_.ended("released");
        }
        self_->quit(caf::exit_reason::normal);
      },
      [this](const caf::error& x) { self_->quit(x); });
}

void process_state_machine::alarm(std::uint32_t tag) {
  if (tag >= workflow_driver::first_tag) {
    if (workflow_ && phase_ == phase::running) {
      workflow_->alarm(tag);
    }
  } else if (tag == retry_tag) {
    outcome_in_flight_ = false;
    flush();
  } else if (tag == attach_tag) {
    attachment_in_flight_ = false;
    flush();
  } else if (tag == timeout_tag && phase_ == phase::running && !cancelling_ && !timed_out_) {
    timed_out_ = true;
    stop_run();
  } else if (tag == grace_tag && phase_ == phase::running) {
    kill_run();
  }
}

void process_state_machine::call_finished(std::uint64_t call, outcome result) {
  if (workflow_ && phase_ == phase::running) {
    workflow_->call_finished(call, std::move(result));
  }
}

void process_state_machine::advance() {
  if (workflow_ && phase_ == phase::running) {
    workflow_->advance();
  }
}

void process_state_machine::resumed() {
  if (phase_ != phase::running) {
    return;
  }
  if (workflow_) {
    workflow_->resumed();
  } else if (setup_.hold) {
    setup_.hold = false;
    run();
  }
}

void process_state_machine::park() {
  if (workflow_ && phase_ == phase::running) {
    workflow_->park_soon();
  }
}

void process_state_machine::status(std::string text) {
  if (phase_ == phase::running) {
    status_ = std::move(text);
    flush();
  }
}

void process_state_machine::attach(attachment bytes) {
  if (phase_ == phase::running) {
    attachments_.push_back(std::move(bytes));
    flush();
  }
}

void process_state_machine::flush() {
  if (phase_ == phase::ended) {
    return;
  }
  if (!attachments_.empty() && !attachment_in_flight_) {
    send_attachment();
  }
  if (!status_.empty() && !status_in_flight_) {
    send_status();
  }
  const auto is_written = !attachment_in_flight_ && !status_in_flight_;
  if (phase_ == phase::completing && is_written && !outcome_in_flight_) {
    complete();
  }
}

void process_state_machine::send_status() {
  journal_request request;
  request.held = setup_.row.held;
  request.status = std::exchange(status_, {});
  status_in_flight_ = true;
  self_->request(setup_.links.registry, registry_deadline, atom::journal_v, std::move(request))
    .then(
      [this](const journal_receipt&) {
        status_in_flight_ = false;
        flush();
      },
      [this](const caf::error& x) {
        status_in_flight_ = false;
        if (to_refusal(x).code == ec::lease_superseded) {
          lost("status");
        } else {
          flush(); // The next one will do.
        }
      });
}

void process_state_machine::send_attachment() {
  journal_request request;
  request.held = setup_.row.held;
  request.attachments.push_back(attachments_.front());
  attachment_in_flight_ = true;
  const auto answered = [this] {
    attachments_.pop_front();
    attachment_in_flight_ = false;
    flush();
  };
  self_->request(setup_.links.registry, registry_deadline, atom::journal_v, std::move(request))
    .then([answered](const journal_receipt&) { answered(); },
          [this, answered](const caf::error& x) {
            const auto why = to_refusal(x);
            switch (why.code) {
              case ec::lease_superseded:
                lost("attach");
                break;
              case ec::store_full:
              case ec::shutting_down:
              case ec::timed_out:
              case ec::outcome_unknown:
                set_alarm(attach_tag, again_pause_ms); // The tool has its name already.
                break;
              default:
                log::warn(component::process, "attachment.refused",
                          {{"process", what_.id}, {"why", why.text}}, "an attachment was not kept");
                answered();
            }
          });
}

void process_state_machine::emit(std::string type, std::string payload) {
  if (phase_ == phase::ended) {
    return;
  }
  if (appends_in_flight_ >= appends_max) {
    ++appends_dropped_;
    return;
  }
  ++appends_in_flight_;
  append_request request;
  request.id = what_.id;
  request.type = std::move(type);
  request.payload = std::move(payload);
  request.fenced = true;
  request.held = setup_.row.held;
  self_->request(setup_.links.registry, registry_deadline, atom::append_v, std::move(request))
    .then([this](const event&) { --appends_in_flight_; },
          [this](const caf::error& x) {
            --appends_in_flight_;
            ++appends_dropped_;
            if (to_refusal(x).code == ec::lease_superseded) {
              lost("append");
            }
          });
}

void process_state_machine::finished(outcome result) {
  if (phase_ != phase::running) {
    return;
  }
  phase_ = phase::completing;
  trace_.over();
  result_ = std::move(result);
  if (timed_out_ && result_.kind != outcome_kind::success) {
    result_
      = make_failure(failure_class::timeout, "timed_out",
                     "ran longer than its timeout of " + std::to_string(what_.timeout_ms) + " ms",
                     true, std::move(result_.value));
  }
  if (cancelling_) {
    result_.retryable = false;
  }
  flush();
}

void process_state_machine::complete() {
  outcome_in_flight_ = true;
  self_
    ->request(setup_.links.registry, registry_deadline, atom::complete_v, setup_.row.held, result_)
    .then(
      [this](const completion& x) {
        count_end(x.status == completion_status::retry_scheduled ? metrics::run_end::retried
                                                                 : end_of(result_.kind));
        trace_.ended(result_, x.status == completion_status::retry_scheduled);
        end(caf::exit_reason::normal);
      },
      [this](const caf::error& x) {
        const auto why = to_refusal(x);
        if (why.code == ec::lease_superseded || why.code == ec::already_terminal) {
          count_end(metrics::run_end::lost);
          end(x);
          return;
        }
        if (why.code == ec::bad_request) {
          // The outcome itself is not acceptable (too large): the process still ends.
          result_ = make_failure(failure_class::resource_limit, "outcome_refused", why.text, false);
        }
        // The keeper ends this when the lease does.
        set_alarm(retry_tag, again_pause_ms);
      });
}

void process_state_machine::end(caf::error reason) {
  phase_ = phase::ended;
  run_.reset();
  if (workflow_) {
    workflow_->abandon(); // May be what called: it is destroyed with this actor's state.
  }
  self_->quit(std::move(reason));
}

std::string process_state_machine::snapshot() const {
  constexpr std::array words{"running", "completing", "ended"};
  return nlohmann::json{{"actor", name},
                        {"workflow", workflow_ ? workflow_->snapshot() : nlohmann::json{}},
                        {"id", what_.id},
                        {"attempt", setup_.row.attempt},
                        {"fence", static_cast<std::uint64_t>(setup_.row.held.fence)},
                        {"phase", words.at(static_cast<std::size_t>(phase_))},
                        {"cancelling", cancelling_},
                        {"timed_out", timed_out_},
                        {"events_dropped", appends_dropped_}}
    .dump();
}

process_actor::behavior_type process(process_state_machine::pointer self, process_setup setup) {
  install_fault_handlers(self, component::process);
  auto& state = self->state;
  state.start(self, std::move(setup));
  return {
    [&state](atom::cancel, bool kill) { state.cancel(kill); },
    [&state](atom::lost, const std::string& why) { state.lost(why); },
    [&state](atom::release, const std::string& reason) { state.release(reason); },
    [&state](atom::finished, outcome& result) { state.finished(std::move(result)); },
    [&state](atom::finished, std::uint64_t call, outcome& result) {
      state.call_finished(call, std::move(result));
    },
    [&state](atom::advance) { state.advance(); },
    [&state](atom::resume) { state.resumed(); },
    [&state](atom::park) { state.park(); },
    [&state](atom::status, std::string& text) { state.status(std::move(text)); },
    [&state](atom::attach, attachment& bytes) { state.attach(std::move(bytes)); },
    [&state](atom::append, std::string& type, std::string& payload) {
      state.emit(std::move(type), std::move(payload));
    },
    [&state](atom::alarm, std::uint32_t tag) { state.alarm(tag); },
    [&state](atom::snapshot) { return state.snapshot(); },
  };
}

} // namespace belay::actors
