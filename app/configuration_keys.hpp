// Every key of the configuration: where its value goes, how it is written, its bounds.
#pragma once

#include "app/configuration.hpp"

#include <variant>

namespace belay::app {

using texts = std::vector<std::string>;

/// How a number is written.
enum class unit { count, bytes, duration };

struct number_key {
  std::int64_t configuration::*member;
  unit how;
  std::int64_t low;
  std::int64_t high;
};

struct text_key {
  std::string configuration::*member;
  /// The words that are accepted; empty means any text that is not blank.
  texts words;
  std::size_t bytes_max = 128;
  bool may_be_empty = false;
};

struct list_key {
  texts configuration::*member;
};

struct flag_key {
  bool configuration::*member;
};

/// A number from 0 to 1.
struct ratio_key {
  double configuration::*member;
};

struct key {
  std::string name;
  std::variant<number_key, text_key, list_key, flag_key, ratio_key> what;
  std::string help;
};

inline constexpr std::int64_t kib = 1'024;
inline constexpr std::int64_t gib = 1LL << 30;

[[nodiscard]] const std::vector<key>& keys();

} // namespace belay::app
