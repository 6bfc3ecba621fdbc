#include "actors/log.hpp"

#include "actors/component.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace belay::log {

namespace {

constexpr std::array<std::string_view, 5> level_names{"trace", "debug", "info", "warn", "error"};

/// Keys of a JSON line that no field may take.
constexpr std::array<std::string_view, 5> own_keys{"time", "level", "component", "event",
                                                   "message"};

std::size_t index_of(level x) {
  return static_cast<std::size_t>(x);
}

spdlog::level::level_enum to_spdlog(level x) {
  constexpr std::array<spdlog::level::level_enum, 5> table{
    spdlog::level::trace, spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
    spdlog::level::err};
  return table[index_of(x)];
}

/// Writes the level as the configuration spells it, padded to one width.
class level_flag : public spdlog::custom_flag_formatter {
public:
  void
  format(const spdlog::details::log_msg& line, const std::tm&, spdlog::memory_buf_t& out) override {
    const auto found = std::find_if(level_names.begin(), level_names.end(), [&](auto name) {
      return to_spdlog(*level_from(name)) == line.level;
    });
    std::string word{found == level_names.end() ? "?" : *found};
    word.resize(5, ' ');
    out.append(word.data(), word.data() + word.size());
  }

  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<level_flag>();
  }
};

/// A way to write lines, immutable once made.
struct writer {
  bool json = false;
  std::unique_ptr<spdlog::logger> out;
};

std::unique_ptr<writer> make_writer(line_format format, std::FILE* stream) {
  const bool terminal = isatty(fileno(stream)) == 1;
  const auto set = [](const char* name) {
    const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): belay sets none
    return value != nullptr && *value != '\0';
  };
  auto result = std::make_unique<writer>();
  result->json = format == line_format::json || (format == line_format::automatic && !terminal);
  const bool colour = terminal && !result->json && !set("NO_COLOR");
  using sink = spdlog::sinks::ansicolor_sink<spdlog::details::console_mutex>;
  auto lines = std::make_shared<sink>(stream, colour ? spdlog::color_mode::always
                                                     : spdlog::color_mode::never);
  auto form = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc, "\n");
  form->add_flag<level_flag>('*').set_pattern(
    result->json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v}" : "%Y-%m-%dT%H:%M:%S.%eZ %^%*%$ %v");
  lines->set_formatter(std::move(form));
  result->out = std::make_unique<spdlog::logger>("belay", std::move(lines));
  result->out->set_level(spdlog::level::trace);
  return result;
}

/// What is shown, and by whom it is written. Lives for ever: threads that outlast `main` may log.
class state {
public:
  state() {
    options quiet;
    quiet.level_min = level::warn;
    apply(quiet);
  }

  void apply(const options& opts) {
    const std::lock_guard guard{mutex_};
    auto* const stream = opts.stream == nullptr ? stderr : opts.stream;
    if (writers_.empty() || format_ != opts.format || stream_ != stream) {
      // A thread may still be writing with a former one, so none is ever destroyed.
      writers_.push_back(make_writer(opts.format, stream));
      format_ = opts.format;
      stream_ = stream;
    }
    level lowest = opts.level_min;
    for (std::size_t i = 0; i < component::all.size(); ++i) {
      const auto found = opts.levels.find(std::string{component::all[i]});
      const auto chosen = found == opts.levels.end() ? opts.level_min : found->second;
      lowest = std::min(lowest, chosen);
      levels_[i] = chosen;
    }
    other_ = opts.level_min;
    lowest_ = lowest;
    current_ = writers_.back().get();
  }

  [[nodiscard]] bool enabled(std::string_view component, level x) const {
    if (x < lowest_.load(std::memory_order_relaxed)) {
      return false;
    }
    const auto* found = std::find(component::all.begin(), component::all.end(), component);
    if (found == component::all.end()) {
      return x >= other_.load(std::memory_order_relaxed);
    }
    const auto i = static_cast<std::size_t>(found - component::all.begin());
    return x >= levels_[i].load(std::memory_order_relaxed);
  }

