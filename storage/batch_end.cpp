// Ending: complete, settle, cancel, abandon. A process gets its outcome here and nowhere else.
#include "storage/batch.hpp"

#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

constexpr std::size_t reason_bytes_max = 1'024;

std::optional<refusal> check_reason(const char* field, const std::string& reason) {
  if (reason.size() <= reason_bytes_max) {
    return std::nullopt;
  }
  return refusal{ec::bad_request, std::string{field} + ": " + std::to_string(reason.size())
                                    + " bytes are not acceptable, expected at most "
                                    + std::to_string(reason_bytes_max)};
}

nlohmann::json terminal_facts(const head_record& head, const outcome& result) {
  nlohmann::json facts;
  facts["attempt"] = head.attempt;
  if (result.kind == outcome_kind::failure) {
    facts["code"] = result.code;
    facts["class"] = to_string(result.failed);
  }
  if (!result.message.empty()) {
    facts["message"] = result.message;
  }
  return facts;
}

std::string stored_form(const outcome& x) {
  return json_text(to_json_value(x));
}

} // namespace

void batch::end(row_state& x, const outcome& result, fencing_token fence,
                const std::string& authority) {
  auto facts = terminal_facts(x.head, result);
  if (!authority.empty()) {
    facts["completion_authority"] = authority;
  }
  record_outcome(x, {result.kind, fence, keep(stored_form(result))}, facts);
}

void batch::record_outcome(row_state& x, const outcome_record& ended, const nlohmann::json& facts) {
  x.head.state = process_state::finished;
  x.head.ended = ended.kind;
  x.head.finished_at = context_.now;
  happenings_.push_back({happening::what::finished, ended.kind, x.head.kind});
  x.head.resumed = false;
  failed_[x.head.queue] += ended.kind == outcome_kind::failure ? 1 : 0;
  add_event(x, rules::terminal_event(ended.kind), json_text(facts));
  txn_.put(tables_.outcome, row_key(x.row), encode(ended));
  txn_.put(tables_.finished, time_key(context_.now, x.row), {});
  ended_.push_back(x.row);
}

void batch::end_unheld(row_state& x, const outcome& result, const std::string& authority) {
  leave_ready(x);
  forget_wait(x);
  end(x, result, x.head.fence, authority);
}

outcome
batch::abandoned_by(const row_state& x, const char* writer, const std::string& message) const {
  auto result = make_abandoned(message);
  nlohmann::json evidence{{"writer", writer}, {"at", context_.now}};
  if (x.head.first_owner != 0) {
    evidence["owner"] = read_.name(x.head.first_owner);
    evidence["incarnation"] = x.head.first_incarnation;
  }
  if (x.head.abandon_requested) {
    evidence["request"] = nlohmann::json::parse(read_.detail(x.row).abandon, nullptr, false);
  }
  result.value = json_text(evidence);
  return result;
}

void batch::settle() {
  while (!ended_.empty() || !told_.empty()) {
    auto& next = ended_.empty() ? told_ : ended_;
    const auto row = next.front();
    next.pop_front();
    if (&next == &ended_) {
      settle_end(row);
    } else {
      cancel_below(row);
    }
  }
}

void batch::settle_end(row_id row) {
  const auto head = read_.head(row);
  for (const auto& key : keys_of(tables_.waiter, row_key(row))) {
    const auto waiter = row_of(std::string_view{key}.substr(sizeof(std::uint64_t)));
    auto left = countdowns_.find(waiter);
    if (left == countdowns_.end()) {
      const auto wait = read_.waiting(waiter);
      if (!wait || !wait->woken.empty()) {
        continue;
      }
      left = countdowns_.emplace(waiter, wait->remaining).first;
    }
    if (left->second > 1) {
      --left->second;
      txn_.erase(tables_.waiter, key);
      continue;
    }
    auto state = load(waiter);
    resume(state, *read_.waiting(waiter),
           {{"by", "child"}, {"child", read_.body(row).id}, {"outcome", to_string(head.ended)}});
    save(state);
  }
  if (head.parent != row_id{} && head.close == close_policy::await) {
    child_ended(head.parent);
  }
  if (head.has_children) {
    const auto reason = "its parent '" + read_.body(row).id + "' has ended";
    cancel_children(row, reason, close_policy::cancel);
    if (head.ended == outcome_kind::cancelled) {
      cancel_children(row, reason, close_policy::await);
    }
  }
}

void batch::each_child(row_id parent, const std::function<void(row_id)>& visit) const {
  for (const auto& key : keys_of(tables_.child, row_key(parent))) {
    visit(row_of(std::string_view{key}.substr(sizeof(std::uint64_t))));
  }
}

std::uint64_t batch::live_awaited_children(const row_state& x) const {
  std::uint64_t live = 0;
  if (x.head.has_children) {
    each_child(x.row, [&](row_id child) {
      const auto head = read_.find_head(child);
      live += head && head->state != process_state::finished && head->close == close_policy::await
                ? 1
                : 0;
    });
  }
  return live;
}

