// The log: one line for each event, structured, for people on a terminal and for programs
// elsewhere.
//
// Concurrency: every function may be called from any thread at any time.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace belay::log {

enum class level : std::uint8_t { trace, debug, info, warn, error };

enum class line_format : std::uint8_t {
  /// `human` on a terminal, else `json`.
  automatic,
  human,
  /// One JSON object a line: time, level, component, event, message, then the fields.
  json,
};

struct options {
  line_format format = line_format::automatic;
  /// Events below it are dropped.
  level level_min = level::info;
  /// Exceptions to `level_min` by component.
  std::map<std::string, level> levels;
  /// Where lines go: `stderr` when null. Must outlive the log.
  std::FILE* stream = nullptr;
};

/// Sets the log up; may be called again. Before the first call the log shows warnings and errors,
/// so that a program that embeds a node hears of trouble and of nothing else. Throws
/// `std::invalid_argument` on a component that there is not.
void init(const options& opts);

/// Returns the names of all components, sorted.
[[nodiscard]] std::span<const std::string_view> components();

[[nodiscard]] std::string_view to_string(level x);
[[nodiscard]] std::optional<level> level_from(std::string_view name);

/// One key and value beside an event. Holds views: for use within one call.
///
/// Keys with a fixed meaning: process (id), row, attempt, fence, owner (name).
class field {
public:
  field(std::string_view key, std::string_view value)
    : key_{key}, text_{value}, kind_{kind::text} {}

  template <std::integral Number>
  field(std::string_view key, Number value) : key_{key} {
    if constexpr (std::same_as<Number, bool>) {
      text_ = value ? "true" : "false";
      kind_ = kind::word;
    } else if constexpr (std::signed_integral<Number>) {
      bits_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
      kind_ = kind::signed_number;
    } else {
      bits_ = value;
      kind_ = kind::unsigned_number;
    }
  }

  [[nodiscard]] std::string_view key() const {
    return key_;
  }

  /// Whether the value is text, which has to be quoted; a number or truth value is not.
  [[nodiscard]] bool is_text() const {
    return kind_ == kind::text;
  }

  /// Returns the value as text, not escaped.
  [[nodiscard]] std::string value() const;

private:
  enum class kind : std::uint8_t { text, word, signed_number, unsigned_number };

  std::string_view key_;
  std::string_view text_;
  std::uint64_t bits_ = 0;
  kind kind_ = kind::text;
};

using fields = std::initializer_list<field>;

/// Returns whether an event of this level would be shown: ask before a field that is dear to make.
[[nodiscard]] bool enabled(std::string_view component, level x);

/// Logs an event. `event` is a stable name for programs ("lease.lost"), `text` is for people.
/// Costs next to nothing when the level is not shown.
void write(level x, std::string_view component, std::string_view event, fields more,
           std::string_view text);

inline void
trace(std::string_view component, std::string_view event, fields more, std::string_view text) {
  write(level::trace, component, event, more, text);
}

inline void
debug(std::string_view component, std::string_view event, fields more, std::string_view text) {
  write(level::debug, component, event, more, text);
}

inline void
info(std::string_view component, std::string_view event, fields more, std::string_view text) {
  write(level::info, component, event, more, text);
}

inline void
warn(std::string_view component, std::string_view event, fields more, std::string_view text) {
  write(level::warn, component, event, more, text);
}

inline void
error(std::string_view component, std::string_view event, fields more, std::string_view text) {
  write(level::error, component, event, more, text);
}

/// Hands every line over to the system: before the program ends without its destructors.
void flush();

} // namespace belay::log
