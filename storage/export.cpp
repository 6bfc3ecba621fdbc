// The whole store as JSON lines, and back: one line for each thing, in a stable order.
//
// Names stand in the lines, not their numbers, and everything that follows from the rest (indexes,
// counters, the change feed's entries) is made anew at import.
#include "storage/codec.hpp"
#include "storage/lines.hpp"
#include "storage/store_impl.hpp"

#include <ostream>

namespace belay::storage {

namespace {

using namespace lines;

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
    write_queues();
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
    // Without it a file that was cut short would be taken for a smaller store.
    line("end", {{"lines", lines_}});
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
    // Earlier versions took keys and names that are not UTF-8.
    out_ << json_text(json{{what, std::move(content)}}) << '\n';
    ++lines_;
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

  void write_queues() {
    std::map<std::string, queue_record> queues;
    each(tables_.queue, [&](std::string_view key, std::string_view value) {
      queues[read_.name(static_cast<name_id>(byte_reader{key}.u64()))] = decode_queue(value);
    });
    for (const auto& [name, x] : queues) {
      auto text = to_line(x);
      text["name"] = name;
      line("queue", std::move(text));
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
      x["outcome"]
        = {{"fence", static_cast<std::uint64_t>(ended->fence)}, {"text", read_.text(ended->text)}};
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
    write_journal(row, x);
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

  void write_journal(row_id row, json& x) {
    const auto key = row_key(row);
    each(
      tables_.journal,
      [&](std::string_view, std::string_view value) {
        const auto entry = decode_journal(value);
        auto text = to_line(entry);
        text["result"] = read_.text(entry.result);
        x["journal"].push_back(std::move(text));
      },
      key);
    if (const auto status = txn_.get(tables_.status, key)) {
      x["status"] = read_.text(decode_status(*status));
    }
    each(
      tables_.attachment,
      [&](std::string_view, std::string_view value) {
        const auto one = decode_attachment(value);
        x["attachments"].push_back({{"name", one.name}, {"hex", hex(read_.text(one.content))}});
      },
      key);
  }

  const transaction& txn_;
  const table_handles& tables_;
  table_reader read_;
  std::ostream& out_;
  std::uint64_t lines_ = 0;
};

} // namespace

void store::export_lines(std::ostream& out) const {
  const transaction txn{impl_->env, transaction::mode::read};
  exporter{txn, impl_->tables, impl_->blobs, out}.run();
  out.flush();
  if (!out) {
    throw error{error_kind::fault, "the export cannot be written in full; is the disk full?"};
  }
}

} // namespace belay::storage
