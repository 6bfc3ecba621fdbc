// Ending: complete and cancel. A process gets its outcome here and nowhere else.
#include "storage/batch.hpp"

#include <nlohmann/json.hpp>

namespace belay::storage {

void batch::end(row_state& x, const outcome& result, fencing_token fence) {
  nlohmann::json facts;
  facts["attempt"] = x.head.attempt;
  if (result.kind == outcome_kind::failure) {
    facts["code"] = result.code;
    facts["class"] = to_string(result.failed);
  }
  if (!result.message.empty()) {
    facts["message"] = result.message;
  }
  x.head.state = process_state::finished;
  x.head.ended = result.kind;
  x.head.finished_at = context_.now;
  add_event(x, rules::terminal_event(result.kind),
            facts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  const auto text
    = to_json_value(result).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  txn_.put(tables_.outcome, row_key(x.row),
           encode(outcome_record{result.kind, fence, shared_.blobs.put(text)}));
}

answer batch::run(const complete_request& x) {
  const auto bytes = x.result.value.size() + x.result.message.size() + x.result.code.size();
  if (bytes > shared_.opts.outcome_bytes_max) {
    return refusal{ec::bad_request, "outcome: " + std::to_string(bytes)
                                      + " bytes are not acceptable, expected at most "
                                      + std::to_string(shared_.opts.outcome_bytes_max)};
  }
  if (!nlohmann::json::accept(x.result.value)) {
    return refusal{ec::bad_request, "outcome: its value is not JSON text"};
  }
  auto held = held_row(x.held);
  if (!held) {
    const auto stored = read_.outcome(x.held.row);
    if (!stored) {
      return held.why();
    }
    const auto same = stored->fence == x.held.fence
                      && read_.text(stored->text)
                           == to_json_value(x.result).dump(
                             -1, ' ', false, nlohmann::json::error_handler_t::replace);
    if (same) {
      return completion{completion_status::already_applied, 0};
    }
    return refusal{ec::lease_superseded, "'" + x.held.id + "' has its outcome"};
  }
  const auto before = counter_of(held->head);
  drop_lease(held->row, *read_.lease(held->row));
  completion result;
  if (rules::may_retry(held->head, x.result)) {
    const auto pause = rules::retry_pause(held->head.retry, held->head.failures, context_.random());
    ++held->head.failures;
    held->head.due_at = context_.now + pause;
    result = {completion_status::retry_scheduled, held->head.due_at};
    const nlohmann::json facts{{"attempt", held->head.attempt},
                               {"code", x.result.code},
                               {"message", x.result.message},
                               {"retry_at", held->head.due_at}};
    add_event(*held, event_types::attempt_failed,
              facts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    make_ready(*held);
  } else {
    end(*held, x.result, x.held.fence);
  }
  save(*held, before);
  return result;
}

answer batch::run(const cancel_request& x) {
  constexpr std::size_t reason_bytes_max = 1'024;
  const auto row = read_.row(x.id);
  if (!row) {
    return refusal{ec::unknown_process, "no process has the id '" + x.id + "'"};
  }
  if (x.reason.size() > reason_bytes_max) {
    return refusal{ec::bad_request, "reason: " + std::to_string(x.reason.size())
                                      + " bytes are not acceptable, expected at most "
                                      + std::to_string(reason_bytes_max)};
  }
  row_state state{*row, read_.head(*row)};
  auto& head = state.head;
  if (head.state == process_state::finished) {
    return cancel_receipt{cancel_stage::already_terminal, *row, {}, head.fence};
  }
  const auto before = counter_of(head);
  const auto* type = x.kill ? event_types::kill_requested : event_types::cancel_requested;
  const auto key = std::string{type} + ":" + short_hash(x.reason);
  cancel_receipt receipt{cancel_stage::requested, *row, {}, head.fence};
  if (!txn_.get(tables_.event_key, idempotency_key(*row, key))) {
    const auto seq = add_event(state, type, "{\"reason\":" + json_quote(x.reason) + "}");
    txn_.put(tables_.event_key, idempotency_key(*row, key),
             encode(event_key_record{seq, short_hash(x.reason)}));
  }
  head.cancel_requested = true;
  head.kill_requested = head.kill_requested || x.kill;
  if (const auto held = read_.lease(*row)) {
    receipt.holder = {read_.name(held->owner), held->incarnation};
  } else {
    if (head.state == process_state::ready) {
      txn_.erase(tables_.ready, encode(place_of(head, *row)));
    }
    end(state, make_cancelled(x.reason), head.fence);
    receipt.stage = cancel_stage::done;
  }
  save(state, before);
  return receipt;
}

} // namespace belay::storage
