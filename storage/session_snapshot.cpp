// What a session is shown: the processes that it observes or is woken by.
#include "messages/page_size.hpp"
#include "storage/store_impl.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::storage {

namespace {

struct edge {
  session_place place;
  bool observes = false;
  bool woken_by = false;
};

/// Adds the rows that a session stands in one role to.
void collect(const table_reader& read, cursor& all, const session_query& query, session_role role,
             std::map<row_id, edge>& edges) {
  auto prefix = session_key(query.session, role, {});
  prefix.resize(prefix.size() - sizeof(row_id));
  const auto only = query.process.empty() ? std::nullopt : read.row(query.process);
  for (auto found = all.seek(prefix); found && all.key().substr(0, prefix.size()) == prefix;
       found = all.next()) {
    const auto row = row_of(all.key().substr(prefix.size()));
    if (!query.process.empty() && row != only) {
      continue;
    }
    auto& x = edges[row];
    if (x.place.row == row_id{}) {
      const auto head = read.head(row);
      x.place = {head.updated_at, head.created_at, row};
    }
    (role == session_role::observer ? x.observes : x.woken_by) = true;
  }
}

session_entry
entry_of(const table_reader& read, const edge& x, std::uint32_t events_max, std::size_t& bytes) {
  const auto row = x.place.row;
  const auto head = read.head(row);
  const auto body = read.body(row);
  session_entry entry;
  entry.process = view_of(read, row, head, body);
  entry.observes = x.observes;
  entry.woken_by = x.woken_by;
  entry.rule = head.rule;
  if (head.detailed) {
    entry.process.abandon = read.detail(row).abandon;
  }
  const auto text = read.text(body.registration);
  bytes += text.size();
  describe(entry, registration_from_canonical(text));
  if (head.state == process_state::finished && head.ended != outcome_kind::success) {
    const auto ended = read.text(read.outcome(row)->text);
    bytes += ended.size();
    describe(entry, outcome_from_json(nlohmann::json::parse(ended)));
  }
  const auto first = head.last_seq > events_max ? head.last_seq - events_max : 0;
  for (auto seq = first + 1; seq <= head.last_seq; ++seq) {
    entry.events.push_back(read.stored_event(row, seq));
    bytes += entry.events.back().payload.size();
  }
  return entry;
}

} // namespace

session_snapshot store::session(const session_query& query) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  session_snapshot result;
  result.session = query.session;
  std::map<row_id, edge> edges;
  cursor all{txn, impl_->tables.session};
  collect(read, all, query, session_role::observer, edges);
  collect(read, all, query, session_role::target, edges);
  result.total = edges.size();
  std::vector<edge> order;
  for (const auto& [row, x] : edges) {
    if (query.after.row == row_id{} || x.place < query.after) {
      order.push_back(x);
    }
  }
  const auto wanted = std::min<std::size_t>(query.limit, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end(),
                    [](const edge& a, const edge& b) { return b.place < a.place; });
  std::size_t bytes = 0;
  while (result.entries.size() < wanted && bytes < page_bytes_max) {
    result.entries.push_back(entry_of(read, order.at(result.entries.size()), query.events, bytes));
  }
  if (result.entries.size() < order.size()) {
    result.next = order.at(result.entries.size() - 1).place;
  }
  return result;
}

} // namespace belay::storage
