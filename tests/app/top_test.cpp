// The screen of `belay top` as a function of its state: what is drawn, and what keys do.
#include "app/top/model.hpp"
#include "app/top/text.hpp"
#include "app/top/view.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

using namespace belay;
using namespace belay::app;
using code = top::key::code;

namespace {

constexpr timestamp_ms now = 1'800'000'000'000;
constexpr top::screen small{24, 80, true};

std::size_t columns_of(const std::string& text) {
  std::size_t used = 0;
  static_cast<void>(top::harmless(text, text.size() * 2, true, false, used));
  return used;
}

process_view make_process(const std::string& id, const std::string& owner, std::uint32_t attempt) {
  process_view x;
  x.id = id;
  x.state = process_state::running;
  x.kind = "exec";
  x.queue = "default";
  x.created_at = now - 90'000;
  x.attempt = attempt;
  x.holder = {owner, 1};
  x.lease_expires_at = now + 20'000;
  return x;
}

struct top_fixture {
  top::model x = top::make_model(1'000);
  top::answer next;
  top::screen on = small;

  top_fixture() {
    next.node = "local";
    next.now = now;
    next.at_ms = 5'000;
    next.connection = 1;
    next.counts.by_state = {{"running", 10'000}, {"ready", 89'990}, {"success", 7}};
    node_info node;
    node.name = "local";
    node.role = "registry+worker";
    node.state = "connected";
    node.version = "9.8.7";
    node.connected_at = now - 3'700'000;
    node.slots = 10'000;
    node.busy = 10'000;
    node.kinds = {"exec"};
    next.nodes.push_back(node);
    next.processes.emplace();
  }

  void add(const std::string& id, const std::string& owner = "w1", std::uint32_t attempt = 1) {
    next.processes->processes.push_back(make_process(id, owner, attempt));
  }

  void add_many(int count) {
    for (int i = 0; i < count; ++i) {
      add("p" + std::to_string(1'000 + i));
    }
  }

  /// The node answers what is asked now.
  void answer() {
    next.asked = x.asks;
    next.at_ms += 1'000;
    x.clock_ms = next.at_ms;
    top::receive(x, next, on);
  }

  top::wish press(code what) {
    return top::update(x, {what, 0}, on);
  }

  top::wish press(char letter) {
    return top::update(x, {code::character, static_cast<char32_t>(letter)}, on);
  }

  void type(const std::string& text) {
    for (const char c : text) {
      static_cast<void>(press(c));
    }
  }

  /// Draws, and checks what holds for every frame.
  std::string frame() {
    const auto lines = top::draw(x, on);
    REQUIRE(lines.size() == static_cast<std::size_t>(on.rows));
    std::string text;
    for (const auto& line : lines) {
      const auto plain = line.plain();
      CHECK(columns_of(plain) <= static_cast<std::size_t>(on.columns));
      for (const char c : plain) {
        CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7F));
      }
      text += plain + "\n";
    }
    return text;
  }

  bool shows(const std::string& part) {
    const auto text = frame();
    UNSCOPED_INFO(text);
    return text.find(part) != std::string::npos;
  }

  [[nodiscard]] std::string selected() const {
    return x.places.front().id;
  }

  std::vector<std::string> order() {
    return top::row_names(x);
  }
};

} // namespace

TEST_CASE_METHOD(top_fixture, "top: a frame at 80x24 has all of it", "[app][top]") {
  CHECK(shows("no answer yet"));
  add("nightly-7");
  auto& one = next.processes->processes.front();
  one.status_json = R"({"done":3,"of":10})";
  answer();
  const auto text = frame();
  INFO(text);
  std::istringstream lines{text};
  std::string line;
  std::getline(lines, line);
  CHECK(line == "belay top  node local 9.8.7  up 1h1m  store ok              2027-01-15T08:00:00Z");
  std::getline(lines, line);
  CHECK(line == "running 10000  ready 89990  waiting 0  quarantined 0  external 0");
  std::getline(lines, line);
  CHECK(line == "success 7  failure 0  cancelled 0  abandoned 0");
  CHECK(shows("slots 10000/10000 of 1 worker [|"));
  CHECK(shows("rows 1-1 of 10000"));
  CHECK(shows("nightly-7"));
  CHECK(shows("1m30s"));
  CHECK(shows("20s"));
  CHECK(shows("done 3"));
  CHECK(shows("c cancel  r again\n"));
}

TEST_CASE_METHOD(top_fixture,
                 "top: nothing overlaps or is too long, whatever the size and the text",
                 "[app][top]") {
  const std::string nasty = "\x1b[2J\x07\xc2\x9b"
                            "31m\xff\xe2\x80\xae"
                            "evil\r\n\t"
                            + std::string(300, 'x') + "\xe6\xbc\xa2\xe5\xad\x97";
  for (int i = 0; i < 40; ++i) {
    add(nasty + std::to_string(i), nasty, 4'000'000'000U);
    auto& one = next.processes->processes.back();
    one.kind = one.queue = one.label = nasty;
    one.status_json = "\"" + nasty + "\"";
    one.created_at = 1;
  }
  next.nodes.front().place = next.nodes.front().name = next.node = nasty;
  for (auto& [state, count] : next.counts.by_state) {
    count = 18'000'000'000'000'000'000U;
  }
  next.actors.emplace();
  next.actors->actors.push_back({70'000, nasty, R"({"actor":"x"})"});
  next.actors->actors.push_back({1, "silent", ""});
  const auto utf8 = GENERATE(true, false);
  const auto size = GENERATE(std::pair{24, 80}, std::pair{25, 81}, std::pair{50, 133},
                             std::pair{200, 400}, std::pair{10, 40}, std::pair{1, 1});
  on = {size.first, size.second, utf8};
  answer();
  queue_view queue;
  queue.name = nasty;
  queue.ready = queue.running = 18'000'000'000'000'000'000U;
  queue.oldest_ready_at = 1;
  queue.limits = {true, 4'000'000'000U, 4'000'000'000U, 4'000'000'000U, 86'400'000, 7};
  next.queues.emplace();
  next.queues->queues.push_back(queue);
  for (const char pane : {'1', '2', '3', '4'}) {
    press(pane);
    answer();
    const auto text = frame();
    CHECK(text.find("evil\n") == std::string::npos);
    CHECK((utf8 || std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; })));
  }
  press('1');
  press(code::enter);
  next.opened.emplace();
  next.opened->process = next.processes->processes.front();
  next.opened->process.id = x.asks.opened;
  next.opened->said = {nasty, nasty, {{nasty, nasty}}};
  event one;
  one.type = one.payload = nasty;
  next.opened->events = {one};
  answer();
  frame();
  press('?');
  frame();
  press('?');
  press('c');
  frame();
}

TEST_CASE_METHOD(top_fixture,
                 "top: a screen that is too small gets a message, a larger one is used",
                 "[app][top]") {
  add_many(100);
  answer();
  CHECK(shows("p1014"));
  CHECK_FALSE(shows("p1015"));
  on.rows = 60;
  CHECK(shows("p1050"));
  on = {24, 79, true};
  CHECK(shows("belay top needs 80x24, this is 79x24"));
  on = {3, 20, true};
  CHECK(shows("belay top needs 80x2"));
}

TEST_CASE_METHOD(top_fixture, "top: the selected row is kept when rows move and go", "[app][top]") {
  for (const auto* id : {"a", "b", "c", "d"}) {
    add(id);
  }
  answer();
  CHECK(selected() == "a");
  press(code::down);
  press(code::down);
  CHECK(selected() == "c");
  auto& rows = next.processes->processes;
  rows.insert(rows.begin(), make_process("new", "w1", 1));
  answer();
  CHECK(selected() == "c");
  CHECK(x.places.front().index == 3);
  rows.erase(rows.begin() + 3); // c ends: its place is taken by who comes after.
  answer();
  CHECK(selected() == "d");
  rows.clear();
  answer();
  CHECK(shows("none"));
  press(code::down);
  add("z");
  answer();
  CHECK(selected() == "z");
}

TEST_CASE_METHOD(top_fixture, "top: moving scrolls by as little as it takes", "[app][top]") {
  add_many(40);
  answer();
  for (int i = 0; i < 15; ++i) {
    press(code::down);
  }
  CHECK(selected() == "p1015");
  CHECK_FALSE(shows("p1000 "));
  CHECK(shows("p1001 "));
  press(code::end);
  CHECK(selected() == "p1039");
  CHECK(shows("p1039 "));
  press(code::page_up);
  CHECK(selected() == "p1024");
  press(code::home);
  CHECK(selected() == "p1000");
  on.rows = 70; // All fit, and the first is at the top.
  press(code::end);
  CHECK(shows("p1000 "));
}

TEST_CASE_METHOD(top_fixture, "top: sorting, and back", "[app][top]") {
  add("a", "w2", 1);
  add("b", "w1", 3);
  add("c", "w3", 2);
  next.processes->processes[0].created_at = now - 5'000;
  next.processes->processes[0].kind = "zip";
  next.processes->processes[1].lease_expires_at = now + 1'000;
  using names = std::vector<std::string>;
  answer();
  CHECK(order() == names{"a", "b", "c"});
  press('s');
  CHECK(shows("by age"));
  CHECK(order() == names{"b", "c", "a"});
  press('s');
  CHECK(order() == names{"b", "c", "a"}); // Attempts.
  press('s');
  CHECK(order() == names{"b", "a", "c"}); // Owner.
  press('S');
  CHECK(order() == names{"c", "a", "b"});
  CHECK(shows("by owner, reversed"));
  press('S');
  press('s');
  CHECK(order() == names{"b", "c", "a"}); // Kind.
  press('s');
  CHECK(order() == names{"b", "a", "c"}); // Lease.
  CHECK(selected() == "a");
  press('s');
  CHECK(order() == names{"a", "b", "c"});
}

TEST_CASE_METHOD(top_fixture, "top: a filter is asked of the registry, an owner of the page",
                 "[app][top]") {
  add("a", "w1");
  add("b", "w2");
  answer();
  press('/');
  type("night queue=q owner=w2 team=x");
  CHECK(shows("/night queue=q owner=w2 team=x_"));
  press(code::backspace);
  press('y');
  CHECK(press(code::enter).what == top::wish::kind::ask);
  const auto& list = x.asks.list;
  CHECK(list.id_prefix == "night");
  CHECK(list.queue == "q");
  CHECK(list.state == "running");
  CHECK(list.labels.at("team") == "y");
  CHECK(order() == std::vector<std::string>{"b"});
  answer();
  CHECK(shows("owner sought in these: 1"));
  CHECK_FALSE(shows("of 10000"));
  press('/');
  type(" queue=r");
  press(code::enter);
  CHECK(shows("'queue=r': there is a queue already"));
  press(code::escape);
  CHECK(x.asks.list.queue == "q");
  press('/');
  CHECK(shows("Ctrl-U clear it"));
  press(code::clear_line);
  CHECK(x.typed.empty());
  type("state=failure");
  press(code::enter);
  CHECK(x.asks.list.state == "failure");
  CHECK(x.asks.list.queue.empty());
}

TEST_CASE_METHOD(top_fixture, "top: a filter that is longer than its line ends in a mark",
                 "[app][top]") {
  answer();
  press('/');
  type("kind=" + std::string(70, 'k'));
  press(code::enter);
  CHECK(shows("/kind=kkkkk"));
  CHECK(shows("kkk~\n"));
  auto once = top::draw_once(x, on);
  CHECK(std::any_of(once.begin(), once.end(),
                    [](const top::line& line) { return line.plain().ends_with("kkk~"); }));
}

TEST_CASE_METHOD(top_fixture, "top: what a silent worker has free is not counted", "[app][top]") {
  auto other = next.nodes.front();
  other.name = "far";
  other.state = "silent";
  other.busy = 1;
  next.nodes.push_back(other);
  answer();
  CHECK(shows("slots 10000/10000 of 1 worker 1 silent "));
}

TEST_CASE("top: what a filter may say", "[app][top]") {
  CHECK(top::parse_filter(""));
  CHECK(top::parse_filter("  a  kind=exec ")->list.kind == "exec");
  CHECK(top::parse_filter("title=a=b")->list.label == "a=b");
  CHECK_FALSE(top::parse_filter("a b"));
  CHECK_FALSE(top::parse_filter("=b"));
  CHECK(top::parse_filter("kind=").why().text == "'kind=' is not acceptable, expected KEY=VALUE");
}

TEST_CASE_METHOD(top_fixture, "top: pages of the registry, there and back", "[app][top]") {
  add_many(200);
  next.processes->next = row_id{9'801};
  answer();
  CHECK(shows("rows 1-200 of 10000; more: PgDn at the end"));
  press(code::end);
  CHECK(x.asks.list.after == row_id{});
  CHECK(press(code::page_down).what == top::wish::kind::ask);
  CHECK(x.asks.list.after == row_id{9'801});
  press(code::page_down); // Its answer is still to come.
  CHECK(x.asks.list.after == row_id{9'801});
  next.processes->processes.resize(3);
  next.processes->next = row_id{};
  answer();
  CHECK(shows("rows 201-203 of 10000; sorted") == false);
  CHECK(shows("rows 201-203 of 10000"));
  CHECK(selected() == "p1000");
  press('s');
  CHECK(shows("sorted within these"));
  CHECK(press(code::up).what == top::wish::kind::ask);
  CHECK(x.asks.list.after == row_id{});
  next.processes->processes.clear();
  add_many(200);
  next.processes->next = row_id{9'801};
  answer();
  CHECK(x.places.front().index == 199);
}

TEST_CASE_METHOD(top_fixture, "top: an answer to an earlier question changes the numbers alone",
                 "[app][top]") {
  add("a");
  answer();
  auto old = next;
  old.asked = x.asks;
  old.counts.by_state["running"] = 4;
  old.processes->processes.front().id = "old";
  press('v');
  CHECK(x.asks.list.state == "ready");
  top::receive(x, old, on);
  CHECK(shows("running 4"));
  CHECK(order() == std::vector<std::string>{"a"});
}

TEST_CASE_METHOD(top_fixture, "top: rates are counted, also over a prune and a lost link",
                 "[app][top]") {
  answer();
  CHECK(shows("finished -/s"));
  next.counts.by_state["success"] = 2;
  next.pruned = 15; // 10 more have ended, and 15 are gone.
  next.claims = 30;
  answer();
  CHECK(x.finished == std::deque<double>{10});
  CHECK(x.started == std::deque<double>{30});
  CHECK(x.registered == std::deque<double>{10});
  CHECK(shows("finished 10.0/s"));
  next.connection = 2;
  next.claims = 1;
  next.pruned = 0;
  answer();
  CHECK(x.finished.size() == 1);
  next.claims = 2;
  answer();
  CHECK(x.started.back() == 1);
}

TEST_CASE_METHOD(top_fixture, "top: cancel asks first", "[app][top]") {
  add("a");
  answer();
  CHECK(press('c').what == top::wish::kind::none);
  CHECK(shows("cancel a? y or n"));
  CHECK(press('n').what == top::wish::kind::none);
  CHECK(shows("left as it is"));
  press('c');
  next.processes->processes.front().id = "b"; // Another comes into its place meanwhile.
  answer();
  const auto wanted = press('y');
  CHECK(wanted.what == top::wish::kind::cancel);
  CHECK(wanted.id == "a");
}

TEST_CASE_METHOD(top_fixture, "top: what came of it is said for a few looks", "[app][top]") {
  add("a");
  answer();
  top::receive(x, std::string{"a is asked to end"});
  answer();
  CHECK(shows("a is asked to end"));
  for (int i = 0; i < 5; ++i) {
    answer();
  }
  CHECK(shows("rows 1-1"));
}

TEST_CASE_METHOD(top_fixture, "top: running again is offered where it can be", "[app][top]") {
  add("a");
  answer();
  press('r');
  CHECK(shows("a is running: there is nothing to run again"));
  auto& one = next.processes->processes.front();
  one.state = process_state::quarantined;
  answer();
  press('r');
  CHECK(shows("release a? y or n"));
  press(code::escape);
  one.state = process_state::finished;
  answer();
  press('c');
  CHECK(shows("a has its outcome already"));
  press('r');
  CHECK(shows("register anew a? y or n"));
  CHECK(press('y').what == top::wish::kind::retry);
}

TEST_CASE_METHOD(top_fixture, "top: opening a process, and back", "[app][top]") {
  add("a");
  answer();
  CHECK(press(code::enter).what == top::wish::kind::ask);
  CHECK(x.asks.opened == "a");
  next.opened.emplace();
  next.opened->process = next.processes->processes.front();
  next.opened->process.registration_json = R"({"input":{"tool":"exec"}})";
  next.opened->said = {"running", "'w1' runs it.", {{"attempt", "1"}}};
  for (event_seq i = 1; i <= 30; ++i) {
    event one;
    one.seq = i;
    one.type = "step.done";
    one.at = now;
    one.payload = R"({"n":1})";
    next.opened->events.push_back(one);
  }
  answer();
  CHECK(shows("'w1' runs it."));
  CHECK(shows(R"(input         {"tool":"exec"})"));
  CHECK(shows("   30 2027-01-15T08:00:00Z"));
  CHECK_FALSE(shows("    1 2027"));
  press(code::end);
  CHECK(shows("    1 2027"));
  press(code::up);
  CHECK_FALSE(shows("    1 2027"));
  press('c');
  CHECK(shows("cancel a? y or n"));
  press('n');
  CHECK(x.now_in == top::mode::opened);
  next.processes.reset(); // Nobody asks for them meanwhile.
  answer();
  CHECK(press(code::escape).what == top::wish::kind::ask);
  CHECK(shows("rows 1-1"));
  CHECK(x.asks.opened.empty());
  CHECK(selected() == "a");
}

TEST_CASE_METHOD(top_fixture, "top: a node that is gone or late is said to be", "[app][top]") {
  add("a");
  answer();
  x.clock_ms += 10'000;
  CHECK(shows("no answer for 10s"));
  top::receive(x, top::lost_link{"connection refused", x.clock_ms});
  x.clock_ms += 5'000;
  top::receive(x, top::lost_link{"connection refused", x.clock_ms});
  CHECK(shows("no node for 5s, trying again: connection refused"));
  CHECK(shows(" 1m30s w1 ")); // What was last known stays.
  answer();
  CHECK_FALSE(shows("no node"));
  next.nearly_full = true;
  answer();
  CHECK(shows("store NEARLY FULL"));
  next.commit_failed = true;
  next.refused = "not permitted";
  answer();
  CHECK(shows("store COMMIT FAILED"));
  CHECK(shows("not permitted"));
}

TEST_CASE_METHOD(top_fixture, "top: queues, their pauses and their processes", "[app][top]") {
  next.queues.emplace();
  for (const auto* name : {"default", "mail"}) {
    queue_view one;
    one.name = name;
    one.ready = 12;
    one.oldest_ready_at = now - 65'000;
    next.queues->queues.push_back(one);
  }
  next.queues->queues[1].limits = {true, 20, 1, 100, 1'000, 0};
  next.queues->queues[1].estimated = true;
  on.columns = 120;
  answer();
  press('p');
  CHECK(shows("no queue is selected"));
  press('2');
  answer();
  CHECK(shows("default                12"));
  CHECK(shows("mail                  ~12"));
  CHECK(shows("1m5s PAUSED 20 at once 1 per key 100/1s"));
  CHECK(shows("2 of 2 queues"));
  press('p');
  CHECK(shows("pause queue default? y or n"));
  auto wanted = press('y');
  CHECK(wanted.what == top::wish::kind::pause);
  CHECK(wanted.id == "default");
  press(code::down);
  press('p');
  CHECK(shows("resume queue mail? y or n"));
  wanted = press('y');
  CHECK(wanted.what == top::wish::kind::resume);
  CHECK(press(code::enter).what == top::wish::kind::ask);
  CHECK(x.asks.shown == top::pane::processes);
  CHECK(x.asks.list.queue == "mail");
  CHECK(shows("/queue=mail"));
}

TEST_CASE_METHOD(top_fixture, "top: panes, help and the end", "[app][top]") {
  answer();
  CHECK(press(code::tab).what == top::wish::kind::ask);
  CHECK(x.asks.shown == top::pane::queues);
  press(code::right);
  CHECK(x.asks.shown == top::pane::nodes);
  answer();
  CHECK(shows("10000/10000"));
  CHECK(shows("1 of 1 nodes"));
  press('/');
  type("nobody");
  press(code::enter);
  answer();
  CHECK(shows("0 of 1 nodes"));
  press(code::back_tab);
  press(code::left);
  CHECK(x.shown == top::pane::processes);
  press('?');
  CHECK(shows("panes:"));
  press('q'); // Any key leaves the help.
  CHECK(x.now_in == top::mode::list);
  CHECK(press('q').what == top::wish::kind::quit);
}

TEST_CASE("top: text of others is made harmless", "[app][top]") {
  std::size_t used = 0;
  CHECK(top::harmless("a\x1b[31mb\x7f\n", 80, true, false, used) == "a?[31mb? ");
  CHECK(top::harmless("\xc2\x9b\xe2\x80\xae\xff\xed\xa0\x80", 80, true, false, used)
          .find_first_not_of('?')
        == std::string::npos);
  CHECK(top::harmless("\xe6\xbc\xa2\xe5\xad\x97", 3, true, true, used) == "\xe6\xbc\xa2~");
  CHECK(used == 3);
  CHECK(top::harmless("Grüße", 80, false, false, used) == "Gr??e");
  std::string pile = "a";
  for (int i = 0; i < 50; ++i) {
    pile += "\xcc\x81";
  }
  CHECK(top::harmless(pile, 80, true, false, used).size() == 5);
  CHECK(used == 1);
  CHECK(top::harmless("abcdef", 4, true, true, used) == "abc~");
  CHECK(top::harmless("abcd", 4, true, true, used) == "abcd");
}

TEST_CASE("top: sparklines and wrapped text", "[app][top]") {
  CHECK(top::sparkline({}, 3, true) == "   ");
  CHECK(top::sparkline({0, 1, 2, 4}, 3, false) == ":=#");
  CHECK(top::sparkline({5, 5}, 4, true) == "  ██");
  CHECK(top::sparkline({0, 0}, 2, true) == "▁▁");
  CHECK(top::wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(top::wrapped("abcdefghij k", 4) == std::vector<std::string>{"abcd", "efgh", "ij k"});
  CHECK(top::wrapped("", 4).empty());
  CHECK(top::short_number(0) == "0.0");
  CHECK(top::short_number(1'234.4) == "1234");
  CHECK(top::short_number(2e6) == "2000k");
}
