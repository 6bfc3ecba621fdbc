// What is asked of a process from outside its run: references, trying again, leaving quarantine.
#include "messages/json_strict.hpp"
#include "storage/batch.hpp"

#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

std::string word_of(const head_record& head) {
  return head.state == process_state::finished ? to_string(head.ended) : to_string(head.state);
}

} // namespace

answer batch::run(const external_ref_request& x) {
  auto state = load(x.id);
  if (!state) {
    return state.why();
  }
  for (const auto& [field, text] :
       {std::pair{"backend", &x.backend}, std::pair{"reference", &x.reference}}) {
    if (auto no = validate_session(field, *text, shared_.opts.registration)) {
      return *no;
    }
  }
  nlohmann::json given{{"backend", x.backend}, {"reference", x.reference}};
  if (!x.metadata.empty()) {
    const auto metadata = parse_json_strict(x.metadata);
    if (!metadata || !metadata->is_object() || x.metadata.size() > shared_.opts.event_bytes_max) {
      return refusal{ec::bad_request, "metadata: not a JSON object of at most "
                                        + std::to_string(shared_.opts.event_bytes_max) + " bytes"};
    }
    given["metadata"] = normal_numbers(*metadata);
  }
  const auto text = json_text(given);
  auto detail = read_.detail(state->row);
  if (!detail.external_ref.empty()) {
    if (detail.external_ref == text) {
      return done{0};
    }
    return refusal{ec::already_set,
                   "'" + x.id + "' is known outside as " + detail.external_ref + ", given " + text};
  }
  detail.external_ref = text;
  save_detail(*state, detail);
  if (state->head.state != process_state::finished) {
    add_event(*state, event_types::external_ref_set, text);
  }
  save(*state);
  return done{1};
}

answer batch::run(const requeue_request& x) {
  auto state = load(x.id);
  if (!state) {
    return state.why();
  }
  auto& head = state->head;
  const auto wrong = [&](const std::string& expected) {
    return refusal{ec::wrong_state,
                   "'" + x.id + "' is " + word_of(head) + ", expected " + expected};
  };
  if (x.from_quarantine) {
    if (head.state != process_state::quarantined) {
      return wrong("quarantined");
    }
    if (head.rule == recovery_rule::owner_bound && head.first_owner != 0) {
      return refusal{ec::wrong_state, "'" + x.id + "' is owner-bound and was started by "
                                        + read_.name(head.first_owner) + "#"
                                        + std::to_string(head.first_incarnation)
                                        + ": nobody else may run it; abandon or cancel it"};
    }
    if (!rules::next_fence(head.fence)) {
      return refusal{ec::exhausted, "'" + x.id + "' has no fencing token left"};
    }
    add_event(*state, event_types::unquarantined,
              "{\"interruptions\":" + std::to_string(head.interruptions) + "}");
    head.interruptions = 0;
  } else {
    if (head.state != process_state::ready || head.due_at <= context_.now) {
      return wrong("delayed");
    }
    leave_ready(*state);
  }
  head.due_at = context_.now;
  make_ready(*state);
  save(*state);
  return done{1};
}

answer batch::run(const again_request& x) {
  const auto row = read_.lookup(x.id);
  if (!row) {
    return row.why();
  }
  const auto head = read_.head(*row);
  if (head.state != process_state::finished) {
    return refusal{ec::wrong_state,
                   "'" + x.id + "' is " + word_of(head) + ", expected one that has its outcome"};
  }
  auto what = registration_from_canonical(read_.text(read_.body(*row).registration));
  what.id = x.new_id;
  what.due_at = 0;
  const auto parent = what.parent.empty() ? checked<row_id>{row_id{}} : read_.lookup(what.parent);
  if (!parent || (*parent != row_id{} && read_.head(*parent).state == process_state::finished)) {
    what.parent.clear(); // It goes on alone: its parent's end has been.
  }
  if (what.labels.size() < shared_.opts.registration.labels_max) {
    what.labels["retry_of"] = x.id;
  }
  return run(register_request{{std::move(what)}});
}

} // namespace belay::storage
