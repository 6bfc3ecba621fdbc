#include "app/output.hpp"

#include "messages/time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utf8proc.h>

namespace belay::app {

namespace {

nlohmann::json time_or_null(timestamp_ms at) {
  return at == 0 ? nlohmann::json(nullptr) : nlohmann::json(format_time(at));
}

/// Counts the characters of UTF-8 text: every byte that does not continue one.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

/// Whether a code point beyond ASCII ends a line, controls a terminal or turns the direction of
/// what follows (Unicode Standard Annex 9, section 2).
bool drives_terminal(utf8proc_int32_t point) {
  return (point >= 0x80 && point < 0xA0) || point == 0x061C || point == 0x200E || point == 0x200F
         || (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

} // namespace

text_table::text_table(std::vector<std::string> head) {
  rows_.push_back(std::move(head));
}

void text_table::add(std::vector<std::string> row) {
  for (auto& cell : row) {
    cell = printable(cell);
  }
  rows_.push_back(std::move(row));
}

void text_table::print() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width(row[i]));
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) {
        line.append(widths[i] - width(row[i]) + 2, ' ');
      }
    }
    print_line(line);
  }
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const auto& word : words) {
    text += (text.empty() ? "" : std::string{between}) + word;
  }
  return text;
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    utf8proc_int32_t point = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                         static_cast<utf8proc_ssize_t>(text.size()), &point);
    const auto bytes = text.substr(0, length > 0 ? static_cast<std::size_t>(length) : 1);
    text.remove_prefix(bytes.size());
    std::array<char, 8> escaped{};
    if (length <= 1 && (length <= 0 || point < 0x20 || point == 0x7F)) {
      std::snprintf(escaped.data(), escaped.size(), "\\x%02x",
                    static_cast<unsigned char>(bytes.front()));
      result += escaped.data();
    } else if (drives_terminal(point)) {
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(point));
      result += escaped.data();
    } else {
      result += bytes;
    }
  }
  return result;
}

nlohmann::json view_json(const process_view& x, timestamp_ms now) {
  nlohmann::json result{{"id", x.id},
                        {"row", static_cast<std::uint64_t>(x.row)},
                        {"state", state_word(x, now)},
                        {"kind", x.kind},
                        {"queue", x.queue},
                        {"priority", x.priority},
                        {"created_at", time_or_null(x.created_at)},
                        {"updated_at", time_or_null(x.updated_at)},
                        {"due_at", time_or_null(x.due_at)},
                        {"started_at", time_or_null(x.started_at)},
                        {"finished_at", time_or_null(x.finished_at)},
                        {"attempt", x.attempt},
                        {"failures", x.failures},
                        {"interruptions", x.interruptions},
                        {"fence", static_cast<std::uint64_t>(x.fence)},
                        {"last_seq", x.last_seq},
                        {"cancel_requested", x.cancel_requested},
                        {"kill_requested", x.kill_requested}};
  if (!x.holder.name.empty()) {
    result["lease"] = {{"owner", x.holder.name},
                       {"incarnation", x.holder.incarnation},
                       {"expires_at", time_or_null(x.lease_expires_at)}};
  }
  if (!x.registration_json.empty()) {
    result["registration"] = nlohmann::json::parse(x.registration_json);
    result["registration_hash"] = x.registration_hash;
  }
  const auto given = [&result](const char* key, const std::string& text) {
    if (!text.empty()) {
      result[key] = text;
    }
  };
  given("label", x.label);
  given("definition", x.definition);
  given("wake", x.wake_session);
  given("concurrency_key", x.concurrency_key);
  given("traceparent", x.traceparent);
  if (x.blocked) {
    result["blocked"] = true;
  }
  if (!x.observers.empty()) {
    result["observers"] = x.observers;
  }
  if (!x.external_ref.empty()) {
    result["external_ref"] = nlohmann::json::parse(x.external_ref);
  }
  if (!x.abandon.empty()) {
    result["abandon"] = nlohmann::json::parse(x.abandon);
  }
  if (!x.first_owner.name.empty()) {
    result["first_started"] = {{"owner", x.first_owner.name},
                               {"incarnation", x.first_owner.incarnation},
                               {"fence", static_cast<std::uint64_t>(x.first_fence)},
                               {"at", format_time(x.started_at)}};
  }
  if (x.waiting.until.kind != wait_kind::none) {
    result["waiting"] = {{"for", to_string(x.waiting.until.kind)},
                         {"name", x.waiting.until.name},
                         {"ordinal", x.waiting.until.ordinal},
                         {"since", format_time(x.waiting.since)}};
    if (x.waiting.until.deadline != 0) {
      result["waiting"]["deadline"] = format_time(x.waiting.until.deadline);
    }
    for (const auto& one : x.waiting.also) {
      result["waiting"]["or"].push_back({{"for", to_string(one.kind)}, {"name", one.name}});
    }
  }
  if (!x.status_json.empty()) {
    result["status"] = nlohmann::json::parse(x.status_json);
  }
  if (x.journal_entries != 0) {
    result["journal_entries"] = x.journal_entries;
  }
  for (const auto& one : x.attachments) {
    result["attachments"].push_back({{"ref", one.ref}, {"name", one.name}, {"bytes", one.bytes}});
  }
  if (!x.outcome_json.empty()) {
    result["outcome"] = nlohmann::json::parse(x.outcome_json);
  }
  return result;
}

