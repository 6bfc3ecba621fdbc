// The values that a label may take: as many as a bound allows.
#pragma once

#include <cstddef>
#include <set>
#include <string>

namespace belay::metrics {

/// Keeps the first names that come; those beyond the bound share the value `other`. What was let in
/// stays, so that a series does not end because another begins.
class label_set {
public:
  static constexpr const char* other = "other";

  explicit label_set(std::size_t names_max) : names_max_{names_max} {}

  /// Returns the label's value for a name.
  [[nodiscard]] std::string of(const std::string& name) {
    if (names_.count(name) != 0) {
      return name;
    }
    if (names_.size() >= names_max_) {
      return other;
    }
    names_.insert(name);
    return name;
  }

  /// Those that were let in.
  [[nodiscard]] const std::set<std::string>& names() const {
    return names_;
  }

private:
  std::size_t names_max_;
  std::set<std::string> names_;
};

} // namespace belay::metrics
