// The whole store as JSON lines, and back: one line for each thing, in a stable order.
//
// Names stand in the lines, not their numbers, and everything that follows from the rest (indexes,
// counters, the change feed's entries) is made anew at import.
#include "messages/json_strict.hpp"
#include "storage/batch.hpp"
#include "storage/codec.hpp"
#include "storage/store_impl.hpp"

#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>

namespace belay::storage {

namespace {

using json = nlohmann::json;

constexpr int export_version = 1;

/// Reads an enumeration by the name that `to_string` gives it.
template <class Enum>
Enum enum_from(const json& text, int last) {
  for (int i = 0; i <= last; ++i) {
    if (to_string(static_cast<Enum>(i)) == text.get<std::string>()) {
      return static_cast<Enum>(i);
    }
  }
  throw std::invalid_argument{text.dump() + " is not known"};
}

/// What an import reads from a line or an export writes to it, field by field.
class line_writer {
public:
  static constexpr bool reads = false;

  template <class T>
  void field(const char* key, const T& value) {
    if constexpr (std::is_enum_v<T>) {
      out[key] = static_cast<std::uint64_t>(value);
    } else {
      out[key] = value;
    }
  }

  template <class Enum>
  void named(const char* key, const Enum& value, int) {
    out[key] = to_string(value);
  }

  json out = json::object();
};

class line_reader {
public:
  static constexpr bool reads = true;

  explicit line_reader(const json& in) : in_{in} {}

  template <class T>
  void field(const char* key, T& value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(in_.at(key).get<std::uint64_t>());
    } else {
      in_.at(key).get_to(value);
    }
  }

  template <class Enum>
  void named(const char* key, Enum& value, int last) {
    value = enum_from<Enum>(in_.at(key), last);
  }

private:
  const json& in_;
};

template <class F>
void fields(F& f, head_record& x) {
  f.named("state", x.state, 6);
  f.named("ended", x.ended, 4);
  f.named("rule", x.rule, 3);
  f.field("cancel_requested", x.cancel_requested);
  f.field("kill_requested", x.kill_requested);
  f.field("abandon_requested", x.abandon_requested);
  f.field("resumed", x.resumed);
  f.field("declares", x.declares);
  f.field("has_children", x.has_children);
  f.field("observed", x.observed);
  f.field("detailed", x.detailed);
  f.field("priority", x.priority);
  f.field("created_at", x.created_at);
  f.field("updated_at", x.updated_at);
  f.field("due_at", x.due_at);
  f.field("started_at", x.started_at);
  f.field("finished_at", x.finished_at);
  f.field("attempt", x.attempt);
  f.field("failures", x.failures);
  f.field("interruptions", x.interruptions);
  f.field("fence", x.fence);
  f.field("last_seq", x.last_seq);
  f.field("retry_attempts", x.retry.attempts);
  f.field("retry_backoff_ms", x.retry.backoff_ms);
  f.field("retry_factor_permille", x.retry.factor_permille);
  f.field("retry_backoff_max_ms", x.retry.backoff_max_ms);
  f.field("change", x.change);
  f.field("parent", x.parent);
  f.named("close", x.close, 3);
  f.field("attempts_max", x.attempts_max);
  f.field("first_incarnation", x.first_incarnation);
  f.field("first_fence", x.first_fence);
}

template <class F>
void fields(F& f, lease_record& x) {
  f.field("incarnation", x.incarnation);
  f.field("token_high", x.token.high);
  f.field("token_low", x.token.low);
  f.field("fence", x.fence);
  f.field("claimed_at", x.claimed_at);
  f.field("expires_at", x.expires_at);
}

template <class F>
void fields(F& f, detail_record& x) {
  f.field("wake_session", x.wake_session);
  f.field("external_ref", x.external_ref);
  f.field("abandon", x.abandon);
}

template <class F>
void fields(F& f, wait_record& x) {
  f.named("kind", x.kind, 4);
  f.field("name", x.name);
  f.field("ordinal", x.ordinal);
  f.field("target", x.target);
  f.field("since", x.since);
  f.field("deadline", x.deadline);
  f.field("woken", x.woken);
  f.field("fence", x.fence);
  f.field("remaining", x.remaining);
}

template <class F>
void fields(F& f, observer_record& x) {
  f.field("session", x.session);
  f.field("since", x.since);
}

template <class F>
void fields(F& f, wake_record& x) {
  f.field("row", x.row);
  f.field("seq", x.seq);
  f.field("session", x.session);
  f.field("event_type", x.event_type);
  f.named("state", x.state, 5);
  f.field("attempts", x.attempts);
  f.field("created_at", x.created_at);
  f.field("next_at", x.next_at);
  f.field("token", x.token);
  f.field("reason", x.reason);
}

template <class F>
void fields(F& f, tombstone_record& x) {
  f.field("row", x.row);
  f.named("ended", x.ended, 4);
  f.field("pruned_at", x.pruned_at);
  f.field("change", x.change);
  f.field("fence", x.fence);
}

template <class T>
json to_line(T x) {
  line_writer out;
  fields(out, x);
  return out.out;
}

template <class T>
T from_line(const json& in) {
  T x;
  line_reader reader{in};
  fields(reader, x);
  return x;
}

constexpr std::array meta_names{meta_keys::next_row, meta_keys::next_change, meta_keys::next_wake,
                                meta_keys::fence_floor, meta_keys::time};

class exporter {
public:
  exporter(const transaction& txn, const table_handles& tables, const blob_store& blobs,
           std::ostream& out)
    : txn_{txn}, tables_{tables}, read_{txn, tables, blobs}, out_{out} {}

