// What is read: one short transaction for each call.
#include "storage/codec.hpp"
#include "storage/store_impl.hpp"

namespace belay::storage {

namespace {

/// Rows one `list` looks at before it answers with what it has; the caller goes on from `next`.
constexpr std::size_t list_scan_max = 200'000;
/// Payload bytes after which a page of events ends.
constexpr std::size_t events_bytes_max = 1U << 20;

/// A filter word of `list_query` as states, so that rows are decided without reading more of them.
class state_filter {
public:
  explicit state_filter(const std::string& word, timestamp_ms now) : word_{word}, now_{now} {}

  [[nodiscard]] bool admits(const head_record& head) const {
    if (word_.empty()) {
      return true;
    }
    const auto finished = head.state == process_state::finished;
    if (word_ == "live" || word_ == "finished") {
      return finished == (word_ == "finished");
    }
    process_view view;
    view.state = head.state;
    view.ended = head.ended;
    view.due_at = head.due_at;
    return state_word(view, now_) == word_;
  }

private:
  const std::string& word_;
  timestamp_ms now_;
};

} // namespace

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
  if (const auto held = read.lease(row)) {
    x.holder = {read.name(held->owner), held->incarnation};
    x.lease_expires_at = held->expires_at;
  }
  return x;
}

std::optional<row_id> store::find(std::string_view id) const {
  const transaction txn{impl_->env, transaction::mode::read};
  return table_reader{txn, impl_->tables, impl_->blobs}.row(id);
}

std::optional<process_view> store::get(std::string_view id) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.row(id);
  if (!row) {
    return std::nullopt;
  }
  const auto body = read.body(*row);
  auto view = view_of(read, *row, read.head(*row), body);
  view.registration_json = read.text(body.registration);
  view.registration_hash = body.hash;
  if (const auto ended = read.outcome(*row)) {
    view.outcome_json = read.text(ended->text);
  }
  return view;
}

process_page store::list(const list_query& query, timestamp_ms now) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  process_page page;
  std::optional<name_id> kind;
  std::optional<name_id> queue;
  if (!query.kind.empty() && !(kind = read.find_name(name_kind::kind, query.kind))) {
    return page;
  }
  if (!query.queue.empty() && !(queue = read.find_name(name_kind::queue, query.queue))) {
    return page;
  }
  const state_filter filter{query.state, now};
  cursor rows{txn, impl_->tables.head};
  // Newest first: from the end, or from just before the row that the last page ended with.
  bool found = false;
  if (query.after == row_id{}) {
    found = rows.last();
  } else {
    found = rows.seek(row_key(query.after)) ? rows.previous() : rows.last();
  }
  std::size_t scanned = 0;
  row_id last{};
  while (found && page.processes.size() < query.limit && scanned < list_scan_max) {
    ++scanned;
    last = row_of(rows.key());
    const auto head = decode_head(rows.value());
    if (filter.admits(head) && (!kind || head.kind == *kind) && (!queue || head.queue == *queue)) {
      page.processes.push_back(view_of(read, last, head, read.body(last)));
    }
    found = rows.previous();
  }
  if (found) {
    page.next = last;
  }
  return page;
}

checked<event_page>
store::events_after(std::string_view id, event_seq after, std::uint32_t limit) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto row = read.row(id);
  if (!row) {
    return refusal{ec::unknown_process, "no process has the id '" + std::string{id} + "'"};
  }
  const auto head = read.head(*row);
  event_page page;
  page.terminal = head.state == process_state::finished;
  std::size_t bytes = 0;
  for (auto seq = after + 1; after < head.last_seq && seq <= head.last_seq; ++seq) {
    if (page.events.size() >= limit || bytes >= events_bytes_max) {
      page.more = true;
      break;
    }
    page.events.push_back(read.stored_event(*row, seq));
    bytes += page.events.back().payload.size();
  }
  return page;
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
  return result;
}

} // namespace belay::storage
