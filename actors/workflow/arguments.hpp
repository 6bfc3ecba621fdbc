// Arguments of tools and workflows, written in braces like JSON.
#pragma once

#include "actors/workflow/failure.hpp"

namespace belay {

class arguments {
public:
  arguments(json x) : value_(x.is_null() ? json::object() : std::move(x)) {}

  [[nodiscard]] const json& value() const& {
    return value_;
  }
  [[nodiscard]] json value() && {
    return std::move(value_);
  }

private:
  json value_;
};

} // namespace belay
