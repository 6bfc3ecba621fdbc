#include "app/timeline.hpp"

#include "app/output.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

namespace belay::app {

namespace {

constexpr std::array<const char*, 6> kind_names{"queued",  "delayed", "running",
                                                "waiting", "held",    "child"};

/// Follows a history; at most one bar is open.
class reader {
public:
  reader(const process_view& process, timestamp_ms now) : process_{process}, now_{now} {}

  void read(const event& x) {
    const auto facts = nlohmann::json::parse(x.payload, nullptr, false);
    const auto word = [&facts](const char* name) {
      return facts.is_object() && facts.contains(name) && facts[name].is_string()
               ? facts[name].get<std::string>()
               : std::string{};
    };
    if (x.type == event_types::registered) {
      if (process_.state == process_state::external) {
        open(bar_kind::waiting, "run elsewhere", x.at);
      } else {
        // Where the event does not say: of what was never started the row still does.
        be_ready(x.at, facts.value("due_at",
                                   process_.started_at == 0 ? process_.due_at : timestamp_ms{0}));
      }
    } else if (x.type == event_types::started) {
      close(x.at, "");
      open(bar_kind::running,
           "attempt " + std::to_string(facts.value("attempt", 0U)) + " on " + word("owner"), x.at);
    } else if (x.type == event_types::interrupted) {
      close(x.at, "interrupted: " + word("reason"));
      be_ready(x.at, 0);
    } else if (x.type == event_types::released) {
      close(x.at, "given back: " + word("reason"));
      be_ready(x.at, 0);
    } else if (x.type == event_types::attempt_failed) {
      close(x.at, "failed: " + word("message"));
      be_ready(x.at, facts.value("retry_at", timestamp_ms{0}));
    } else if (x.type == event_types::waiting) {
      close(x.at, "");
      const auto name = word("name");
      open(bar_kind::waiting, "waits for " + word("for") + (name.empty() ? "" : " " + name), x.at);
    } else if (x.type == event_types::resumed || x.type == event_types::unquarantined) {
      close(x.at, word("by"));
      be_ready(x.at, 0);
    } else if (x.type == event_types::quarantined) {
      close(x.at, "");
      open(bar_kind::held, "quarantined", x.at);
    } else if (x.type == event_types::completed || x.type == event_types::failed
               || x.type == event_types::cancelled || x.type == event_types::abandoned) {
      close(x.at, x.type.substr(x.type.find('.') + 1));
    }
  }

  std::vector<bar> finish() {
    if (open_) {
      open_->until = now_;
      open_->is_open = true;
      bars_.push_back(*open_);
    }
    return std::move(bars_);
  }

private:
  void open(bar_kind kind, std::string label, timestamp_ms at) {
    open_ = bar{kind, std::move(label), at, 0, false, {}};
  }

  void be_ready(timestamp_ms at, timestamp_ms due) {
    if (due > at && due > now_) {
      open(bar_kind::delayed, "not due", at);
    } else if (due > at) {
      bars_.push_back({bar_kind::delayed, "not due", at, due, false, {}});
      open(bar_kind::queued, "ready", due);
    } else {
      open(bar_kind::queued, "ready", at);
    }
  }

  void close(timestamp_ms at, std::string end) {
    if (open_) {
      open_->until = std::max(at, open_->from);
      open_->end = std::move(end);
      // Who was claimed at once has not waited.
      if (open_->kind != bar_kind::queued || open_->until > open_->from) {
        bars_.push_back(*open_);
      }
      open_.reset();
    }
  }