std::string one_line(const std::string& json_text) {
  const auto state = nlohmann::json::parse(json_text, nullptr, false);
  if (!state.is_object()) {
    return state.is_string() ? state.get<std::string>() : json_text;
  }
  std::string line;
  for (const auto& [key, value] : state.items()) {
    if (value.is_null() || value == false || value == "") {
      continue;
    }
    const auto text = value.is_string()       ? value.get<std::string>()
                      : value.is_structured() ? std::to_string(value.size())
                                              : value.dump();
    line += (line.empty() ? "" : "  ") + key + (value == true ? "" : " " + text);
  }
  return line;
}

std::string actor_line(const std::string& state_json) {
  if (state_json.empty()) {
    return "does not answer";
  }
  auto state = nlohmann::json::parse(state_json, nullptr, false);
  if (!state.is_object()) {
    return state_json;
  }
  for (const auto* name : {"actor", "id", "process"}) {
    state.erase(name);
  }
  return one_line(state.dump());
}

void print_view(const process_view& x, timestamp_ms now) {
  const auto row = [](std::string_view key, const std::string& value) {
    std::string line{key};
    line.append(line.size() < 14 ? 14 - line.size() : 1, ' ');
    print_line(line + printable(value));
  };
  row("id", x.id);
  row("state", state_word(x, now));
  row("kind", x.kind);
  row("queue", x.queue + " (priority " + std::to_string(x.priority) + ")");
  row("created", format_time(x.created_at) + " (" + age(x.created_at, now) + " ago)");
  if (x.due_at > now) {
    row("due", format_time(x.due_at));
  }
  if (x.started_at != 0) {
    row("started", format_time(x.started_at));
  }
  if (x.finished_at != 0) {
    row("finished", format_time(x.finished_at));
  }
  row("attempt", std::to_string(x.attempt) + " (" + std::to_string(x.failures) + " failed, "
                   + std::to_string(x.interruptions) + " interrupted)");
  if (!x.holder.name.empty()) {
    row("lease", x.holder.name + "#" + std::to_string(x.holder.incarnation) + " until "
                   + format_time(x.lease_expires_at));
  }
  if (x.waiting.until.kind != wait_kind::none) {
    const auto& until = x.waiting.until;
    row(
      "waiting",
      to_string(until.kind) + (until.name.empty() ? "" : " " + until.name)
        + (until.deadline == 0 ? "" : " until " + format_time(until.deadline))
        + (x.waiting.also.empty() ? "" : " and " + std::to_string(x.waiting.also.size()) + " more")
        + " since " + format_time(x.waiting.since));
  }
  if (!x.status_json.empty()) {
    row("status", x.status_json);
  }
  if (x.journal_entries != 0) {
    row("journal", std::to_string(x.journal_entries) + " entries");
  }
  for (const auto& one : x.attachments) {
    row("attachment", one.ref + " " + std::to_string(one.bytes) + " bytes"
                        + (one.name.empty() ? "" : " " + one.name));
  }
  if (!x.external_ref.empty()) {
    row("outside", x.external_ref);
  }
  if (!x.abandon.empty()) {
    row("abandon", x.abandon);
  }
  if (x.cancel_requested || x.kill_requested) {
    row("asked to end", x.kill_requested ? "kill" : "cancel");
  }
  if (!x.registration_json.empty()) {
    row("input", nlohmann::json::parse(x.registration_json).at("input").dump());
    row("hash", x.registration_hash);
  }
  if (!x.outcome_json.empty()) {
    row("outcome", x.outcome_json);
  }
}

nlohmann::json event_json(const event& x) {
  nlohmann::json result{{"seq", x.seq},
                        {"at", format_time(x.at)},
                        {"type", x.type},
                        {"payload", nlohmann::json::parse(x.payload)}};
  if (!x.key.empty()) {
    result["key"] = x.key;
  }
  return result;
}

std::string age(timestamp_ms at, timestamp_ms now) {
  if (at == 0) {
    return "-";
  }
  constexpr std::int64_t minute = 60;
  constexpr std::int64_t hour = 60 * minute;
  constexpr std::int64_t day = 24 * hour;
  const auto seconds = std::abs(now - at) / 1'000;
  const auto two = [](std::int64_t big, char big_unit, std::int64_t small, char small_unit) {
    return std::to_string(big) + big_unit + (small > 0 ? std::to_string(small) + small_unit : "");
  };
  if (seconds < minute) {
    return std::to_string(seconds) + "s";
  }
  if (seconds < hour) {
    return two(seconds / minute, 'm', seconds % minute, 's');
  }
  if (seconds < day) {
    return two(seconds / hour, 'h', seconds % hour / minute, 'm');
  }
  return two(seconds / day, 'd', seconds % day / hour, 'h');
}

void print_error(std::string_view text) {
  const auto shown = printable(text);
  std::fprintf(stderr, "belay: %s\n", shown.c_str());
}

void print_line(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

timestamp_ms wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

} // namespace belay::app
