// One way to say what a value is made of, for CAF's serialisers and for our own inspectors.
//
// A type says its fields once:
//
//   template <class Inspector>
//   typename Inspector::result_type inspect(Inspector& f, lease& x) {
//     return inspection::object(f, "lease", inspection::field("row", x.row), ...);
//   }
//
// CAF's inspectors get the values in order; inspectors that declare `takes_names` get the names
// too. Floating-point numbers never go into a message: CAF 0.17.6 hangs on an infinity.
#pragma once

#include <string_view>

namespace belay::inspection {

template <class T>
struct field_ref {
  std::string_view name;
  T& value;
};

/// Pairs a field with its name.
template <class T>
field_ref<T> field(std::string_view name, T& value) {
  return {name, value};
}

template <class Inspector>
concept takes_names = requires {
  Inspector::takes_names;
};

/// Hands the fields of one object to an inspector.
template <class Inspector, class... Ts>
typename Inspector::result_type
object(Inspector& f, [[maybe_unused]] std::string_view type, field_ref<Ts>... fields) {
  if constexpr (takes_names<Inspector>) {
    return f.object(type, fields...);
  } else {
    return f(fields.value...);
  }
}

} // namespace belay::inspection
