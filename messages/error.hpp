// Refusals: every "no" a caller can act on.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace belay {

/// Why an operation was refused. One code for each way in which a caller reacts differently; the
/// text beside it is for people. Sent and logged: append, never reorder.
enum class ec : std::uint8_t {
  /// Not a refusal.
  none = 0,
  /// No process has this id.
  unknown_process = 1,
  /// The id is taken by a registration with another hash. Choose another id.
  registration_conflict = 2,
  /// A field of the request is not acceptable; the text names field, value and expectation.
  bad_request = 3,
  /// The lease presented is not the live one: expired, taken over or released. Stop, write nothing.
  lease_superseded = 4,
  /// The process has its outcome; nothing can change it.
  already_terminal = 5,
  /// The idempotency key was used with another payload.
  event_conflict = 6,
  /// The disk or the store's map is nearly full: new work is refused, running work can finish.
  store_full = 7,
  /// A bound was hit (waiters, mailbox, in flight). Try again later.
  overloaded = 8,
  /// The node is stopping.
  shutting_down = 9,
  /// The write may or may not have happened. Repeat it with the same id or idempotency key.
  outcome_unknown = 10,
  /// Client and node speak different versions of the protocol.
  protocol_mismatch = 11,
  /// The deadline passed before there was an answer.
  timed_out = 12,
  /// The process had its outcome and was pruned; only its tombstone is left.
  pruned = 13,
  /// The authority named may not complete this process without its lease.
  authority_refused = 14,
  /// Another value was set first, and the first one stands.
  already_set = 15,
  /// The process is not in a state in which this can be done; the text names both.
  wrong_state = 16,
  /// A number that only rises has reached its end.
  exhausted = 17,
  /// The session does not observe this process.
  unknown_observer = 18,
  /// Another worker that is connected has this name. Choose another, or wait until it is gone.
  name_taken = 19,
  /// No node of the cluster has this name.
  unknown_node = 20,
  /// The sender's certificate does not allow it; the text names its role and the one needed.
  not_permitted = 21,
};

/// Returns the stable name of a code, as in "unknown_process".
[[nodiscard]] std::string to_string(ec code);

/// Returns one sentence that explains a code to a person.
[[nodiscard]] std::string describe(ec code);

/// A refusal and, in words for a person, what exactly was wrong.
struct refusal {
  ec code = ec::none;
  std::string text;
};

/// A value, or the refusal to give one.
template <class T>
class checked {
public:
  checked(T value) : content_{std::move(value)} {} // NOLINT(google-explicit-constructor): a value
  checked(refusal no) : content_{std::move(no)} {} // NOLINT(google-explicit-constructor): or a no

  explicit operator bool() const {
    return content_.index() == 0;
  }

  T& operator*() {
    return std::get<0>(content_);
  }

  const T& operator*() const {
    return std::get<0>(content_);
  }

  T* operator->() {
    return &std::get<0>(content_);
  }

  const T* operator->() const {
    return &std::get<0>(content_);
  }

  [[nodiscard]] const refusal& why() const {
    return std::get<1>(content_);
  }

private:
  std::variant<T, refusal> content_;
};

} // namespace belay
