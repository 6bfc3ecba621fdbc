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
constexpr std::size_t hash_digits = 64;

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
  return "entries: " + std::to_string(x.number) + " (" + to_string(x.kind) + " "
         + json_quote(x.name) + " " + std::to_string(x.ordinal) + ")";
}

} // namespace

std::optional<refusal>
batch::may_journal(const journal_request& x, row_id row, journal_plan& plan) const {
  const auto bad = [](const journal_entry& entry, const std::string& text) {
    return refusal{ec::bad_request, name_of_entry(entry) + " " + text};
  };
  std::uint64_t last = 0;
  plan.entries = read_.journal_entries(row);
  for (const auto& entry : x.entries) {
    if (to_string(entry.kind) == "unknown" || entry.number == 0 || entry.ordinal == 0
        || entry.number <= last || entry.name.size() + entry.scope.size() > name_bytes_max) {
      return bad(entry, "is not acceptable, expected known kinds and rising numbers");
    }
    last = entry.number;
    if (entry.number > shared_.opts.journal_max) {
      return refusal{ec::overloaded, name_of_entry(entry)
                                       + ": a journal has at most store.journal_max entries ("
                                       + std::to_string(shared_.opts.journal_max) + ")"};
    }
    if (entry.result.size() > shared_.opts.outcome_bytes_max
        || nlohmann::json::parse(entry.result, nullptr, false).is_discarded()) {
      return bad(entry, "has a result that is not JSON text of at most "
                          + std::to_string(shared_.opts.outcome_bytes_max) + " bytes");
    }
    if (entry.number > plan.entries) {
      if (entry.number != ++plan.entries) {
        return bad(entry, "leaves a gap");
      }
      plan.fresh.insert(entry.number);
      continue;
    }
    const auto stored = read_.journal_entry_at(row, entry.number);
    if (!stored) {
      return bad(entry, "is missing in the store");
    }
    const auto same = stored->kind == entry.kind && stored->scope == entry.scope
                      && stored->name == entry.name && stored->ordinal == entry.ordinal
                      && stored->input_hash == entry.input_hash;
    const auto over = stored->done != 0 || is_immediate(stored->kind);
    if (!same
        || (over && (stored->done != entry.done || read_.text(stored->result) != entry.result))) {
      return bad(entry, "stands there already, with other content");
    }
  }
  return std::nullopt;
}

std::optional<refusal> batch::may_start(const journal_request& x) {
  std::map<std::string_view, std::size_t> earlier;
  for (std::size_t i = 0; i < x.children.size(); ++i) {
    const auto& child = x.children[i];
    if (child.parent != x.held.id) {
      return refusal{ec::bad_request, "children: the parent of '" + child.id + "' is '"
                                        + child.parent + "', expected '" + x.held.id + "'"};
    }
    if (auto no = may_register(child, earlier)) {
      no->text = "children: " + no->text;
      return no;
    }
    if (!earlier.emplace(child.id, i).second) {
      return refusal{ec::bad_request, "children: '" + child.id + "' stands there twice"};
    }
  }
  return std::nullopt;
}

std::optional<refusal> batch::may_attach(const journal_request& x, row_id row) const {
  auto count = x.attachments.empty() ? 0 : keys_of(tables_.attachment, row_key(row)).size();
  for (const auto& one : x.attachments) {
    if (one.bytes.size() > shared_.opts.attachment_bytes_max || one.name.size() > name_bytes_max) {
      return refusal{ec::bad_request, "attachments: " + std::to_string(one.bytes.size())
                                        + " bytes are not acceptable, expected at most "
                                        + std::to_string(shared_.opts.attachment_bytes_max)};
    }
    if (one.ref != std::string{ref_prefix} + hash_hex(one.bytes)) {
      return refusal{ec::bad_request,
                     "attachments: " + json_quote(one.ref.substr(0, name_bytes_max))
                       + " is not the hash of its bytes"};
    }
    const auto key = attachment_key(row, std::string_view{one.ref}.substr(ref_prefix.size()));
    count += txn_.get(tables_.attachment, key) ? 0 : 1;
  }
  if (count > shared_.opts.attachments_max) {
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
  const auto first = !x.entries.empty() && !state.head.journaled;
  state.head.journaled = state.head.journaled || first;
  if (first || !plan->events.empty() || !x.status.empty() || !x.attachments.empty()) {
    state.head.updated_at = context_.now;
    save(state);
  }
  return journal_receipt{plan->entries};
}

} // namespace belay::storage
