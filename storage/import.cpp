// Filling an empty store from an export.
#include "messages/registration_stored.hpp"
#include "storage/codec.hpp"
#include "storage/lines.hpp"
#include "storage/store_impl.hpp"

#include <istream>

namespace belay::storage {

namespace {

using namespace lines;

class importer {
public:
  importer(transaction& txn, const batch_environment& into)
    : txn_{txn}, tables_{into.tables}, blobs_{into.blobs}, wake_age_max_{into.opts.wake_age_max} {}

  void line(const json& x) {
    if (!x.is_object() || x.size() != 1) {
      throw std::invalid_argument{"expected an object with one key"};
    }
    const auto& what = x.begin().key();
    const auto& content = x.begin().value();
    if (ended_) {
      throw std::invalid_argument{"expected nothing after the line that ends an export"};
    }
    if (!begun_ && what != "belay") {
      throw std::invalid_argument{"expected the line that begins an export"};
    }
    if (what == "belay") {
      read_meta(content);
    } else if (what == "owner") {
      txn_.put(tables_.owner, row_key(row_id{intern(name_kind::owner, content.at("name"))}),
               encode_number(content.at("incarnation").get<std::uint64_t>()));
    } else if (what == "queue") {
      txn_.put(tables_.queue, row_key(row_id{intern(name_kind::queue, content.at("name"))}),
               encode(from_line<queue_record>(content)));
    } else if (what == "process") {
      read_process(content);
    } else if (what == "event") {
      read_event(content);
    } else if (what == "wake") {
      read_wake(content);
    } else if (what == "tombstone") {
      read_tombstone(content);
    } else if (what == "end") {
      if (content.at("lines") != lines_) {
        throw std::invalid_argument{"expected " + content.at("lines").dump()
                                    + " lines before it, not " + std::to_string(lines_)};
      }
      ended_ = true;
    } else {
      throw std::invalid_argument{"unknown key '" + what + "'"};
    }
    ++lines_;
  }

  void finish() {
    if (!begun_) {
      throw std::invalid_argument{"the export is empty"};
    }
    write_waiters();
    if (!ended_) {
      throw std::invalid_argument{"the export was cut short: the line that ends it is missing"};
    }
    for (const auto& [key, number] : counters_) {
      txn_.put(tables_.counter, encode(key), encode_number(number));
    }
    for (const auto& [key, number] : key_running_) {
      txn_.put(tables_.key_running, key, encode_number(number));
    }
    for (const auto& [key, number] : failed_) {
      txn_.put(tables_.failed, key, encode_number(number));
    }
    for (const auto& [name, uses] : uses_) {
      txn_.put(tables_.blob, name, encode_number(uses));
    }
    txn_.put(tables_.meta, meta_keys::next_name, encode_number(next_name_));
    txn_.put(tables_.meta, meta_keys::open_wakes, encode_number(open_wakes_));
  }

private:
  void read_meta(const json& x) {
    const auto version = x.at("version").get<int>();
    if (begun_ || version < export_version_first || version > export_version) {
      throw std::invalid_argument{"expected one export of version "
                                  + std::to_string(export_version_first) + " to "
                                  + std::to_string(export_version)};
    }
    begun_ = true;
    for (const auto key : meta_names) {
      txn_.put(tables_.meta, key, encode_number(x.at(std::string{key}).get<std::uint64_t>()));
    }
    time_ = x.at(std::string{meta_keys::time}).get<timestamp_ms>();
  }

  name_id intern(name_kind kind, const std::string& text) {
    const auto key = name_key(kind, text);
    if (const auto known = txn_.get(tables_.name, key)) {
      return static_cast<name_id>(decode_number(*known, "name"));
    }
    const auto id = next_name_++;
    txn_.put(tables_.name, key, encode_number(id));
    txn_.put(tables_.name_text, row_key(row_id{id}), encode_name(text));
    return static_cast<name_id>(id);
  }

  stored_text keep(const std::string& text) {
    auto stored = blobs_.put(text);
    if (stored.in_file) {
      ++uses_[stored.content];
    }
    return stored;
  }

