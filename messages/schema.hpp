// JSON schemas (draft 7): of tool arguments and of event payloads.
#pragma once

#include "messages/error.hpp"

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace belay {

/// A compiled schema. `format` is accepted and says something to readers only (draft 7, section 7);
/// `$ref` is not accepted, since a schema could then contain itself. Concurrency: `check` may be
/// called from any thread.
class json_schema {
public:
  /// Throws `std::invalid_argument` when the text is not a schema, is nested deeper than
  /// `json_depth_max`, or has a `$ref`, or a `multipleOf` that is not a number above 0.
  explicit json_schema(const nlohmann::json& text);
  ~json_schema();
  json_schema(json_schema&&) noexcept;
  json_schema& operator=(json_schema&&) noexcept;

  /// Returns nothing when the value fits; throws nothing. The refusal (`bad_request`) names the
  /// place by its JSON pointer (RFC 6901) below `root`, as in "args/argv/0".
  [[nodiscard]] std::optional<refusal>
  check(const std::string& root, const nlohmann::json& value) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Checks a schema that somebody hands in: draft 7, at most `json_depth_max` levels, `multipleOf`
/// above 0, and none of `$ref`, `format`, `pattern` and `patternProperties`. The last three match
/// regular expressions, which can take any time and any stack for a long text (std::regex).
/// Returns nothing when it is acceptable; the refusal names the word by its JSON pointer.
[[nodiscard]] std::optional<refusal>
validate_schema(const std::string& field, const nlohmann::json& schema);

} // namespace belay