  void run() {
    json meta{{"version", export_version}};
    for (const auto key : meta_names) {
      meta[std::string{key}] = read_.meta(key);
    }
    line("belay", std::move(meta));
    write_owners();
    each(tables_.head, [this](std::string_view key, std::string_view value) {
      write_process(row_of(key), decode_head(value));
    });
    each(tables_.wake, [this](std::string_view key, std::string_view value) {
      const auto x = decode_wake(value);
      auto text = to_line(x);
      text["id"] = byte_reader{key}.u64();
      text["input"] = read_.text(x.input);
      line("wake", std::move(text));
    });
    each(tables_.tombstone, [this](std::string_view key, std::string_view value) {
      auto text = to_line(decode_tombstone(value));
      text["id"] = std::string{key};
      line("tombstone", std::move(text));
    });
  }

private:
  template <class Visit>
  void each(MDB_dbi table, Visit visit, std::string_view prefix = {}) {
    cursor all{txn_, table};
    for (auto found = prefix.empty() ? all.first() : all.seek(prefix);
         found && all.key().substr(0, prefix.size()) == prefix; found = all.next()) {
      visit(all.key(), all.value());
    }
  }

  void line(const char* what, json content) {
    out_ << json{{what, std::move(content)}}.dump() << '\n';
  }

  void write_owners() {
    std::map<std::string, std::uint64_t> owners;
    each(tables_.owner, [&](std::string_view key, std::string_view value) {
      const auto id = static_cast<name_id>(byte_reader{key}.u64());
      owners[read_.name(id)] = decode_number(value, "owner");
    });
    for (const auto& [name, incarnation] : owners) {
      line("owner", {{"name", name}, {"incarnation", incarnation}});
    }
  }

  void write_process(row_id row, const head_record& head) {
    const auto body = read_.body(row);
    const auto key = row_key(row);
    json x{{"row", static_cast<std::uint64_t>(row)},
           {"id", body.id},
           {"queue", read_.name(head.queue)},
           {"kind", read_.name(head.kind)},
           {"registration", json::parse(read_.text(body.registration))},
           {"head", to_line(head)}};
    x["head"]["first_owner"] = head.first_owner == 0 ? "" : read_.name(head.first_owner);
    if (const auto held = read_.lease(row)) {
      x["lease"] = to_line(*held);
      x["lease"]["owner"] = read_.name(held->owner);
    }
    if (head.detailed) {
      x["detail"] = to_line(read_.detail(row));
    }
    if (const auto wait = read_.waiting(row)) {
      x["wait"] = to_line(*wait);
      x["wait"]["outcome"] = wait->kind == wait_kind::closing ? read_.text(wait->outcome) : "";
    }
    if (const auto ended = read_.outcome(row)) {
      x["outcome"] = {{"fence", static_cast<std::uint64_t>(ended->fence)},
                      {"text", read_.text(ended->text)}};
    }
    each(
      tables_.observer,
      [&](std::string_view, std::string_view value) {
        x["observers"].push_back(to_line(decode_observer(value)));
      },
      key);
    each(
      tables_.event_key,
      [&](std::string_view at, std::string_view value) {
        const auto used = decode_event_key(value);
        x["keys"].push_back({{"key", hex(at.substr(key.size()))},
                             {"seq", used.seq},
                             {"hash", hex(used.payload_hash)}});
      },
      key);
    line("process", std::move(x));
    for (event_seq seq = 1; seq <= head.last_seq; ++seq) {
      const auto one = read_.stored_event(row, seq);
      line("event", {{"row", static_cast<std::uint64_t>(row)},
                     {"seq", seq},
                     {"at", one.at},
                     {"type", one.type},
                     {"key", one.key},
                     {"payload", one.payload}});
    }
  }

  const transaction& txn_;
  const table_handles& tables_;
  table_reader read_;
  std::ostream& out_;
};

class importer {
public:
  importer(transaction& txn, const table_handles& tables, const blob_store& blobs)
    : txn_{txn}, tables_{tables}, blobs_{blobs} {}

