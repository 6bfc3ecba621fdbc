// Registering: all of a message or none of it.
#include "storage/batch.hpp"

#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

/// Whether two registrations of one message ask for the same, whatever trace they belong to.
bool is_same(const registration& a, registration b) {
  b.traceparent = a.traceparent;
  return a == b;
}

} // namespace

std::optional<refusal>
batch::may_register(const registration& x, const std::map<std::string_view, std::size_t>& earlier) {
  if (auto no = validate(x, shared_.opts.registration)) {
    return no;
  }
  if (const auto row = read_.row(x.id)) {
    const auto stored = read_.body(*row).hash;
    const auto given = hash_hex(canonical_text(x));
    if (stored != given) {
      return refusal{ec::registration_conflict,
                     "the id '" + x.id + "' is taken by another registration (stored hash " + stored
                       + ", given " + given + ")"};
    }
    return std::nullopt;
  }
  if (read_.tombstone(x.id)) {
    return read_.lookup(x.id).why();
  }
  const auto& check = shared_.opts.check_new;
  if (check && x.rule != recovery_rule::externally_owned) {
    if (auto no = check(x)) {
      return no;
    }
  }
  if (!x.parent.empty() && earlier.count(x.parent) == 0) {
    const auto parent = read_.lookup(x.parent);
    if (!parent) {
      return refusal{parent.why().code, "parent.id: " + parent.why().text};
    }
    if (read_.head(*parent).state == process_state::finished) {
      return refusal{ec::already_terminal,
                     "parent.id: '" + x.parent + "' has its outcome and can have no new children"};
    }
  }
  if (!nearly_full_) {
    nearly_full_ = shared_.env.nearly_full();
  }
  if (*nearly_full_) {
    return refusal{ec::store_full, "the disk or the store is nearly full: no new processes until "
                                   "there is room (store.size_max, store.free_min)"};
  }
  return std::nullopt;
}

registered batch::insert(const registration& x) {
  if (const auto row = read_.row(x.id)) {
    return {x.id, *row, false};
  }
  const auto text = canonical_text(x);
  row_state state{row_id{next_row_.value++}, {}, std::nullopt};
  auto& head = state.head;
  head.fence = fencing_token{fence_floor_.value};
  head.rule = x.rule;
  head.priority = x.priority;
  head.queue = intern(name_kind::queue, x.queue);
  head.kind = intern(name_kind::kind, x.kind);
  head.created_at = context_.now;
  head.due_at = x.due_at == 0 ? context_.now : x.due_at;
  head.retry = x.retry;
  head.attempts_max = x.attempts_max;
  head.declares = !x.event_types.empty();
  txn_.put(tables_.id, x.id, encode_number(static_cast<std::uint64_t>(state.row)));
  txn_.put(tables_.body, row_key(state.row),
           encode(body_record{x.id, hash_hex(text), keep(text), x.originator, x.label, x.definition,
                              x.labels}));
  add_event(state, event_types::registered,
            head.due_at > context_.now ? "{\"due_at\":" + std::to_string(head.due_at) + "}" : "{}");
  happenings_.push_back({happening::what::registered, {}, head.kind});
  if (!x.parent.empty()) {
    head.parent = *read_.row(x.parent);
    head.close = x.close;
    auto parent = load(head.parent);
    if (auto wait = read_.waiting(head.parent);
        wait && wait->kind == wait_kind::closing && x.close == close_policy::await) {
      ++wait->remaining; // Its outcome is known, but it ends after those it awaits.
      txn_.put(tables_.wait, row_key(head.parent), encode(*wait));
    }
    txn_.put(
      tables_.child,
      pair_key(static_cast<std::uint64_t>(head.parent), static_cast<std::uint64_t>(state.row)), {});
    if (!parent.head.has_children) {
      parent.head.has_children = true;
      save(parent);
    }
  }
  if (!x.wake_session.empty() || !x.concurrency_key.empty() || !x.traceparent.empty()) {
    detail_record detail;
    if (!x.wake_session.empty()) {
      set_wake_session(state, detail, x.wake_session);
    }
    detail.concurrency_key = x.concurrency_key;
    detail.traceparent = x.traceparent;
    head.keyed = !x.concurrency_key.empty();
    save_detail(state, detail);
  }
  for (const auto& session : x.observers) {
    static_cast<void>(add_observer(state, session));
  }
  if (x.rule == recovery_rule::externally_owned) {
    head.state = process_state::external;
  } else if (x.kind == "external") {
    // Nothing is to be run: what is known is all there is.
    const auto input = nlohmann::json::parse(x.input);
    end(state, make_success(json_text({{"metadata", input.at("metadata")}})), head.fence);
  } else {
    make_ready(state);
  }
  save(state);
  return {x.id, state.row, true};
}

std::optional<refusal> batch::may_register(const std::vector<registration>& items) {
  const auto refuse = [&items](std::size_t index, refusal no) {
    if (items.size() > 1) {
      no.text = "item " + std::to_string(index + 1) + ": " + no.text;
    }
    return no;
  };
  std::map<std::string_view, std::size_t> first_by_id;
  std::set<std::string> names;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (auto no = may_register(items[i], first_by_id)) {
      return refuse(i, std::move(*no));
    }
    const auto [first, fresh] = first_by_id.emplace(items[i].id, i);
    if (!fresh && !is_same(items[first->second], items[i])) {
      return refuse(i, {ec::registration_conflict, "the id '" + items[i].id
                                                     + "' stands in this message with another "
                                                       "registration (item "
                                                     + std::to_string(first->second + 1) + ")"});
    }
    for (const auto& [kind, text] : {std::pair{name_kind::queue, &items[i].queue},
                                     std::pair{name_kind::kind, &items[i].kind}}) {
      if (!read_.find_name(kind, *text)) {
        names.insert(name_key(kind, *text));
      }
    }
    if (auto no = may_name(names)) {
      return refuse(i, std::move(*no));
    }
  }
  return std::nullopt;
}

answer batch::run(const register_request& x) {
  if (auto no = may_register(x.items)) {
    return *no;
  }
  registered_list result;
  result.items.reserve(x.items.size());
  for (const auto& item : x.items) {
    result.items.push_back(insert(item));
  }
  return result;
}

} // namespace belay::storage
