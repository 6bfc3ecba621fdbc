#include "storage/declared.hpp"

#include <cmath>
#include <stdexcept>

namespace belay::storage {

namespace {

/// Rows whose types are kept compiled; beyond that all are forgotten and compiled as needed.
constexpr std::size_t rows_max = 1'024;
/// Whole numbers up to here are exact as doubles (2^53).
constexpr double exact_max = 9'007'199'254'740'992.0;

} // namespace

const declared_types::by_name&
declared_types::compile(row_id row, const std::string& registration) {
  if (rows_.size() >= rows_max) {
    rows_.clear();
  }
  auto& types = rows_[row];
  const auto text = nlohmann::json::parse(registration);
  const auto events = text.find("events");
  if (events == text.end()) {
    return types;
  }
  for (const auto& one : *events) {
    const auto wake = one.value("wake", nlohmann::json(nullptr));
    const auto name = one.at("type").get<std::string>();
    try {
      types.emplace(
        name, declared_type{json_schema{one.value("schema", nlohmann::json(true))}, wake, {}});
    } catch (const std::invalid_argument& why) {
      types.emplace(name, declared_type{json_schema{false}, wake, why.what()});
    }
  }
  return types;
}

nlohmann::json normal_numbers(nlohmann::json value) {
  if (value.is_structured()) {
    for (auto& inner : value) {
      inner = normal_numbers(std::move(inner));
    }
  } else if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (number == std::floor(number) && std::abs(number) <= exact_max) {
      return static_cast<std::int64_t>(number);
    }
  } else if (value.is_number_unsigned() && value.get<std::uint64_t>() <= INT64_MAX) {
    return static_cast<std::int64_t>(value.get<std::uint64_t>());
  }
  return value;
}

} // namespace belay::storage
