// The journal of a workflow: what its code asked for, and what came of it.
#pragma once

#include "messages/lease.hpp"
#include "messages/registration.hpp"
#include "messages/waiting.hpp"

#include <vector>

namespace belay {

/// What a workflow can ask for. Stored: append, never reorder.
enum class effect_kind : std::uint8_t {
  /// Code of the workflow itself whose result is kept.
  step = 1,
  /// A tool, run by the workflow's own worker.
  call = 2,
  /// A child process is registered.
  start = 3,
  /// The outcome of another process is awaited.
  child = 4,
  /// A signal is awaited.
  signal = 5,
  /// A point in time is awaited.
  timer = 6,
  /// An event is put into the history.
  emit = 7,
  /// The time is asked for.
  now = 8,
  /// A change of the code in place has been taken.
  patch = 9,
  /// Bytes are attached.
  attach = 10,
  /// The workflow was asked to stop; stands where its code learned of it. From then on the request
  /// wakes no wait any more.
  cancel = 11,
};

[[nodiscard]] std::string to_string(effect_kind kind);

/// One effect of a workflow. Replay finds it by branch, kind, name and ordinal, and takes its
/// result instead of having the effect again.
struct journal_entry {
  /// Its place by order of creation, from 1.
  std::uint64_t number = 0;
  effect_kind kind = effect_kind::step;
  /// The branch of the code that asked: empty for the main line, "2.0" for the first branch of the
  /// second fork, "2.0/1.3" for one inside it.
  std::string scope;
  std::string name;
  /// Which of that kind and name in its branch, from 1.
  std::uint32_t ordinal = 0;
  /// Hex of the first 16 bytes of the SHA-256 of the canonical input; empty without one.
  std::string input_hash;
  /// Its place by order of completion, from 1; 0 while it is pending, and of kinds that are over
  /// when they are asked for (start, emit, now, patch, attach).
  std::uint64_t done = 0;
  /// JSON text: the result or, of a pending one, what is to be known when it goes on.
  std::string result = "null";

  friend bool operator==(const journal_entry&, const journal_entry&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, journal_entry& x) {
  using inspection::field;
  return inspection::object(f, "journal_entry", field("number", x.number), field("kind", x.kind),
                            field("scope", x.scope), field("name", x.name),
                            field("ordinal", x.ordinal), field("input_hash", x.input_hash),
                            field("done", x.done), field("result", x.result));
}

/// An event that a new entry of kind `emit` puts into the history.
struct journal_event {
  /// The number of its entry: an entry that is there already emits nothing.
  std::uint64_t entry = 0;
  std::string type;
  /// JSON text.
  std::string payload;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, journal_event& x) {
  using inspection::field;
  return inspection::object(f, "journal_event", field("entry", x.entry), field("type", x.type),
                            field("payload", x.payload));
}

/// Bytes kept with a process, found by their hash.
struct attachment {
  /// "sha256:" and the hex SHA-256 of the bytes.
  std::string ref;
  /// For people; need not be unique.
  std::string name;
  std::string bytes;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, attachment& x) {
  using inspection::field;
  return inspection::object(f, "attachment", field("ref", x.ref), field("name", x.name),
                            field("bytes", x.bytes));
}

/// What one resume of a workflow leaves behind, in one transaction. Fenced.
///
/// New entries are added, pending ones are brought up to date; a finished one never changes: the
/// same again is nothing new, another is refused. `children` are registered as by
/// `register_request`; their parent is this process. Refuses with `lease_superseded`,
/// `bad_request`, `registration_conflict`, `store_full`, `overloaded` (too many entries, events or
/// bytes): nothing of it is written then. Answer: `journal_receipt`.
struct journal_request {
  lease held;
  std::vector<journal_entry> entries;
  std::vector<registration> children;
  std::vector<journal_event> events;
  std::vector<attachment> attachments;
  /// JSON text that `get` shows; empty leaves it as it is.
  std::string status;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, journal_request& x) {
  using inspection::field;
  return inspection::object(f, "journal_request", field("held", x.held),
                            field("entries", x.entries), field("children", x.children),
                            field("events", x.events), field("attachments", x.attachments),
                            field("status", x.status));
}

struct journal_receipt {
  /// Entries that the process has now.
  std::uint64_t entries = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, journal_receipt& x) {
  return inspection::object(f, "journal_receipt", inspection::field("entries", x.entries));
}

struct journal_page {
  std::vector<journal_entry> entries;
  /// Whether there are more after the last of these.
  bool more = false;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, journal_page& x) {
  using inspection::field;
  return inspection::object(f, "journal_page", field("entries", x.entries), field("more", x.more));
}

} // namespace belay
