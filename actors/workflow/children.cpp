// Children: their ids, their registrations, and why one is refused.
#include "actors/workflow/core.hpp"

namespace belay::workflows {

namespace {

/// Longest derived id in bytes; a longer one is replaced by its hash. Chosen: ids may have 256.
constexpr std::size_t child_id_bytes_max = 200;

std::string child_id(const engine_setup& parent, const journal_entry& x) {
  auto text = parent.id + "/";
  if (parent.run > 0) {
    text += "r" + std::to_string(parent.run) + ":";
  }
  if (!x.scope.empty()) {
    text += x.scope + ":";
  }
  text += x.name + "." + std::to_string(x.ordinal);
  return text.size() > child_id_bytes_max ? "wf-" + hash_hex(text) : text;
}

} // namespace

operation_ptr core::make_child(std::string name, std::string kind, const json& input,
                               const child_options& options) {
  auto text = input.dump();
  auto journal_name = options.name.empty() ? std::move(name) : std::string{options.name};
  auto x = make(effect_kind::start, std::move(journal_name), hash_hex(text).substr(0, 32));
  auto& wanted = x->to_start;
  if (options.more != nullptr) {
    wanted.labels = options.more->labels;
    wanted.event_types = options.more->event_types;
    wanted.observers = options.more->observers;
    wanted.wake_session = options.more->wake_session;
    wanted.traceparent = options.more->traceparent;
  }
  wanted.id = options.id.empty() ? child_id(setup_, x->entry) : std::string{options.id};
  wanted.input = std::move(text);
  wanted.kind = std::move(kind);
  wanted.queue = options.queue;
  wanted.priority = options.priority;
  wanted.due_at = options.due ? options.due->time_since_epoch().count() : 0;
  wanted.timeout_ms = options.timeout.count();
  wanted.retry = options.retry;
  wanted.attempts_max = options.attempts_max;
  wanted.rule = options.rule;
  wanted.parent = setup_.id;
  wanted.close = options.close;
  wanted.label = options.label;
  wanted.originator = setup_.originator;
  wanted.caused_by = json{{"type", "process"}, {"process_id", setup_.id}}.dump();
  return x;
}

std::optional<outcome> core::refuse_child(const operation& x) const {
  if (children_ >= setup_.limits.children_max) {
    return make_failure(failure_class::resource_limit, "children_max",
                        "a workflow can start " + std::to_string(setup_.limits.children_max)
                          + " children, no more (workflow.children_max)",
                        false);
  }
  auto no = validate(x.to_start);
  if (!no && setup_.check_child) {
    no = setup_.check_child(x.to_start);
  }
  if (no) {
    return make_failure(failure_class::invalid_request, to_string(no->code), no->text, false);
  }
  return std::nullopt;
}

bool core::start_child(const operation_ptr& x, runnable& caller) {
  if (x->delivered) {
    return true;
  }
  const auto place = result_ ? entered::stopped : enter(x);
  if (place == entered::stopped) {
    return false; // For ever: the code is not to go on.
  }
  x->delivered = true;
  if (place == entered::fresh) {
    // A refusal is recorded as well: what is refused today may be accepted on replay.
    const auto no = refuse_child(*x);
    const auto ended = no ? *no : make_success(json(x->to_start.id).dump());
    x->entry.result = to_json_value(ended).dump(-1, ' ', false, json::error_handler_t::replace);
    if (!no) {
      ledger_.add_child(std::move(x->to_start));
    }
  }
  if (is_success(x->entry.result)) {
    ++children_;
  }
  if (place == entered::fresh && ledger_.is_large()) {
    // Everything waits, and this goes on first: the order of all else is as if nothing waited.
    paused_ = true;
    ready_.push_front(caller);
    return false;
  }
  return true;
}

bool is_success(const std::string& outcome_text) {
  const auto text = json::parse(outcome_text);
  return text.is_object() && text.value("type", "") == "success";
}

const std::string& started_id(operation& x) {
  if (x.target.empty()) {
    x.target = value_or_throw(json::parse(x.entry.result), "start").get<std::string>();
  }
  return x.target;
}

} // namespace belay::workflows