  void read_process(const json& x) {
    const auto row = row_id{x.at("row").get<std::uint64_t>()};
    const auto number = static_cast<std::uint64_t>(row);
    const auto key = row_key(row);
    const auto what = parse_stored_registration(x.at("registration"));
    if (!what) {
      throw std::invalid_argument{what.why().text};
    }
    if (txn_.get(tables_.head, key) || txn_.get(tables_.id, what->id)) {
      throw std::invalid_argument{"the process '" + what->id + "' stands there twice"};
    }
    const auto text = canonical_text(*what);
    auto head = from_line<head_record>(x.at("head"));
    head.queue = intern(name_kind::queue, x.at("queue"));
    head.kind = intern(name_kind::kind, x.at("kind"));
    const auto first_owner = x.at("head").at("first_owner").get<std::string>();
    head.first_owner = first_owner.empty() ? 0 : intern(name_kind::owner, first_owner);
    txn_.put(tables_.id, what->id, encode_number(number));
    txn_.put(tables_.head, key, encode(head));
    txn_.put(tables_.body, key,
             encode(body_record{what->id, hash_hex(text), keep(text), what->originator, what->label,
                                what->definition, what->labels}));
    txn_.put(tables_.change, row_key(row_id{head.change}), encode(change_record{row, {}}));
    ++counters_[counter_of(head)];
    if (head.state == process_state::running && head.keyed) {
      ++key_running_[queue_key(head.queue, what->concurrency_key)];
    }
    if (head.blocked) {
      txn_.put(tables_.blocked, blocked_key(what->concurrency_key, place_of(head, row)), {});
    } else if (head.state == process_state::ready) {
      txn_.put(tables_.ready, encode(place_of(head, row)), {});
    } else if (head.state == process_state::finished) {
      txn_.put(tables_.finished, time_key(head.finished_at, row), {});
      if (head.ended == outcome_kind::failure) {
        ++failed_[failed_key(head.queue, minute_of(head.finished_at))];
      }
      const auto& ended = x.at("outcome");
      txn_.put(
        tables_.outcome, key,
        encode(outcome_record{head.ended, fencing_token{ended.at("fence").get<std::uint64_t>()},
                              keep(ended.at("text"))}));
    }
    // A parent that was pruned meanwhile has no list of children.
    if (head.parent != row_id{} && txn_.get(tables_.head, row_key(head.parent))) {
      txn_.put(tables_.child, pair_key(static_cast<std::uint64_t>(head.parent), number), {});
    }
    if (x.contains("lease")) {
      auto held = from_line<lease_record>(x.at("lease"));
      held.owner = intern(name_kind::owner, x.at("lease").at("owner"));
      txn_.put(tables_.lease, key, encode(held));
      txn_.put(tables_.expiry, time_key(held.indexed_at, row), {});
    }
    if (x.contains("wait")) {
      read_wait(row, x.at("wait"));
    }
    read_edges(row, x);
    read_journal(row, x);
  }

  void read_wait(row_id row, const json& x) {
    auto wait = from_line<wait_record>(x);
    if (wait.kind == wait_kind::closing) {
      wait.outcome = keep(x.at("outcome"));
    }
    txn_.put(tables_.wait, row_key(row), encode(wait));
    if (!wait.woken.empty()) {
      return;
    }
    if (const auto alarm = alarm_of(wait); alarm != 0) {
      txn_.put(tables_.timer, timer_key(alarm, row, 0), {});
    }
    waiting_.emplace_back(row, std::move(wait));
  }

  /// Who waits for which process: only for those that have not ended.
  void write_waiters() {
    for (const auto& [row, wait] : waiting_) {
      for (const auto& one : conditions_of(wait)) {
        const auto head = one.kind == wait_kind::child ? txn_.get(tables_.head, row_key(one.target))
                                                       : std::nullopt;
        if (head && decode_head(*head).state != process_state::finished) {
          txn_.put(
            tables_.waiter,
            pair_key(static_cast<std::uint64_t>(one.target), static_cast<std::uint64_t>(row)), {});
        }
      }
    }
  }

  void read_journal(row_id row, const json& x) {
    std::uint64_t number = 0;
    for (const auto& one : x.value("journal", json::array())) {
      auto entry = from_line<journal_record>(one);
      entry.result = keep(one.at("result"));
      txn_.put(tables_.journal, pair_key(static_cast<std::uint64_t>(row), ++number), encode(entry));
    }
    if (x.contains("status")) {
      txn_.put(tables_.status, row_key(row), encode_status(keep(x.at("status"))));
    }
    for (const auto& one : x.value("attachments", json::array())) {
      const auto bytes = from_hex(one.at("hex").get<std::string>());
      const auto hash = hash_hex(bytes);
      txn_.put(tables_.attachment, attachment_key(row, hash),
               encode(attachment_record{hash, one.at("name"), bytes.size(), keep(bytes)}));
    }
  }