void batch::child_ended(row_id parent) {
  if (!read_.find_head(parent)) {
    return;
  }
  auto state = load(parent);
  auto wait = read_.waiting(parent);
  if (state.head.state != process_state::waiting || !wait || wait->kind != wait_kind::closing) {
    return;
  }
  if (--wait->remaining > 0) {
    txn_.put(tables_.wait, row_key(parent), encode(*wait));
    return;
  }
  const auto text = read_.text(wait->outcome);
  const auto result = outcome_from_json(nlohmann::json::parse(text));
  txn_.erase(tables_.wait, row_key(parent));
  record_outcome(state, {result.kind, wait->fence, wait->outcome},
                 terminal_facts(state.head, result));
  save(state);
}

void batch::cancel_children(row_id parent, const std::string& reason, close_policy which) {
  each_child(parent, [&](row_id child) {
    const auto found = read_.find_head(child);
    if (found && found->state != process_state::finished && !found->cancel_requested
        && found->close == which) {
      cancel_child(child, reason);
    }
  });
}

void batch::cancel_child(row_id row, const std::string& reason) {
  auto state = load(row);
  add_event(state, event_types::cancel_requested, "{\"reason\":" + json_quote(reason) + "}");
  state.head.cancel_requested = true;
  if (const auto held = read_.lease(row)) {
    pushes_.push_back({row, {read_.name(held->owner), held->incarnation}, state.head.fence, false});
  }
  static_cast<void>(deliver_cancel(state, reason));
  save(state);
}

bool batch::deliver_cancel(row_state& x, const std::string& reason) {
  auto& head = x.head;
  const auto wait = read_.waiting(x.row);
  if (head.state == process_state::waiting && wait && wait->kind == wait_kind::closing) {
    // Its outcome is known; what it waits for is cancelled.
    save(x);
    cancel_children(x.row, reason, close_policy::await);
    return false;
  }
  const auto held = head.state == process_state::running;
  if (!held && (rules::ends_cancelled(head) || head.state == process_state::quarantined)) {
    end_unheld(x, make_cancelled(reason));
    return true;
  }
  if (!head.journaled || head.cancel_seen) {
    return false;
  }
  // Its code learns of it, and may put right what it has done.
  if (head.state == process_state::waiting && wait) {
    resume(x, *wait, {{"by", "cancel"}});
  }
  told_.push_back(x.row);
  return false;
}

void batch::cancel_below(row_id row) {
  const auto reason = "its parent '" + read_.body(row).id + "' was cancelled";
  cancel_children(row, reason, close_policy::cancel);
  cancel_children(row, reason, close_policy::await);
}

checked<outcome_record> batch::checked_outcome(const outcome& x, fencing_token fence) {
  const auto bytes = x.value.size() + x.message.size() + x.code.size();
  if (bytes > shared_.opts.outcome_bytes_max) {
    return refusal{ec::bad_request, "outcome: " + std::to_string(bytes)
                                      + " bytes are not acceptable, expected at most "
                                      + std::to_string(shared_.opts.outcome_bytes_max)};
  }
  if (nlohmann::json::parse(x.value, nullptr, false).is_discarded()) {
    return refusal{ec::bad_request, "outcome: its value is not JSON text"};
  }
  if (outcome_kind_from(to_string(x.kind)) != x.kind) {
    return refusal{ec::bad_request, "outcome: its type is not one of success, failure, cancelled, "
                                    "abandoned"};
  }
  return outcome_record{x.kind, fence, {}};
}

answer batch::run(const complete_request& x) {
  auto ended = checked_outcome(x.result, x.held.fence);
  if (!ended) {
    return ended.why();
  }
  auto held = held_row(x.held);
  if (!held) {
    if (const auto stored = read_.outcome(x.held.row)) {
      const auto same
        = stored->fence == x.held.fence && read_.text(stored->text) == stored_form(x.result);
      if (same) {
        return completion{completion_status::already_applied, 0};
      }
      return refusal{ec::lease_superseded, "'" + x.held.id + "' has its outcome"};
    }
    const auto wait = read_.waiting(x.held.row);
    if (wait && wait->kind == wait_kind::closing && wait->fence == x.held.fence
        && read_.text(wait->outcome) == stored_form(x.result)) {
      return completion{completion_status::closing, 0};
    }
    return held.why();
  }
  auto& head = held->head;
  drop_lease(held->row, *read_.lease(held->row));
  completion result;
  if (rules::may_retry(head, x.result)) {
    const auto pause = rules::retry_pause(head.retry, head.failures, context_.random());
    ++head.failures;
    happenings_.push_back({happening::what::retried, {}, head.kind});
    head.due_at = context_.now + pause;
    result = {completion_status::retry_scheduled, head.due_at};
    add_event(*held, event_types::attempt_failed,
              json_text({{"attempt", head.attempt},
                         {"code", x.result.code},
                         {"message", x.result.message},
                         {"retry_at", head.due_at}}));
    drop_journal(*held);
    make_ready(*held);
  } else if (const auto live = live_awaited_children(*held); live > 0) {
    wait_record wait;
    wait.kind = wait_kind::closing;
    wait.since = context_.now;
    wait.outcome = keep(stored_form(x.result));
    wait.fence = x.held.fence;
    wait.remaining = live;
    head.state = process_state::waiting;
    add_event(*held, event_types::waiting, json_text({{"for", "closing"}, {"children", live}}));
    txn_.put(tables_.wait, row_key(held->row), encode(wait));
    result = {completion_status::closing, 0};
    if (x.result.kind == outcome_kind::cancelled) {
      save(*held);
      cancel_children(held->row, "its parent '" + x.held.id + "' was cancelled",
                      close_policy::await);
    }
  } else {
    end(*held, x.result, x.held.fence);
  }
  save(*held);
  return result;
}

