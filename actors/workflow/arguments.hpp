// Arguments of tools and workflows, written in braces like JSON.
//
// g++ 12 cannot compile an initializer list inside an expression with `co_await` ("array used as
// initializer"), and those are what JSON in braces is made of. These types take braces by ordinary
// constructors instead, up to 16 members a pair of braces, and mean what nlohmann::json means, but
// for one thing: a list of one member inside a list cannot be written so, for `{x}` would be `x`.
#pragma once

#include "actors/workflow/failure.hpp"

#include <concepts>
#include <string_view>

namespace belay {

namespace workflows::braces {

class item;
class list;
class field;

template <class T>
concept written
  = !std::same_as<
      std::remove_cvref_t<T>,
      item> && !std::same_as<std::remove_cvref_t<T>, list> && !std::same_as<std::remove_cvref_t<T>, field> && std::is_convertible_v<T, json>;

/// Makes `{x}` as the first member of a list ambiguous with `item`, and so a compile error.
struct lonely {
  template <written T>
  lonely(T&& x); // NOLINT(google-explicit-constructor): never called
};

/// One of the members of a list.
class item {
public:
  /// No member.
  item() = default;
  /// A value.
  template <written T>
  item(T&& x) : value_(std::forward<T>(x)), present_{true} {} // NOLINT: braces need it implicit
  // Two in braces: a list, or the member of an object.
  template <written T, written U>
  item(T&& a, U&& b) : item{json(std::forward<T>(a)), json(std::forward<U>(b)), two{}} {}
  template <written T>
  item(T&& a, list b);
  template <written T>
  item(list a, T&& b);
  item(list a, list b);
  template <written T, written U, written V, written... Ts>
  item(T&& a, U&& b, V&& c, Ts&&... more) : value_(json::array()), present_{true} {
    value_.push_back(json(std::forward<T>(a)));
    value_.push_back(json(std::forward<U>(b)));
    value_.push_back(json(std::forward<V>(c)));
    (value_.push_back(json(std::forward<Ts>(more))), ...);
  }

  [[nodiscard]] bool is_present() const {
    return present_;
  }
  /// Whether it was written as `{"key", value}`.
  [[nodiscard]] bool is_member() const {
    return member_;
  }
  [[nodiscard]] json& value() {
    return value_;
  }

private:
  struct two {};
  item(json a, json b, two /*tag*/)
    : value_(json::array()), present_{true}, member_{a.is_string()} {
    value_.push_back(std::move(a));
    value_.push_back(std::move(b));
  }

  json value_;
  bool present_ = false;
  bool member_ = false;
};

/// A value in braces: an object when every member is `{"key", value}`, null when there is none,
/// else an array.
class list {
public:
  list() = default;
  template <written T>
  list(T&& a, item b = {}, item c = {}, item d = {}, item e = {}, item f = {}, item g = {},
       item h = {}, item i = {}, item j = {}, item k = {}, item l = {}, item m = {}, item n = {},
       item o = {}, item p = {}) {
    item first{std::forward<T>(a)};
    fill({&first, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &n, &o, &p});
  }
  list(item a, item b = {}, item c = {}, item d = {}, item e = {}, item f = {}, item g = {},
       item h = {}, item i = {}, item j = {}, item k = {}, item l = {}, item m = {}, item n = {},
       item o = {}, item p = {}) {
    fill({&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &n, &o, &p});
  }
  list(lonely a, item b = {}, item c = {}, item d = {}, item e = {}, item f = {}, item g = {},
       item h = {}, item i = {}, item j = {}, item k = {}, item l = {}, item m = {}, item n = {},
       item o = {}, item p = {})
    = delete;

  [[nodiscard]] json& value() {
    return value_;
  }

private:
  void fill(std::initializer_list<item*> items) {
    value_ = json::array();
    auto object = true;
    for (auto* one : items) {
      if (one->is_present()) {
        object = object && one->is_member();
        value_.push_back(std::move(one->value()));
      }
    }
    if (object) {
      auto members = json::object();
      for (auto& one : value_) {
        members[one[0].get<std::string>()] = std::move(one[1]);
      }
      value_ = std::move(members);
    }
  }

  json value_;
};

template <written T>
item::item(T&& a, list b) : item{json(std::forward<T>(a)), std::move(b.value()), two{}} {}
template <written T>
item::item(list a, T&& b) : item{std::move(a.value()), json(std::forward<T>(b)), two{}} {}
inline item::item(list a, list b) : item{std::move(a.value()), std::move(b.value()), two{}} {}

/// `{"key", value}`, where the value may be in braces.
class field {
public:
  field() = default;
  template <written T>
  field(std::string_view name, T&& x) : key_{name}, value_(std::forward<T>(x)), present_{true} {}
  field(std::string_view name, list x) : key_{name}, value_(std::move(x.value())), present_{true} {}

  void put_into(json& object) {
    if (present_) {
      object[key_] = std::move(value_);
    }
  }

private:
  std::string key_;
  json value_;
  bool present_ = false;
};

} // namespace workflows::braces

/// A JSON object, given as JSON or in braces: `{{"dir", dir}, {"argv", {"ls", "-l"}}}`.
class arguments {
  using field = workflows::braces::field;

public:
  /// Without arguments: `{}`.
  arguments() = default;
  template <workflows::braces::written T>
  arguments(T&& x) : value_(std::forward<T>(x)) { // NOLINT: JSON as it is
    if (value_.is_null()) {
      value_ = json::object();
    }
  }
  arguments(field a, field b = {}, field c = {}, field d = {}, field e = {}, field f = {},
            field g = {}, field h = {}, field i = {}, field j = {}, field k = {}, field l = {},
            field m = {}, field n = {}, field o = {}, field p = {}) { // NOLINT: braces
    for (auto* one : {&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l, &m, &n, &o, &p}) {
      one->put_into(value_);
    }
  }

  [[nodiscard]] const json& value() const& {
    return value_;
  }
  [[nodiscard]] json value() && {
    return std::move(value_);
  }

private:
  json value_ = json::object();
};

} // namespace belay
