// How results are shown: tables for people, JSON for programs.
#pragma once

#include "messages/operations.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace belay::app {

enum class output_format { table, json };

/// Columns padded to their widest cell; control characters are shown escaped.
class text_table {
public:
  explicit text_table(std::vector<std::string> head);
  void add(std::vector<std::string> row);
  void print() const;

private:
  std::vector<std::vector<std::string>> rows_;
};

/// Returns text with control characters, bytes that are no UTF-8 and what turns the direction of
/// writing escaped, as \x1b and \u202e, so that it cannot drive a terminal or mislead its reader.
[[nodiscard]] std::string printable(std::string_view text);

/// Returns words with a text between each two.
[[nodiscard]] std::string joined(const std::vector<std::string>& words, std::string_view between);

/// Returns a view as the JSON object that `get` and `list` show.
[[nodiscard]] nlohmann::json view_json(const process_view& x, timestamp_ms now);

/// Returns JSON text in one line for people: of an object what is a number, a word or a yes, the
/// rest only by its size; whatever else as it is.
[[nodiscard]] std::string one_line(const std::string& json_text);

/// The same of the state of an actor, without what its name says; "does not answer" of none.
[[nodiscard]] std::string actor_line(const std::string& state_json);

/// Prints one process in full, for people.
void print_view(const process_view& x, timestamp_ms now);

/// Returns an event as JSON.
[[nodiscard]] nlohmann::json event_json(const event& x);

/// Returns how long ago (or until) a time is, as in "3m12s"; "-" for none.
[[nodiscard]] std::string age(timestamp_ms at, timestamp_ms now);

/// Prints an error to stderr: "belay: " and the text.
void print_error(std::string_view text);

/// Prints text to stdout and a newline. Ends the program quietly when the reader is gone.
void print_line(std::string_view text);

/// Returns the machine's time now.
[[nodiscard]] timestamp_ms wall_now();

} // namespace belay::app
