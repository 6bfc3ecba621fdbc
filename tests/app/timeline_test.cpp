// What bars a history becomes, and how they are drawn.
#include "app/timeline.hpp"

#include <catch2/catch.hpp>

using namespace belay;
using app::bar_kind;

namespace {

constexpr timestamp_ms start = 1'800'000'000'000;

event make(const std::string& type, duration_ms after, const std::string& payload = "{}") {
  event x;
  x.type = type;
  x.at = start + after;
  x.payload = payload;
  return x;
}

process_view make_view() {
  process_view x;
  x.id = "a<b>";
  x.created_at = start;
  x.due_at = start;
  return x;
}

void is(const app::bar& x, bar_kind kind, duration_ms from, duration_ms until,
        const std::string& label) {
  CAPTURE(x.label, x.end);
  CHECK(x.kind == kind);
  CHECK(x.from == start + from);
  CHECK(x.until == start + until);
  CHECK(x.label == label);
}

} // namespace

TEST_CASE("timeline: attempts, pauses, waits and children become bars", "[app][timeline]") {
  auto view = make_view();
  view.state = process_state::finished;
  view.finished_at = start + 9'000;
  view.failures = 1;
  const std::vector<event> history{
    make(event_types::registered, 0),
    make(event_types::started, 100, R"({"attempt":1,"owner":"w1"})"),
    make(event_types::interrupted, 1'000, R"({"reason":"owner down","owner":"w1"})"),
    make(event_types::started, 1'000, R"({"attempt":2,"owner":"w2"})"),
    make(event_types::attempt_failed, 2'000,
         R"({"message":"no luck","retry_at":)" + std::to_string(start + 3'000) + "}"),
    make(event_types::started, 3'500, R"({"attempt":3,"owner":"w2"})"),
    make("note", 3'700),
    make(event_types::waiting, 4'000, R"({"for":"signal","name":"go"})"),
    make(event_types::resumed, 8'000, R"({"by":"signal"})"),
    make(event_types::started, 8'000, R"({"attempt":3,"owner":"w1","resumed":true})"),
    make(event_types::completed, 9'000)};
  process_view child;
  child.id = "a/1";
  child.created_at = start + 3'600;
  child.state = process_state::running;
  const auto x = app::make_timeline(view, history, {child}, start + 20'000);
  CHECK(x.state == "success");
  CHECK(x.until == start + 20'000); // The child lives on.
  REQUIRE(x.bars.size() == 9);
  is(x.bars[0], bar_kind::queued, 0, 100, "ready");
  is(x.bars[1], bar_kind::running, 100, 1'000, "attempt 1 on w1");
  CHECK(x.bars[1].end == "interrupted: owner down");
  is(x.bars[2], bar_kind::running, 1'000, 2'000, "attempt 2 on w2"); // Claimed at once.
  CHECK(x.bars[2].end == "failed: no luck");
  is(x.bars[3], bar_kind::delayed, 2'000, 3'000, "not due");
  is(x.bars[4], bar_kind::queued, 3'000, 3'500, "ready");
  is(x.bars[5], bar_kind::running, 3'500, 4'000, "attempt 3 on w2");
  is(x.bars[6], bar_kind::child, 3'600, 20'000, "a/1");
  CHECK(x.bars[6].is_open);
  is(x.bars[7], bar_kind::waiting, 4'000, 8'000, "waits for signal go");
  is(x.bars[8], bar_kind::running, 8'000, 9'000, "attempt 3 on w1");
  CHECK(x.bars[8].end == "completed");
}

TEST_CASE("timeline: what is not over goes on until now", "[app][timeline]") {
  auto view = make_view();
  view.due_at = start + 60'000;
  const auto x = app::make_timeline(view, {make(event_types::registered, 0)}, {}, start + 10'000);
  REQUIRE(x.bars.size() == 1);
  is(x.bars[0], bar_kind::delayed, 0, 10'000, "not due");
  CHECK(x.bars[0].is_open);
  const auto text = app::timeline_text(x, 80);
  CHECK(text.find(">") != std::string::npos);
  CHECK(text.find("10.0s so far") != std::string::npos);
  // No line is wider than asked for, but for how the bar ended.
  CHECK(text.find("not due                 ") != std::string::npos);
}

TEST_CASE("timeline: when it was due is what it was registered with", "[app][timeline]") {
  auto view = make_view();
  const auto due = R"({"due_at":)" + std::to_string(start + 3'000) + "}";
  auto x = app::make_timeline(view, {make(event_types::registered, 0, due)}, {}, start + 1'000);
  REQUIRE(x.bars.size() == 1);
  CHECK(x.bars[0].kind == bar_kind::delayed);
  // Started and failed since; the row has another due time by now.
  view.started_at = start + 3'500;
  view.due_at = start + 9'000;
  view.failures = 1;
  x = app::make_timeline(view,
                         {make(event_types::registered, 0, due),
                          make(event_types::started, 3'500, R"({"attempt":1,"owner":"w1"})")},
                         {}, start + 4'000);
  REQUIRE(x.bars.size() == 3);
  is(x.bars[0], bar_kind::delayed, 0, 3'000, "not due");
  is(x.bars[1], bar_kind::queued, 3'000, 3'500, "ready");
  // Due at once, and parked later: its row says when it was woken.
  x = app::make_timeline(view,
                         {make(event_types::registered, 0),
                          make(event_types::started, 100, R"({"attempt":1,"owner":"w1"})")},
                         {}, start + 4'000);
  REQUIRE(x.bars.size() == 2);
  is(x.bars[0], bar_kind::queued, 0, 100, "ready");
}

TEST_CASE("timeline: the page escapes what it shows and needs nothing else", "[app][timeline]") {
  auto view = make_view();
  const auto page = app::timeline_html(
    app::make_timeline(view,
                       {make(event_types::registered, 0),
                        make(event_types::started, 10, R"({"attempt":1,"owner":"<script>\"&"})")},
                       {}, start + 1'000));
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("a&lt;b&gt;") != std::string::npos);
  CHECK(page.find("&lt;script&gt;&quot;&amp;") != std::string::npos);
  CHECK(page.find("http") == std::string::npos);
  CHECK(page.find("class=\"bar running open\"") != std::string::npos);
}

TEST_CASE("timeline: children in their order under short names, and an axis", "[app][timeline]") {
  auto view = make_view();
  view.id = "report";
  std::vector<process_view> children(2);
  children[0].id = "report/exec.2"; // As a list has them: newest first.
  children[1].id = "report/exec.1";
  for (auto& x : children) {
    x.created_at = start + 100;
  }
  const auto x
    = app::make_timeline(view, {make(event_types::registered, 0)}, children, start + 9'000);
  REQUIRE(x.bars.size() == 3);
  CHECK(x.bars[1].label == "report/exec.1");
  CHECK(app::timeline_text(x, 80).find("\nchild exec.1 ") != std::string::npos);
  const auto page = app::timeline_html(x);
  CHECK(page.find(">child exec.2</span>") != std::string::npos);
  CHECK(page.find("title=\"report/exec.2\"") != std::string::npos);
  CHECK(page.find("left:0.000000%\">0s</span>") != std::string::npos);
  CHECK(page.find(">8s</span>") != std::string::npos);
  CHECK(page.find(">9s</span>") == std::string::npos); // It would stand in the next column.

  // However long or short a life is, the axis has a handful of marks.
  for (duration_ms length = 1; length < 4'000'000'000'000; length = length * 3 + 1) {
    const auto drawn
      = app::timeline_html(app::make_timeline(view, {}, {}, view.created_at + length));
    std::size_t marks = 0;
    for (auto at = drawn.find("class=\"tick\""); at != std::string::npos;
         at = drawn.find("class=\"tick\"", at + 1)) {
      ++marks;
    }
    CAPTURE(length);
    CHECK(marks >= 2);
    CHECK(marks <= 22);
  }
}