  [[nodiscard]] writer& current() const {
    return *current_.load();
  }

private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<writer>> writers_;
  /// Of the last one.
  line_format format_ = line_format::automatic;
  std::FILE* stream_ = nullptr;
  std::atomic<writer*> current_ = nullptr;
  std::array<std::atomic<level>, component::all.size()> levels_{};
  std::atomic<level> other_ = level::warn;
  std::atomic<level> lowest_ = level::warn;
};

state& the_log() {
  static auto& instance = *new state; // never destroyed, see `state`
  return instance;
}

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Escapes what could break a line or drive a terminal: control characters, also those of
/// ISO 6429's second set (U+0080 to U+009F; U+009B begins a terminal command as ESC [ does).
std::string escaped(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  result.reserve(text.size());
  const auto code = [&](unsigned char c) {
    result += "\\x";
    result += digits[c >> 4U];
    result += digits[c & 0xFU];
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (c == '\n') {
      result += "\\n";
    } else if (c < 0x20 || c == 0x7F) {
      code(c);
    } else if (c == 0xC2 && next >= 0x80 && next < 0xA0) {
      code(static_cast<unsigned char>(next));
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

/// Quotes a value where a reader could not tell where it ends.
std::string human_value(const field& x) {
  const auto plain = escaped(x.value());
  if (!x.is_text() || (!plain.empty() && plain.find_first_of(" \"=") == std::string::npos)) {
    return plain;
  }
  std::string result = "\"";
  for (const char c : plain) {
    if (c == '"') {
      result += '\\';
    }
    result += c;
  }
  return result + '"';
}

std::string
human_line(std::string_view component, std::string_view event, fields more, std::string_view text) {
  auto line = escaped(component) + " " + escaped(event) + ": " + escaped(text);
  for (const auto& x : more) {
    line += " " + escaped(x.key()) + "=" + human_value(x);
  }
  return line;
}

std::string json_line(level x, std::string_view component, std::string_view event, fields more,
                      std::string_view text) {
  std::string line = "\"level\":\"" + std::string{to_string(x)} + "\",\"component\":";
  line += json_quoted(component) + ",\"event\":" + json_quoted(event)
          + ",\"message\":" + json_quoted(text);
  for (const auto& one : more) {
    std::string key{one.key()};
    if (std::find(own_keys.begin(), own_keys.end(), key) != own_keys.end()) {
      key += '_';
    }
    line += "," + json_quoted(key) + ":" + (one.is_text() ? json_quoted(one.value()) : one.value());
  }
  return line;
}

} // namespace

std::string field::value() const {
  switch (kind_) {
    case kind::signed_number:
      return std::to_string(static_cast<std::int64_t>(bits_));
    case kind::unsigned_number:
      return std::to_string(bits_);
    case kind::text:
    case kind::word:
      break;
  }
  return std::string{text_};
}

void init(const options& opts) {
  for (const auto& [name, ignored] : opts.levels) {
    if (std::find(component::all.begin(), component::all.end(), name) == component::all.end()) {
      throw std::invalid_argument{"the log has no component '" + name + "'"};
    }
  }
  the_log().apply(opts);
}

std::span<const std::string_view> components() {
  return component::all;
}

std::string_view to_string(level x) {
  return level_names[index_of(x)];
}

std::optional<level> level_from(std::string_view name) {
  const auto* found = std::find(level_names.begin(), level_names.end(), name);
  if (found == level_names.end()) {
    return std::nullopt;
  }
  return static_cast<level>(found - level_names.begin());
}

bool enabled(std::string_view component, level x) {
  return the_log().enabled(component, x);
}

void write(level x, std::string_view component, std::string_view event, fields more,
           std::string_view text) {
  if (!enabled(component, x)) {
    return;
  }
  auto& to = the_log().current();
  const auto line = to.json ? json_line(x, component, event, more, text)
                            : human_line(component, event, more, text);
  to.out->log(to_spdlog(x), spdlog::string_view_t{line.data(), line.size()});
}

void flush() {
  the_log().current().out->flush();
}

} // namespace belay::log
