// The event types that processes declare, compiled once.
#pragma once

#include "messages/ids.hpp"
#include "messages/schema.hpp"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace belay::storage {

/// One declared type, ready to be checked against.
struct declared_type {
  json_schema schema;
  /// The wake semantics; null when it never wakes anyone.
  nlohmann::json wake;
  /// Why nothing can be checked against the schema, which an earlier version accepted; empty when
  /// it can.
  std::string broken;
};

/// Compiled types by row. A registration never changes, so neither does an entry.
class declared_types {
public:
  using by_name = std::map<std::string, declared_type, std::less<>>;

  /// Returns the types of a row; `registration` gives its canonical text when it is not known yet.
  template <class Text>
  const by_name& of(row_id row, Text registration) {
    const auto known = rows_.find(row);
    return known != rows_.end() ? known->second : compile(row, registration());
  }

private:
  const by_name& compile(row_id row, const std::string& registration);

  std::map<row_id, by_name> rows_;
};

/// Returns a JSON value with every number in one form: 1.0 as 1, -0.0 as 0, so that payloads that
/// are equal have equal texts.
[[nodiscard]] nlohmann::json normal_numbers(nlohmann::json value);

} // namespace belay::storage
