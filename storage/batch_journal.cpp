// Journaling: what one resume of a workflow leaves behind, all of it or nothing.
#include "messages/json_strict.hpp"
#include "storage/batch.hpp"
#include "storage/codec.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

constexpr std::size_t name_bytes_max = 512;
constexpr std::string_view ref_prefix = "sha256:";
constexpr std::size_t input_hash_digits = 32;

bool is_immediate(effect_kind kind) {
  switch (kind) {
    case effect_kind::start:
    case effect_kind::emit:
    case effect_kind::now:
    case effect_kind::patch:
    case effect_kind::attach:
      return true;
    default:
      return false;
  }
}

/// What an entry is called in a refusal.
std::string name_of_entry(const journal_entry& x) {
  constexpr std::size_t shown_max = 80;
  return "entries: " + std::to_string(x.number) + " (" + to_string(x.kind) + " "
         + json_quote(x.name.substr(0, shown_max)) + " " + std::to_string(x.ordinal) + ")";
}

bool is_input_hash(std::string_view text) {
  return text.empty()
         || (text.size() == input_hash_digits
             && text.find_first_not_of("0123456789abcdef") == std::string_view::npos);
}

/// Checks what can be said of an entry by itself.
std::optional<refusal> check_entry(const journal_entry& x, const options& opts) {
  const auto bad = [&x](const std::string& text) {
    return refusal{ec::bad_request, name_of_entry(x) + " " + text};
  };
  if (x.number > opts.journal_max) {
    return refusal{ec::overloaded, name_of_entry(x)
                                     + ": a journal has at most store.journal_max entries ("
                                     + std::to_string(opts.journal_max) + ")"};
  }
  if (to_string(x.kind) == "unknown" || x.ordinal == 0) {
    return bad("is not acceptable, expected a known kind, and an ordinal from 1");
  }
  if (x.name.size() + x.scope.size() > name_bytes_max || !is_plain_text(x.name)
      || !is_plain_text(x.scope) || !is_input_hash(x.input_hash)) {
    return bad("is not acceptable, expected name and scope of at most "
               + std::to_string(name_bytes_max) + " bytes of plain UTF-8, and "
               + std::to_string(input_hash_digits) + " hex digits or none as input hash");
  }
  if (x.result.size() > opts.outcome_bytes_max
      || nlohmann::json::parse(x.result, nullptr, false).is_discarded()) {
    return bad("has a result that is not JSON text of at most "
               + std::to_string(opts.outcome_bytes_max) + " bytes");
  }
  return std::nullopt;
}

} // namespace

bool batch::may_replace(const journal_record& stored, const journal_entry& x) const {
  const auto same = stored.kind == x.kind && stored.scope == x.scope && stored.name == x.name
                    && stored.ordinal == x.ordinal && stored.input_hash == x.input_hash;
  const auto over = stored.done != 0 || is_immediate(stored.kind);
  return same && (!over || (stored.done == x.done && read_.text(stored.result) == x.result));
}

std::optional<refusal>
batch::may_journal(const journal_request& x, row_id row, journal_plan& plan) const {
  std::uint64_t last = 0;
  const auto stored_entries = read_.journal_entries(row);
  plan.entries = stored_entries;
  for (const auto& entry : x.entries) {
    if (auto no = check_entry(entry, shared_.opts)) {
      return no;
    }
    if (entry.number <= std::exchange(last, entry.number)) {
      return refusal{ec::bad_request, name_of_entry(entry) + ": expected rising numbers from 1"};
    }
    if (entry.number > stored_entries) {
      if (entry.number != ++plan.entries) {
        return refusal{ec::bad_request, name_of_entry(entry) + " leaves a gap"};
      }
      plan.fresh.insert(entry.number);
      continue;
    }
    const auto stored = read_.journal_entry_at(row, entry.number);
    if (!stored || !may_replace(*stored, entry)) {
      return refusal{ec::bad_request,
                     name_of_entry(entry) + " stands there already, with other content"};
    }
  }
  return std::nullopt;
}

std::optional<refusal> batch::may_start(const journal_request& x) {
  for (const auto& child : x.children) {
    if (child.parent != x.held.id) {
      return refusal{ec::bad_request, "children: the parent of " + json_quote(child.id) + " is "
                                        + json_quote(child.parent) + ", expected "
                                        + json_quote(x.held.id)};
    }
  }
  auto no = may_register(x.children);
  if (no) {
    no->text = "children: " + no->text;
  }
  return no;
}

std::optional<refusal> batch::may_attach(const journal_request& x, row_id row) const {
  if (x.attachments.empty()) {
    return std::nullopt;
  }
  const auto stored = keys_of(tables_.attachment, row_key(row));
  std::set<std::string> all{stored.begin(), stored.end()};
  for (const auto& one : x.attachments) {
    if (one.name.size() > name_bytes_max || !is_plain_text(one.name)) {
      return refusal{ec::bad_request, "attachments: a name is not acceptable, expected at most "
                                        + std::to_string(name_bytes_max) + " bytes of plain UTF-8"};
    }
    if (one.bytes.size() > shared_.opts.attachment_bytes_max) {
      return refusal{ec::bad_request, "attachments: " + std::to_string(one.bytes.size())
                                        + " bytes are not acceptable, expected at most "
                                        + std::to_string(shared_.opts.attachment_bytes_max)};
    }
    if (one.ref != std::string{ref_prefix} + hash_hex(one.bytes)) {
      return refusal{ec::bad_request,
                     "attachments: " + json_quote(one.ref.substr(0, name_bytes_max))
                       + " is not the hash of its bytes"};
    }
    all.insert(attachment_key(row, std::string_view{one.ref}.substr(ref_prefix.size())));
  }
  if (all.size() > shared_.opts.attachments_max) {
    return refusal{ec::overloaded, "attachments: a process has at most store.attachments_max ("
                                     + std::to_string(shared_.opts.attachments_max) + ")"};
  }
  return std::nullopt;
}