  const process_view& process_;
  timestamp_ms now_;
  std::optional<bar> open_;
  std::vector<bar> bars_;
};

/// For people: three digits or so.
std::string span_text(duration_ms length) {
  constexpr duration_ms second = 1'000;
  constexpr duration_ms minute = 60 * second;
  if (length < second) {
    return std::to_string(length) + "ms";
  }
  if (length < minute) {
    return std::to_string(length / second) + "." + std::to_string(length % second / 100) + "s";
  }
  return age(1, 1 + length);
}

std::string length_text(const bar& x) {
  return span_text(x.until - x.from) + (x.is_open ? " so far" : "");
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() > width) {
    text.resize(width - 1);
    text += "~";
  }
  text.append(width - text.size(), ' ');
  return text;
}

/// What a bar is called: names of what the process itself has started without its id.
std::string short_label(const timeline& x, const bar& one) {
  auto label = (one.kind == bar_kind::child ? "child " : "") + one.label;
  const auto prefix = x.id + "/";
  if (const auto at = label.find(prefix); at != std::string::npos) {
    label.erase(at, prefix.size());
  }
  return label;
}

/// The pause between two marks of the axis, for four to ten of them.
duration_ms tick_of(duration_ms span) {
  constexpr std::array<duration_ms, 12> last_steps{10'000,    15'000,    30'000,     60'000,
                                                   120'000,   300'000,   900'000,    1'800'000,
                                                   3'600'000, 7'200'000, 21'600'000, 43'200'000};
  constexpr duration_ms ticks_max = 10;
  constexpr duration_ms day = 86'400'000;
  for (duration_ms unit = 1; unit < last_steps.front(); unit *= 10) {
    for (const auto step : {unit, 2 * unit, 5 * unit}) {
      if (span <= step * ticks_max) {
        return step;
      }
    }
  }
  for (const auto step : last_steps) {
    if (span <= step * ticks_max) {
      return step;
    }
  }
  auto step = day;
  while (span > step * ticks_max) {
    step *= 2;
  }
  return step;
}

std::string html_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

/// Colours that differ in lightness too, so that they can be told apart without their hue.
constexpr const char* style = R"(
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
h1 { font-size: 1.2em; } p { color: #555; }
.row { display: grid; grid-template-columns: 18em 1fr 16em; gap: 1em; align-items: center; }
.bars .row:nth-child(odd) { background: #f6f6f6; }
.label, .note { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.note { color: #555; } .track { position: relative; height: 1.2em; }
.bar { position: absolute; top: .1em; height: 1em; min-width: 2px; border-radius: 2px; }
.chart { position: relative; } .lines { position: absolute; inset: 0; pointer-events: none; }
.lines .track, .axis .track { height: 100%; } .axis { height: 1.5em; }
.tick { position: absolute; top: 0; bottom: 0; border-left: 1px solid #ddd; }
.axis .tick { border: 0; padding-left: 4px; color: #555; font-size: .85em; white-space: nowrap; }
.queued { background: #9a9a9a; } .delayed { background: #e9e2b8; } .running { background: #2b6cb0; }
.waiting { background: #b7d7f0; } .held { background: #c0392b; } .child { background: #6b9e5b; }
.open { border-right: 3px dashed #222; }
)";

} // namespace

std::string to_string(bar_kind x) {
  return kind_names.at(static_cast<std::size_t>(x));
}

timeline make_timeline(const process_view& process, const std::vector<event>& history,
                       const std::vector<process_view>& children, timestamp_ms now) {
  timeline result;
  result.id = process.id;
  result.state = state_word(process, now);
  result.from = process.created_at;
  result.until = process.finished_at != 0 ? process.finished_at : now;
  reader follows{process, now};
  for (const auto& x : history) {
    follows.read(x);
  }
  result.bars = follows.finish();
  // They come newest first.
  std::for_each(children.rbegin(), children.rend(), [&](const process_view& x) {
    const auto ended = x.finished_at != 0;
    result.bars.push_back({bar_kind::child, x.id, x.created_at, ended ? x.finished_at : now, !ended,
                           state_word(x, now)});
  });
  std::stable_sort(result.bars.begin(), result.bars.end(),
                   [](const bar& a, const bar& b) { return a.from < b.from; });
  for (const auto& x : result.bars) {
    result.until = std::max(result.until, x.until); // Abandoned children live on.
  }
  return result;
}

std::string timeline_text(const timeline& x, std::size_t columns) {
  constexpr std::size_t label_width = 24;
  constexpr std::size_t length_width = 14;
  const auto width = std::max<std::size_t>(columns, 60) - label_width - length_width - 2;
  const auto span = std::max<timestamp_ms>(x.until - x.from, 1);
  const auto column = [&](timestamp_ms at) {
    const auto share = static_cast<double>(at - x.from) / static_cast<double>(span);
    return std::min(static_cast<std::size_t>(std::max(share, 0.0) * static_cast<double>(width)),
                    width - 1);
  };
  constexpr std::array<char, 6> marks{'.', '-', '#', '~', '!', '='};
  std::string text = printable(x.id) + "  " + x.state + "  " + format_time(x.from) + " to "
                     + format_time(x.until) + " (" + span_text(x.until - x.from) + ")\n";
  for (const auto& one : x.bars) {
    std::string track(width, ' ');
    const auto first = column(one.from);
    const auto last = std::max(first, column(one.until));
    std::fill(track.begin() + static_cast<std::ptrdiff_t>(first),
              track.begin() + static_cast<std::ptrdiff_t>(last) + 1,
              marks.at(static_cast<std::size_t>(one.kind)));
    if (one.is_open) {
      track[last] = '>';
    }
    const auto label = printable(short_label(x, one));
    text += padded(label, label_width) + " " + track + " " + length_text(one)
            + (one.end.empty() ? "" : "  " + printable(one.end)) + "\n";
  }
  return text + ". ready  - not due  # running  ~ waiting  ! quarantined  = child  > goes on\n";
}

std::string timeline_html(const timeline& x) {
  const auto span = static_cast<double>(std::max<timestamp_ms>(x.until - x.from, 1));
  const auto percent = [span](timestamp_ms length) {
    auto text = std::to_string(100.0 * static_cast<double>(length) / span);
    return text + "%";
  };
  std::string page = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>"
                     + html_text(x.id) + "</title><style>" + style + "</style></head><body>\n<h1>"
                     + html_text(x.id) + "</h1>\n<p>" + html_text(x.state) + ", "
                     + format_time(x.from) + " to " + format_time(x.until) + " ("
                     + span_text(x.until - x.from) + ")</p>\n<div class=\"chart\">\n";
  const auto whole = std::max<timestamp_ms>(x.until - x.from, 1);
  std::string lines;
  std::string axis;
  for (duration_ms at = 0; at <= whole; at += tick_of(whole)) {
    const auto tick = "<span class=\"tick\" style=\"left:" + percent(at) + "\">";
    lines += tick + "</span>";
    // A number at the very end would stand in the next column.
    constexpr duration_ms last_percent = 95;
    axis += at * 100 > whole * last_percent ? "" : tick + format_duration(at) + "</span>";
  }
  const auto row_of = [](const std::string& name, const std::string& track) {
    return "<div class=\"row " + name + "\"><span></span><span class=\"track\">" + track
           + "</span><span></span></div>\n";
  };
  page += row_of("lines", lines) + row_of("axis", axis) + "<div class=\"bars\">\n";
  for (const auto& one : x.bars) {
    const auto label = html_text(short_label(x, one));
    const auto note = length_text(one) + (one.end.empty() ? "" : ", " + html_text(one.end));
    page += "<div class=\"row\"><span class=\"label\" title=\"" + html_text(one.label) + "\">"
            + label + "</span><span class=\"track\"><span class=\"bar " + to_string(one.kind)
            + (one.is_open ? " open" : "") + "\" style=\"left:" + percent(one.from - x.from)
            + ";width:" + percent(one.until - one.from) + "\" title=\"" + format_time(one.from)
            + " to " + format_time(one.until) + "\"></span></span><span class=\"note\" title=\""
            + note + "\">" + note + "</span></div>\n";
  }
  page += "</div></div>\n<p>";
  for (const auto kind : {bar_kind::queued, bar_kind::delayed, bar_kind::running, bar_kind::waiting,
                          bar_kind::held, bar_kind::child}) {
    page += "<span class=\"" + to_string(kind) + "\" style=\"padding:0 .6em\">&nbsp;</span> "
            + to_string(kind) + " &nbsp; ";
  }
  return page + "</p></body></html>\n";
}

} // namespace belay::app