  void line(const json& x) {
    if (!x.is_object() || x.size() != 1) {
      throw std::invalid_argument{"expected an object with one key"};
    }
    const auto& what = x.begin().key();
    const auto& content = x.begin().value();
    if (!begun_ && what != "belay") {
      throw std::invalid_argument{"expected the line that begins an export"};
    }
    if (what == "belay") {
      read_meta(content);
    } else if (what == "owner") {
      txn_.put(tables_.owner, row_key(row_id{intern(name_kind::owner, content.at("name"))}),
               encode_number(content.at("incarnation").get<std::uint64_t>()));
    } else if (what == "process") {
      read_process(content);
    } else if (what == "event") {
      read_event(content);
    } else if (what == "wake") {
      read_wake(content);
    } else if (what == "tombstone") {
      read_tombstone(content);
    } else {
      throw std::invalid_argument{"unknown key '" + what + "'"};
    }
  }

  void finish() {
    if (!begun_) {
      throw std::invalid_argument{"the export is empty"};
    }
    for (const auto& [key, number] : counters_) {
      txn_.put(tables_.counter, encode(key), encode_number(number));
    }
    for (const auto& [name, uses] : uses_) {
      txn_.put(tables_.blob, name, encode_number(uses));
    }
    txn_.put(tables_.meta, meta_keys::next_name, encode_number(next_name_));
    txn_.put(tables_.meta, meta_keys::open_wakes, encode_number(open_wakes_));
  }

private:
  void read_meta(const json& x) {
    if (begun_ || x.at("version") != export_version) {
      throw std::invalid_argument{"expected one export of version "
                                  + std::to_string(export_version)};
    }
    begun_ = true;
    for (const auto key : meta_names) {
      txn_.put(tables_.meta, key,
               encode_number(x.at(std::string{key}).get<std::uint64_t>()));
    }
  }

  name_id intern(name_kind kind, const std::string& text) {
    const auto key = std::string(1, static_cast<char>(kind)) + text;
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
    const auto what = parse_registration(x.at("registration"), std::nullopt);
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
             encode(body_record{what->id, hash_hex(text), keep(text), what->originator,
                                what->label, what->definition, what->labels}));
    txn_.put(tables_.change, row_key(row_id{head.change}), encode(change_record{row, {}}));
    ++counters_[counter_of(head)];
    if (head.state == process_state::ready) {
      txn_.put(tables_.ready, encode(place_of(head, row)), {});
    } else if (head.state == process_state::finished) {
      txn_.put(tables_.finished, time_key(head.finished_at, row), {});
      const auto& ended = x.at("outcome");
      txn_.put(tables_.outcome, key,
               encode(outcome_record{head.ended,
                                     fencing_token{ended.at("fence").get<std::uint64_t>()},
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
      txn_.put(tables_.expiry, time_key(held.expires_at, row), {});
    }
    if (x.contains("wait")) {
      read_wait(row, x.at("wait"));
    }
    read_edges(row, x);
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
    if (wait.deadline != 0) {
      txn_.put(tables_.timer, timer_key(wait.deadline, row, 0), {});
    }
    if (wait.kind == wait_kind::child) {
      txn_.put(tables_.waiter,
               pair_key(static_cast<std::uint64_t>(wait.target), static_cast<std::uint64_t>(row)),
               {});
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
  }

  void read_tombstone(const json& x) {
    const auto id = x.at("id").get<std::string>();
    const auto one = from_line<tombstone_record>(x);
    txn_.put(tables_.tombstone, id, encode(one));
    txn_.put(tables_.tombstone_age,
             pair_key(static_cast<std::uint64_t>(one.pruned_at), one.change), encode_name(id));
    txn_.put(tables_.change, row_key(row_id{one.change}), encode(change_record{{}, id}));
  }

  transaction& txn_;
  const table_handles& tables_;
  const blob_store& blobs_;
  bool begun_ = false;
  std::uint64_t next_name_ = 1;
  std::uint64_t open_wakes_ = 0;
  std::map<counter_key, std::uint64_t> counters_;
  std::map<std::string, std::uint64_t> uses_;
};

} // namespace

void store::export_lines(std::ostream& out) const {
  const transaction txn{impl_->env, transaction::mode::read};
  exporter{txn, impl_->tables, impl_->blobs, out}.run();
  out.flush();
  if (!out) {
    throw error{error_kind::unusable, "the export cannot be written"};
  }
}

void store::import_lines(std::istream& in) {
  transaction txn{impl_->env, transaction::mode::write};
  if (cursor{txn, impl_->tables.head}.first() || cursor{txn, impl_->tables.tombstone}.first()
      || cursor{txn, impl_->tables.owner}.first()) {
    throw error{error_kind::unusable, "the store is not empty: import into a new data directory"};
  }
  importer work{txn, impl_->tables, impl_->blobs};
  std::uint64_t number = 0;
  try {
    for (std::string text; std::getline(in, text);) {
      ++number;
      const auto line = nlohmann::json::parse(text);
      work.line(line);
    }
    work.finish();
  } catch (const error&) {
    throw;
  } catch (const std::exception& x) {
    throw error{error_kind::unusable, "line " + std::to_string(number) + ": " + x.what()};
  }
  txn.commit();
}

} // namespace belay::storage
