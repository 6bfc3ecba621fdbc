// What is read: one short transaction for each call.
#include "messages/page_size.hpp"
#include "storage/codec.hpp"
#include "storage/store_impl.hpp"

#include <set>

namespace belay::storage {

process_view
view_of(const table_reader& read, row_id row, const head_record& head, const body_record& body) {
  process_view x;
  x.id = body.id;
  x.row = row;
  x.state = head.state;
  x.ended = head.ended;
  x.kind = read.name(head.kind);
  x.queue = read.name(head.queue);
  x.priority = head.priority;
  x.created_at = head.created_at;
  x.updated_at = head.updated_at;
  x.due_at = head.due_at;
  x.started_at = head.started_at;
  x.finished_at = head.finished_at;
  x.attempt = head.attempt;
  x.failures = head.failures;
  x.interruptions = head.interruptions;
  x.fence = head.fence;
  x.last_seq = head.last_seq;
  x.cancel_requested = head.cancel_requested;
  x.kill_requested = head.kill_requested;
  x.change = head.change;
  x.blocked = head.blocked;
  x.originator = body.originator;
  x.label = body.label;
  x.definition = body.definition;
  if (head.first_owner != 0) {
    x.first_owner = {read.name(head.first_owner), head.first_incarnation};
    x.first_fence = head.first_fence;
  }
  if (head.state == process_state::waiting) {
    if (const auto wait = read.waiting(row)) {
      x.waiting = {{wait->kind, wait->name, wait->ordinal, wait->deadline}, wait->since, {}};
      constexpr std::size_t shown_max = 100;
      for (const auto& one : wait->also) {
        if (x.waiting.also.size() == shown_max) {
          break;
        }
        x.waiting.also.push_back({one.kind, one.name, one.ordinal, one.deadline});
      }
    }
  }
  if (head.state == process_state::running) {
    if (const auto held = read.lease(row)) {
      x.holder = {read.name(held->owner), held->incarnation};
      x.lease_expires_at = held->expires_at;
    }
  }
  return x;
}

checked<row_id> store::find(std::string_view id) const {
  const transaction txn{impl_->env, transaction::mode::read};
  return table_reader{txn, impl_->tables, impl_->blobs}.lookup(id);
}

checked<process_view> store::get(std::string_view id) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.lookup(id);
  if (!row) {
    return row.why();
  }
  const auto body = read.body(*row);
  const auto head = read.head(*row);
  auto view = view_of(read, *row, head, body);
  if (head.detailed) {
    auto detail = read.detail(*row);
    view.wake_session = std::move(detail.wake_session);
    view.external_ref = std::move(detail.external_ref);
    view.abandon = std::move(detail.abandon);
    view.concurrency_key = std::move(detail.concurrency_key);
    view.traceparent = std::move(detail.traceparent);
  }
  if (head.observed) {
    view.observers = read.observers(*row);
  }
  if (head.has_status) {
    view.status_json = read.text(decode_status(*txn.get(impl_->tables.status, row_key(*row))));
  }
  if (head.journaled) {
    view.journal_entries = read.journal_entries(*row);
  }
  if (head.has_attachments) {
    const auto prefix = row_key(*row);
    cursor all{txn, impl_->tables.attachment};
    for (auto found = all.seek(prefix); found && all.key().substr(0, prefix.size()) == prefix;
         found = all.next()) {
      auto x = decode_attachment(all.value());
      view.attachments.push_back({"sha256:" + x.hash, std::move(x.name), x.bytes});
    }
  }
  view.registration_json = read.text(body.registration);
  view.registration_hash = body.hash;
  if (const auto ended = read.outcome(*row)) {
    view.outcome_json = read.text(ended->text);
  }
  return view;
}