void batch::write_entry(row_id row, const journal_entry& x) {
  const auto key = pair_key(static_cast<std::uint64_t>(row), x.number);
  if (const auto stored = txn_.get(tables_.journal, key)) {
    drop(decode_journal(*stored).result);
  }
  txn_.put(tables_.journal, key,
           encode(journal_record{x.kind, x.scope, x.name, x.ordinal, x.input_hash, x.done,
                                 keep(x.result)}));
}

void batch::attach(row_id row, const attachment& x) {
  const auto hash = x.ref.substr(ref_prefix.size());
  const auto key = attachment_key(row, hash);
  if (!txn_.get(tables_.attachment, key)) {
    txn_.put(tables_.attachment, key,
             encode(attachment_record{hash, x.name, x.bytes.size(), keep(x.bytes)}));
  }
}

void batch::drop_entries(row_id row) {
  for (const auto& key : keys_of(tables_.journal, row_key(row))) {
    drop(decode_journal(*txn_.get(tables_.journal, key)).result);
    txn_.erase(tables_.journal, key);
  }
}

void batch::drop_journal(row_state& x) {
  if (x.head.journaled) {
    drop_entries(x.row);
    x.head.journaled = false;
    x.head.cancel_seen = false;
  }
}

std::optional<refusal>
batch::may_emit(const journal_request& x, const row_state& state, journal_plan& plan) {
  for (const auto& one : x.events) {
    const auto known = std::any_of(x.entries.begin(), x.entries.end(),
                                   [&one](const auto& entry) { return entry.number == one.entry; });
    if (!known) {
      return refusal{ec::bad_request, "events: there is no entry " + std::to_string(one.entry)};
    }
    if (plan.fresh.count(one.entry) == 0) {
      continue; // Its event is there since the entry is.
    }
    append_request request{x.held.id, one.type, one.payload, {}, true, x.held};
    auto payload = read_event(request);
    if (!payload) {
      return payload.why();
    }
    auto event = plan_event(request, state, std::move(*payload), plan.events.size());
    if (!event) {
      return event.why();
    }
    plan.events.emplace_back(std::move(request), std::move(*event));
  }
  return std::nullopt;
}

checked<batch::journal_plan> batch::plan_journal(const journal_request& x, const row_state& state) {
  journal_plan plan;
  if (auto no = may_journal(x, state.row, plan)) {
    return *no;
  }
  if (auto no = may_start(x)) {
    return *no;
  }
  if (auto no = may_attach(x, state.row)) {
    return *no;
  }
  if (auto no = may_emit(x, state, plan)) {
    return *no;
  }
  if (!x.status.empty()
      && (x.status.size() > shared_.opts.status_bytes_max || !parse_json_strict(x.status))) {
    return refusal{ec::bad_request, "status: expected JSON text of at most "
                                      + std::to_string(shared_.opts.status_bytes_max) + " bytes"};
  }
  return plan;
}

void batch::write_side_effects(const journal_request& x, row_state& state) {
  for (const auto& one : x.attachments) {
    attach(state.row, one);
    state.head.has_attachments = true;
  }
  if (!x.status.empty()) {
    if (const auto stored = txn_.get(tables_.status, row_key(state.row))) {
      drop(decode_status(*stored));
    }
    txn_.put(tables_.status, row_key(state.row), encode_status(keep(x.status)));
    state.head.has_status = true;
  }
}

answer batch::run(const journal_request& x) {
  auto held = held_row(x.held);
  if (!held) {
    return held.why();
  }
  auto& state = *held;
  const auto plan = plan_journal(x, state);
  if (!plan) {
    return plan.why();
  }
  if (!x.children.empty()) {
    for (const auto& child : x.children) {
      static_cast<void>(insert(child)); // Saves the parent when it is the first one.
    }
    state = load(state.row);
  }
  for (const auto& entry : x.entries) {
    write_entry(state.row, entry);
  }
  write_side_effects(x, state);
  for (const auto& [request, event] : plan->events) {
    static_cast<void>(write_event(request, state, event));
  }
  auto& head = state.head;
  const auto sees_cancel = std::any_of(x.entries.begin(), x.entries.end(), [](const auto& entry) {
    return entry.kind == effect_kind::cancel;
  });
  // Entries alone are no change of the process that anybody is told of.
  const auto changed = (!x.entries.empty() && !head.journaled) || (sees_cancel && !head.cancel_seen)
                       || !plan->events.empty() || !x.status.empty() || !x.attachments.empty();
  head.journaled = head.journaled || !x.entries.empty();
  head.cancel_seen = head.cancel_seen || sees_cancel;
  if (changed) {
    head.updated_at = context_.now;
    save(state);
  }
  return journal_receipt{plan->entries};
}

} // namespace belay::storage
