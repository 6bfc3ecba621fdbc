// Lists of processes: filters, pages, and what live processes refer to.
#include "storage/store_impl.hpp"

#include <algorithm>

namespace belay::storage {

namespace {

/// Rows one `list` looks at before it answers with what it has; the caller goes on from `next`.
constexpr std::size_t list_scan_max = 200'000;

/// Longest status that stands in a list, in bytes: a thousand rows of them stay a small message.
constexpr std::size_t listed_status_max = 256;

/// A filter of `list_query`; the cheap parts first, so that most rows are decided by their head.
class list_filter {
public:
  list_filter(const list_query& query, const table_reader& read, timestamp_ms now)
    : query_{query}, now_{now} {
    const auto name = [&](name_kind kind, const std::string& text, std::optional<name_id>& id) {
      if (!text.empty() && !(id = read.find_name(kind, text))) {
        nothing_ = true;
      }
    };
    name(name_kind::kind, query.kind, kind_);
    name(name_kind::queue, query.queue, queue_);
    if (!query.parent.empty() && !(parent_ = read.row(query.parent))) {
      nothing_ = true;
    }
  }

  /// Whether no row can match.
  [[nodiscard]] bool nothing() const {
    return nothing_;
  }

  [[nodiscard]] bool admits(const head_record& head) const {
    return admits_state(head) && (!kind_ || head.kind == *kind_)
           && (!queue_ || head.queue == *queue_) && (!parent_ || head.parent == *parent_)
           && (query_.created_from == 0 || head.created_at >= query_.created_from)
           && (query_.created_before == 0 || head.created_at < query_.created_before);
  }

  [[nodiscard]] bool admits(const body_record& body) const {
    const auto fits = [](const std::string& wanted, const std::string& found) {
      return wanted.empty() || wanted == found;
    };
    return fits(query_.originator, body.originator) && fits(query_.label, body.label)
           && fits(query_.definition, body.definition)
           && body.id.compare(0, query_.id_prefix.size(), query_.id_prefix) == 0
           && std::all_of(query_.labels.begin(), query_.labels.end(), [&body](const auto& wanted) {
                const auto found = body.labels.find(wanted.first);
                return found != body.labels.end() && found->second == wanted.second;
              });
  }

private:
  [[nodiscard]] bool admits_state(const head_record& head) const {
    const auto& word = query_.state;
    if (word.empty()) {
      return true;
    }
    const auto finished = head.state == process_state::finished;
    if (word == "live" || word == "finished") {
      return finished == (word == "finished");
    }
    process_view view;
    view.state = head.state;
    view.ended = head.ended;
    view.due_at = head.due_at;
    return state_word(view, now_) == word;
  }

  const list_query& query_;
  timestamp_ms now_;
  bool nothing_ = false;
  std::optional<name_id> kind_;
  std::optional<name_id> queue_;
  std::optional<row_id> parent_;
};

/// Walks the rows a list looks at, newest first: all, those that somebody holds, or those that one
/// session observes or one parent started.
class row_walk {
public:
  row_walk(const transaction& txn, const table_handles& tables, std::string prefix, MDB_dbi table,
           row_id after)
    : rows_{txn, table}, prefix_{std::move(prefix)}, by_head_{table == tables.head} {
    if (after == row_id{}) {
      // From behind the last key with this prefix.
      found_
        = rows_.seek(prefix_ + std::string(sizeof(row_id), '\xFF'))
            ? (rows_.key() == prefix_ + std::string(sizeof(row_id), '\xFF') || rows_.previous())
            : rows_.last();
    } else {
      found_ = rows_.seek(prefix_ + row_key(after)) ? rows_.previous() : rows_.last();
    }
  }

  [[nodiscard]] bool found() const {
    return found_ && rows_.key().substr(0, prefix_.size()) == prefix_;
  }

  [[nodiscard]] row_id row() const {
    return row_of(rows_.key().substr(prefix_.size()));
  }

  [[nodiscard]] head_record head(const table_reader& read) const {
    return by_head_ ? decode_head(rows_.value()) : read.head(row());
  }

  void next() {
    found_ = rows_.previous();
  }

private:
  cursor rows_;
  std::string prefix_;
  bool by_head_;
  bool found_ = false;
};

} // namespace

process_page store::list(const list_query& query, timestamp_ms now) const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  const auto& tables = impl_->tables;
  process_page page;
  const list_filter filter{query, read, now};
  if (filter.nothing()) {
    return page;
  }
  std::string prefix;
  auto table = tables.head;
  if (!query.observer.empty()) {
    prefix = session_key(query.observer, session_role::observer, {});
    prefix.resize(prefix.size() - sizeof(row_id));
    table = tables.session;
  } else if (!query.parent.empty()) {
    prefix = row_key(*read.row(query.parent));
    table = tables.child;
  } else if (query.state == "running") {
    table = tables.lease; // Exactly those: a few thousand of maybe millions.
  }
  row_walk rows{txn, tables, std::move(prefix), table, query.after};
  std::size_t scanned = 0;
  row_id last{};
  for (; rows.found() && page.processes.size() < query.limit && scanned < list_scan_max;
       rows.next()) {
    ++scanned;
    last = rows.row();
    const auto head = rows.head(read);
    if (!filter.admits(head)) {
      continue;
    }
    const auto body = read.body(last);
    if (filter.admits(body)) {
      page.processes.push_back(view_of(read, last, head, body));
      if (head.has_status) {
        auto said = decode_status(*txn.get(tables.status, row_key(last)));
        if (!said.in_file && said.content.size() <= listed_status_max) {
          page.processes.back().status_json = std::move(said.content);
        }
      }
    }
  }
  if (rows.found()) {
    page.next = last;
  }
  return page;
}

std::map<std::string, std::uint64_t> store::live_references() const {
  const transaction txn{impl_->env, transaction::mode::read};
  const table_reader read{txn, impl_->tables, impl_->blobs};
  std::map<std::string, std::uint64_t> result;
  cursor all{txn, impl_->tables.head};
  for (auto found = all.first(); found; found = all.next()) {
    const auto head = decode_head(all.value());
    if (head.state != process_state::finished) {
      const auto body = read.body(row_of(all.key()));
      ++result[body.definition.empty() ? read.name(head.kind) : body.definition];
    }
  }
  return result;
}

} // namespace belay::storage