checked<event_page>
store::events_after(std::string_view id, event_seq after, std::uint32_t limit) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.lookup(id);
  if (!row) {
    return row.why();
  }
  const auto head = read.head(*row);
  event_page page;
  page.terminal = head.state == process_state::finished;
  std::size_t bytes = 0;
  for (auto seq = after + 1; after < head.last_seq && seq <= head.last_seq; ++seq) {
    if (page.events.size() >= limit || bytes >= page_bytes_max) {
      page.more = true;
      break;
    }
    page.events.push_back(read.stored_event(*row, seq));
    bytes += page.events.back().payload.size();
  }
  return page;
}

checked<event_page> store::recent_events(std::string_view id, std::uint32_t limit) const {
  const auto view = get(id);
  if (!view) {
    return view.why();
  }
  const auto first = view->last_seq > limit ? view->last_seq - limit : 0;
  return events_after(id, first, limit);
}

checked<std::uint64_t>
store::count_events(std::string_view id, std::string_view type, event_seq through) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.lookup(id);
  if (!row) {
    return row.why();
  }
  return read.count_events(*row, read.head(*row), type, through);
}

checked<std::optional<event>>
store::event_after(std::string_view id, std::string_view type, event_seq after) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.lookup(id);
  if (!row) {
    return row.why();
  }
  const auto seq = read.first_event(*row, read.head(*row), type, after);
  if (seq == 0) {
    return std::optional<event>{};
  }
  return std::optional{read.stored_event(*row, seq)};
}

checked<std::optional<event>>
store::nth_event(std::string_view id, std::string_view type, std::uint64_t n) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.lookup(id);
  if (!row) {
    return row.why();
  }
  const auto seq = read.nth_event(*row, read.head(*row), type, n);
  if (seq == 0) {
    return std::optional<event>{};
  }
  return std::optional{read.stored_event(*row, seq)};
}

checked<journal_page>
store::journal_after(std::string_view id, std::uint64_t after, std::uint32_t limit) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.lookup(id);
  if (!row) {
    return row.why();
  }
  journal_page page;
  std::size_t bytes = 0;
  const auto prefix = row_key(*row);
  cursor all{txn, impl_->tables.journal};
  const auto number = static_cast<std::uint64_t>(*row);
  for (auto found = after != UINT64_MAX && all.seek(pair_key(number, after + 1));
       found && all.key().substr(0, prefix.size()) == prefix; found = all.next()) {
    if (page.entries.size() >= limit || bytes >= page_bytes_max) {
      page.more = true;
      break;
    }
    auto x = decode_journal(all.value());
    page.entries.push_back({byte_reader{all.key().substr(prefix.size())}.u64(), x.kind,
                            std::move(x.scope), std::move(x.name), x.ordinal,
                            std::move(x.input_hash), x.done, read.text(x.result)});
    bytes += page.entries.back().result.size();
  }
  return page;
}

checked<attachment> store::attached(std::string_view id, std::string_view ref) const {
  constexpr std::string_view prefix = "sha256:";
  constexpr std::size_t digits = 64;
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.lookup(id);
  if (!row) {
    return row.why();
  }
  const auto hash = ref.substr(std::min(prefix.size(), ref.size()));
  const auto shaped = ref.substr(0, prefix.size()) == prefix && hash.size() == digits
                      && hash.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  const auto found
    = shaped ? txn.get(impl_->tables.attachment, attachment_key(*row, hash)) : std::nullopt;
  if (!found) {
    return refusal{ec::bad_request, "attachment: '" + std::string{id} + "' has none with the "
                                      + "reference " + json_quote(ref.substr(0, 2 * digits))
                                      + ", expected one that `get` lists"};
  }
  const auto x = decode_attachment(*found);
  return attachment{std::string{ref}, x.name, read.text(x.content)};
}