  void read_edges(row_id row, const json& x) {
    if (x.contains("detail")) {
      const auto detail = from_line<detail_record>(x.at("detail"));
      txn_.put(tables_.detail, row_key(row), encode(detail));
      if (!detail.wake_session.empty()) {
        txn_.put(tables_.session, session_key(detail.wake_session, session_role::target, row), {});
      }
    }
    for (const auto& one : x.value("observers", json::array())) {
      const auto edge = from_line<observer_record>(one);
      txn_.put(tables_.observer, row_key(row) + short_hash(edge.session), encode(edge));
      txn_.put(tables_.session, session_key(edge.session, session_role::observer, row), {});
    }
    for (const auto& one : x.value("keys", json::array())) {
      txn_.put(tables_.event_key, row_key(row) + from_hex(one.at("key").get<std::string>()),
               encode(event_key_record{one.at("seq").get<event_seq>(),
                                       from_hex(one.at("hash").get<std::string>())}));
    }
  }

  void read_event(const json& x) {
    const auto row = row_id{x.at("row").get<std::uint64_t>()};
    const auto seq = x.at("seq").get<event_seq>();
    event_record one{x.at("at").get<timestamp_ms>(), x.at("type").get<std::string>(),
                     x.at("key").get<std::string>(), keep(x.at("payload"))};
    if (one.type.rfind("process.", 0) != 0) {
      txn_.put(tables_.event_by_type, type_key(row, one.type, seq), {});
    }
    txn_.put(tables_.event, event_key(row, seq), encode(one));
  }

  void read_wake(const json& x) {
    const auto id = x.at("id").get<std::uint64_t>();
    auto one = from_line<wake_record>(x);
    one.input = keep(x.at("input"));
    txn_.put(tables_.wake, row_key(row_id{id}), encode(one));
    txn_.put(tables_.wake_row, pair_key(static_cast<std::uint64_t>(one.row), id), {});
    if (is_open(one.state)) {
      txn_.put(tables_.wake_open, wake_open_key(one.session, wake_id{id}), {});
      ++open_wakes_;
    }
    // One that is older and still on its way was sent anew by hand: it does not age again.
    const auto gives_up_at = one.created_at + wake_age_max_;
    if (wake_age_max_ > 0 && is_moving(one.state) && gives_up_at > time_) {
      txn_.put(tables_.timer, timer_key(gives_up_at, one.row, id), {});
    }
  }

  void read_tombstone(const json& x) {
    const auto id = x.at("id").get<std::string>();
    const auto one = from_line<tombstone_record>(x);
    txn_.put(tables_.tombstone, id, encode(one));
    txn_.put(tables_.tombstone_age, pair_key(static_cast<std::uint64_t>(one.pruned_at), one.change),
             encode_name(id));
    txn_.put(tables_.change, row_key(row_id{one.change}), encode(change_record{{}, id}));
  }

  transaction& txn_;
  const table_handles& tables_;
  const blob_store& blobs_;
  duration_ms wake_age_max_;
  /// When the store was last written before it was exported.
  timestamp_ms time_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  std::uint64_t lines_ = 0;
  std::uint64_t next_name_ = 1;
  std::uint64_t open_wakes_ = 0;
  std::map<counter_key, std::uint64_t> counters_;
  std::map<std::string, std::uint64_t> key_running_;
  std::map<std::string, std::uint64_t> failed_;
  std::map<std::string, std::uint64_t> uses_;
  std::vector<std::pair<row_id, wait_record>> waiting_;
};

} // namespace

void store::import_lines(std::istream& in) {
  transaction txn{impl_->env, transaction::mode::write};
  if (cursor{txn, impl_->tables.head}.first() || cursor{txn, impl_->tables.tombstone}.first()
      || cursor{txn, impl_->tables.owner}.first()) {
    throw error{error_kind::unusable, "the store is not empty: import into a new data directory"};
  }
  importer work{txn, impl_->shared};
  std::uint64_t number = 0;
  try {
    for (std::string text; std::getline(in, text);) {
      ++number;
      const auto line = nlohmann::json::parse(text, nullptr, false);
      if (line.is_discarded()) {
        throw std::invalid_argument{"not JSON"};
      }
      work.line(line);
    }
    work.finish();
  } catch (const error&) {
    throw;
  } catch (const std::exception& x) {
    throw error{error_kind::unusable, "line " + std::to_string(number) + ": " + x.what()};
  }
  txn.commit();
  impl_->names = impl_->count_names();
}

} // namespace belay::storage
