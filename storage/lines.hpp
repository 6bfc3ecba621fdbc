// The lines of an export: which fields of which record stand in them, under which keys.
#pragma once

#include "storage/records.hpp"
#include "storage/tables.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace belay::storage::lines {

using json = nlohmann::json;

inline constexpr int export_version = 3;
/// The oldest that can be imported; what it does not know of is not set.
inline constexpr int export_version_first = 1;

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

  template <class T>
  void added(const char* key, const T& value) {
    field(key, value);
  }

  template <class Enum>
  void named(const char* key, const Enum& value, int) {
    out[key] = to_string(value);
  }

  template <class T>
  void list(const char* key, const std::vector<T>& values);

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

  /// A field that earlier exports do not have.
  template <class T>
  void added(const char* key, T& value) {
    if (in_.contains(key)) {
      field(key, value);
    }
  }

  template <class Enum>
  void named(const char* key, Enum& value, int last) {
    value = enum_from<Enum>(in_.at(key), last);
  }

  template <class T>
  void list(const char* key, std::vector<T>& values);

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
  f.added("journaled", x.journaled);
  f.added("cancel_seen", x.cancel_seen);
  f.added("has_status", x.has_status);
  f.added("has_attachments", x.has_attachments);
  f.added("keyed", x.keyed);
  f.added("blocked", x.blocked);
}

template <class F>
void fields(F& f, lease_record& x) {
  f.field("incarnation", x.incarnation);
  f.field("token_high", x.token.high);
  f.field("token_low", x.token.low);
  f.field("fence", x.fence);
  f.field("claimed_at", x.claimed_at);
  f.field("expires_at", x.expires_at);
  f.field("indexed_at", x.indexed_at);
}

template <class F>
void fields(F& f, detail_record& x) {
  f.field("wake_session", x.wake_session);
  f.field("external_ref", x.external_ref);
  f.field("abandon", x.abandon);
  f.added("concurrency_key", x.concurrency_key);
  f.added("traceparent", x.traceparent);
}

template <class F>
void fields(F& f, queue_record& x) {
  f.field("paused", x.limits.paused);
  f.field("concurrency_max", x.limits.concurrency_max);
  f.field("per_key_max", x.limits.per_key_max);
  f.field("rate", x.limits.rate);
  f.field("rate_period_ms", x.limits.rate_period_ms);
  f.field("burst", x.limits.burst);
  f.field("expected_us", x.expected_us);
  f.field("recheck", x.recheck);
}

template <class F>
void fields(F& f, awaited& x) {
  f.named("kind", x.kind, 4);
  f.field("name", x.name);
  f.field("ordinal", x.ordinal);
  f.field("target", x.target);
  f.field("deadline", x.deadline);
}

template <class F>
void fields(F& f, journal_record& x) {
  f.named("kind", x.kind, 11);
  f.field("scope", x.scope);
  f.field("name", x.name);
  f.field("ordinal", x.ordinal);
  f.field("input_hash", x.input_hash);
  f.field("done", x.done);
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
  f.list("also", x.also);
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

template <class T>
void line_writer::list(const char* key, const std::vector<T>& values) {
  out[key] = json::array();
  for (const auto& one : values) {
    out[key].push_back(to_line(one));
  }
}

template <class T>
void line_reader::list(const char* key, std::vector<T>& values) {
  for (const auto& one : in_.value(key, json::array())) {
    values.push_back(from_line<T>(one));
  }
}

inline constexpr std::array meta_names{meta_keys::next_row, meta_keys::next_change,
                                       meta_keys::next_wake, meta_keys::fence_floor,
                                       meta_keys::time};

} // namespace belay::storage::lines