change_page store::changes_since(std::uint64_t position, std::uint32_t limit) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  change_page page;
  page.next = position;
  cursor all{txn, impl_->tables.change};
  for (auto found = all.seek(row_key(row_id{position + 1})); found; found = all.next()) {
    if (page.changes.size() >= limit) {
      page.more = true;
      break;
    }
    const auto x = decode_change(all.value());
    change one;
    one.position = static_cast<std::uint64_t>(row_of(all.key()));
    if (x.row == row_id{}) {
      one.pruned = true;
      one.process.id = x.pruned;
    } else {
      one.process = view_of(read, x.row, read.head(x.row), read.body(x.row));
    }
    page.next = one.position;
    page.changes.push_back(std::move(one));
  }
  return page;
}

wake_list store::wakes(const wakes_query& query) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  wake_list result;
  const auto row = query.process.empty() ? std::nullopt : read.row(query.process);
  if (!query.process.empty() && !row) {
    return result;
  }
  cursor all{txn, impl_->tables.wake};
  const auto first = row_key(row_id{static_cast<std::uint64_t>(query.after) + 1});
  for (auto found = all.seek(first); found && result.wakes.size() < query.limit;
       found = all.next()) {
    const auto x = decode_wake(all.value());
    if ((query.settled || is_open(x.state)) && (!row || x.row == *row)
        && (query.session.empty() || x.session == query.session)) {
      result.wakes.push_back(
        view_of(read, wake_id{static_cast<std::uint64_t>(row_of(all.key()))}, x));
    }
  }
  return result;
}

bool store::has_wake(std::string_view session, timestamp_ms now) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const auto prefix = short_hash(session);
  std::set<row_id> blocked;
  cursor all{txn, impl_->tables.wake_open};
  for (auto found = all.seek(prefix); found && all.key().substr(0, prefix.size()) == prefix;
       found = all.next()) {
    const auto id = all.key().substr(prefix.size());
    const auto x = decode_wake(*txn.get(impl_->tables.wake, id));
    const auto ready = x.state != wake_state::undeliverable && x.next_at <= now;
    if (ready && blocked.count(x.row) == 0) {
      return true;
    }
    blocked.insert(x.row);
  }
  return false;
}

std::optional<outcome_view> store::outcome_of(row_id row) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto ended = read.outcome(row);
  if (!ended) {
    return std::nullopt;
  }
  return outcome_view{read.body(row).id, ended->kind, read.text(ended->text)};
}

process_counts store::counts() const {
  const transaction txn{impl_->env, transaction::mode::read};
  process_counts result;
  cursor all{txn, impl_->tables.counter};
  for (auto found = all.first(); found; found = all.next()) {
    const auto number = decode_number(all.value(), "counter");
    if (number != 0) {
      result.by_state[counter_word(decode_counter(all.key()).state)] += number;
    }
  }
  return result;
}

bool store::nearly_full() const {
  return impl_->env.nearly_full();
}

next_times store::upcoming(timestamp_ms now) const {
  const transaction txn{impl_->env, transaction::mode::read};
  next_times result;
  cursor ready{txn, impl_->tables.ready};
  auto found = ready.first();
  while (found) {
    auto here = decode_ready(ready.key());
    if (here.due_at <= now) {
      // Due already: the first later one of this priority follows after all that are due.
      here.due_at = now + 1;
      here.row = row_id{0};
      const auto group = here;
      found = ready.seek(encode(here));
      if (!found) {
        break;
      }
      here = decode_ready(ready.key());
      if (here.queue != group.queue || here.kind != group.kind || here.priority != group.priority) {
        continue;
      }
    }
    if (result.due_at == 0 || here.due_at < result.due_at) {
      result.due_at = here.due_at;
    }
    found = ready.seek(encode(ready_place{here.queue, here.kind, here.priority - 1, 0, row_id{0}}));
  }
  cursor expiry{txn, impl_->tables.expiry};
  if (expiry.first()) {
    result.expires_at = byte_reader{expiry.key()}.i64();
  }
  cursor timer{txn, impl_->tables.timer};
  if (timer.first()) {
    result.timer_at = byte_reader{timer.key()}.i64();
  }
  return result;
}

} // namespace belay::storage
