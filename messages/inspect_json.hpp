// The inspector that turns any inspectable value into JSON, for people who look into a node.
#pragma once

#include "messages/inspect.hpp"

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>

namespace belay {

template <class T>
nlohmann::json to_json(const T& value);

namespace inspection {

/// Fills one JSON object from the fields of one value.
class json_writer {
public:
  using result_type = void;
  static constexpr bool takes_names = true;

  template <class... Ts>
  void object(std::string_view, field_ref<Ts>... fields) {
    out_ = nlohmann::json::object();
    ((out_[std::string{fields.name}] = to_json(fields.value)), ...);
  }

  [[nodiscard]] nlohmann::json take() {
    return std::move(out_);
  }

private:
  nlohmann::json out_;
};

template <class T>
concept inspectable = requires(json_writer& f, T& x) {
  inspect(f, x);
};

template <class T>
concept named_enum = std::is_enum_v<T> && requires(const T& x) {
  { to_string(x) } -> std::convertible_to<std::string>;
};

template <class T>
concept map_like = requires(const T& x) {
  typename T::mapped_type;
  x.begin();
};

template <class T>
concept range_like = requires(const T& x) {
  x.begin();
  x.end();
};

template <class T>
concept pointer_like = requires(const T& x) {
  static_cast<bool>(x);
  *x;
}
&&!std::is_arithmetic_v<T>;

template <class T>
concept tuple_like = requires {
  std::tuple_size<T>::value;
}
&&!range_like<T>;

template <class T>
struct is_variant : std::false_type {};
template <class... Ts>
struct is_variant<std::variant<Ts...>> : std::true_type {};

template <class T>
struct is_duration : std::false_type {};
template <class Rep, class Period>
struct is_duration<std::chrono::duration<Rep, Period>> : std::true_type {};

template <class T>
nlohmann::json map_json(const T& value) {
  if constexpr (std::is_convertible_v<typename T::key_type, std::string>) {
    auto out = nlohmann::json::object();
    for (const auto& [key, x] : value) {
      out[std::string{key}] = to_json(x);
    }
    return out;
  } else {
    auto out = nlohmann::json::array();
    for (const auto& [key, x] : value) {
      out.push_back({to_json(key), to_json(x)});
    }
    return out;
  }
}

} // namespace inspection

/// Renders any inspectable value as JSON: structs as objects by field name, optionals as the value
/// or null, ranges as arrays, maps as objects (or [key, value] pairs when the keys are no strings),
/// enums by name when they have a `to_string`, durations as their count.
template <class T>
nlohmann::json to_json(const T& value) {
  namespace in = inspection;
  if constexpr (std::is_same_v<
                  T,
                  bool> || std::is_arithmetic_v<T> || std::is_convertible_v<T, std::string_view>) {
    return value;
  } else if constexpr (in::named_enum<T>) {
    return std::string{to_string(value)};
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<std::underlying_type_t<T>>(value);
  } else if constexpr (in::inspectable<T>) {
    in::json_writer writer;
    inspect(writer, const_cast<T&>(value)); // The writer only reads; CAF's inspectors want T&.
    return writer.take();
  } else if constexpr (in::is_duration<T>::value) {
    return value.count();
  } else if constexpr (in::is_variant<T>::value) {
    return std::visit([](const auto& x) { return to_json(x); }, value);
  } else if constexpr (in::map_like<T>) {
    return in::map_json(value);
  } else if constexpr (in::range_like<T>) {
    auto out = nlohmann::json::array();
    for (const auto& x : value) {
      out.push_back(to_json(x));
    }
    return out;
  } else if constexpr (in::tuple_like<T>) {
    auto out = nlohmann::json::array();
    std::apply([&out](const auto&... xs) { (out.push_back(to_json(xs)), ...); }, value);
    return out;
  } else {
    static_assert(in::pointer_like<T>, "give the type an inspect function");
    return value ? to_json(*value) : nlohmann::json(nullptr);
  }
}

} // namespace belay
