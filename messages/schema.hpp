// JSON schemas (draft 7): of tool arguments and of event payloads.
#pragma once

#include "messages/error.hpp"

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace belay {

/// A compiled schema. Concurrency: `check` may be called from any thread.
class json_schema {
public:
  /// Throws `std::invalid_argument` when the text is not a schema.
  explicit json_schema(const nlohmann::json& text);
  ~json_schema();
  json_schema(json_schema&&) noexcept;
  json_schema& operator=(json_schema&&) noexcept;

  /// Returns nothing when the value fits. The refusal (`bad_request`) names the place by its JSON
  /// pointer (RFC 6901) below `root`, as in "args/argv/0".
  [[nodiscard]] std::optional<refusal>
  check(const std::string& root, const nlohmann::json& value) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Whether a schema has a regular expression: matching one against a long text can take any time
/// and any stack (std::regex), so that nobody may hand one in.
[[nodiscard]] bool has_pattern(const nlohmann::json& schema);

} // namespace belay