answer batch::run(const settle_request& x) {
  auto state = load(x.id);
  if (!state) {
    return state.why();
  }
  if (auto ended = checked_outcome(x.result, {}); !ended) {
    return ended.why();
  }
  if (auto no = check_reason("key", x.key)) {
    return *no;
  }
  const auto reason = rules::authority_refused(x.by, state->head.rule, x.result.kind);
  if (reason) {
    return refusal{ec::authority_refused, "'" + x.id + "' cannot be completed with "
                                            + to_string(x.by) + " authority: " + *reason};
  }
  if (const auto stored = read_.outcome(state->row)) {
    if (read_.text(stored->text) == stored_form(x.result)) {
      return completion{completion_status::already_applied, 0};
    }
    return refusal{ec::already_terminal,
                   "'" + x.id + "' ended already (" + to_string(stored->kind) + ")"};
  }
  if (const auto held = read_.lease(state->row)) {
    drop_lease(state->row, *held);
  }
  end_unheld(*state, x.result, to_string(x.by) + (x.key.empty() ? "" : ":" + x.key));
  save(*state);
  return completion{completion_status::committed, 0};
}

answer batch::run(const cancel_request& x) {
  auto loaded = load(x.id);
  if (!loaded) {
    return loaded.why();
  }
  if (auto no = check_reason("reason", x.reason)) {
    return *no;
  }
  auto& state = *loaded;
  auto& head = state.head;
  if (head.state == process_state::finished) {
    return cancel_receipt{cancel_stage::already_terminal, state.row, {}, head.fence};
  }
  const auto* type = x.kill ? event_types::kill_requested : event_types::cancel_requested;
  const auto key = std::string{type} + ":" + short_hash(x.reason);
  cancel_receipt receipt{cancel_stage::requested, state.row, {}, head.fence};
  if (!txn_.get(tables_.event_key, idempotency_key(state.row, key))) {
    const auto seq = add_event(state, type, "{\"reason\":" + json_quote(x.reason) + "}");
    txn_.put(tables_.event_key, idempotency_key(state.row, key),
             encode(event_key_record{seq, short_hash(x.reason)}));
  }
  head.cancel_requested = true;
  head.kill_requested = head.kill_requested || x.kill;
  if (const auto held = read_.lease(state.row)) {
    receipt.holder = {read_.name(held->owner), held->incarnation};
  }
  if (deliver_cancel(state, x.reason)) {
    receipt.stage = cancel_stage::done;
  }
  save(state);
  return receipt;
}

answer batch::run(const abandon_request& x) {
  auto loaded = load(x.id);
  if (!loaded) {
    return loaded.why();
  }
  for (const auto& [field, text] : {std::pair{"by", &x.by}, std::pair{"reason", &x.reason}}) {
    if (auto no = check_reason(field, *text)) {
      return *no;
    }
  }
  auto& state = *loaded;
  auto& head = state.head;
  auto detail = read_.detail(state.row);
  if (!detail.abandon.empty()) {
    const auto first = nlohmann::json::parse(detail.abandon);
    if (first.at("by") != x.by || first.at("reason") != x.reason) {
      return refusal{ec::already_set,
                     "'" + x.id + "' is to be abandoned since " + first.at("by").get<std::string>()
                       + " asked for it: " + first.at("reason").get<std::string>()};
    }
    return abandon_receipt{head.state == process_state::finished};
  }
  if (head.state == process_state::finished) {
    return refusal{ec::already_terminal,
                   "'" + x.id + "' ended already (" + to_string(head.ended) + ")"};
  }
  const nlohmann::json request{{"by", x.by}, {"reason", x.reason}, {"at", context_.now}};
  detail.abandon = json_text(request);
  head.abandon_requested = true;
  add_event(state, event_types::abandon_requested, detail.abandon);
  save_detail(state, detail);
  const auto held = read_.lease(state.row).has_value();
  if (!held) {
    end_unheld(state, abandoned_by(state, "reconciled_request", x.reason));
  }
  save(state);
  return abandon_receipt{!held};
}

} // namespace belay::storage
