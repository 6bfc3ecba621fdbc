#include "tests/simulation/simulation.hpp"

#include "tests/simulation/interpreter.hpp"

#include <algorithm>
#include <sstream>

namespace belay::simulation {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

enum class deed_kind { start, signal, cancel, kill, crash, crash_at, lose_leases, jump_wall };

/// Something that happens to the world from outside.
struct deed {
  milliseconds at{0};
  deed_kind kind = deed_kind::start;
  /// Which process, by its place in the list at that time; of a start which root.
  std::uint64_t who = 0;
  std::string name;
  std::string key;
  std::uint64_t number = 0;
  testing::crash_point where = testing::crash_point::before;
};

struct plan {
  bool calm = false;
  testing::node_options options;
  std::vector<json> roots;
  std::vector<deed> deeds;
};

std::string describe(const deed& x) {
  constexpr std::array words{"start", "signal",   "cancel",      "kill",
                             "crash", "crash_at", "lose_leases", "jump_wall"};
  auto text = std::to_string(x.at.count()) + " ms: " + words.at(static_cast<std::size_t>(x.kind));
  switch (x.kind) {
    case deed_kind::signal:
      return text + " #" + std::to_string(x.who) + " " + x.name + " " + std::to_string(x.number)
             + " key '" + x.key + "'";
    case deed_kind::crash_at:
      return text + " commit " + std::to_string(x.number)
             + (x.where == testing::crash_point::before ? " before" : " after");
    case deed_kind::jump_wall:
      return text + " " + std::to_string(static_cast<std::int64_t>(x.number)) + " ms";
    default:
      return text + " #" + std::to_string(x.who);
  }
}

std::string describe(const plan& x) {
  std::ostringstream text;
  text << (x.calm ? "calm" : "wild") << ", slots " << x.options.slots << ", park_after "
       << x.options.park_after.count() << " ms, order " << x.options.seed << '\n';
  for (std::size_t i = 0; i < x.roots.size(); ++i) {
    text << "root" << i << ": " << x.roots[i].dump() << '\n';
  }
  for (const auto& one : x.deeds) {
    text << describe(one) << '\n';
  }
  return text.str();
}

class plan_maker {
public:
  explicit plan_maker(std::uint64_t seed) : random_{seed} {}

  plan make() {
    plan x;
    x.calm = random_.percent(30);
    x.options.seed = random_.percent(80) ? 1 + random_.below(1'000'000) : 0;
    x.options.slots = 1 + static_cast<std::uint32_t>(random_.below(4));
    x.options.park_after = random_.one_of<milliseconds>({0ms, 50ms, 1s, 1min});
    program_maker programs{random_, x.calm};
    const auto roots = 1 + random_.below(3);
    for (std::size_t i = 0; i < roots; ++i) {
      x.roots.push_back(programs.root(i));
      x.deeds.push_back({when(), deed_kind::start, i});
      if (x.calm) {
        add_calm_signals(x, i);
      }
    }
    const auto count = random_.below(10);
    for (std::size_t i = 0; i < count; ++i) {
      add_deed(x);
    }
    std::stable_sort(x.deeds.begin(), x.deeds.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
    return x;
  }

private:
  milliseconds when() {
    const auto bound = random_.one_of<std::uint64_t>({1, 100, 3'000, 60'000, 7'200'000});
    return milliseconds{random_.below(bound)};
  }

  /// As many as it can take, in order, each with a key; all after it was started.
  void add_calm_signals(plan& x, std::size_t root) {
    const auto text = x.roots[root].dump();
    auto at = x.deeds.back().at;
    std::uint64_t number = 0;
    for (auto found = text.find(R"("do":"signal")"); found != std::string::npos;
         found = text.find(R"("do":"signal")", found + 1)) {
      at += when();
      ++number;
      x.deeds.push_back({at, deed_kind::signal, root, "a", "k" + std::to_string(number), number});
    }
  }

  void add_deed(plan& x) {
    deed made;
    made.at = when();
    made.who = random_.below(1'000);
    const auto dice = random_.below(100);
    if (dice < 30) {
      made.kind = deed_kind::crash_at;
      made.number = 1 + random_.below(12);
      made.where = random_.one_of({testing::crash_point::before, testing::crash_point::after});
    } else if (dice < 36) {
      made.kind = deed_kind::crash;
    } else if (dice < 46) {
      made.kind = deed_kind::lose_leases;
    } else if (dice < 52) {
      made.kind = deed_kind::jump_wall;
      made.number = static_cast<std::uint64_t>(
        random_.one_of<std::int64_t>({-3'600'000, -1'000, 1'000, 3'600'000}));
    } else if (x.calm) {
      return;
    } else if (dice < 84) {
      made.kind = deed_kind::signal;
      made.name = random_.one_of(signal_names);
      made.number = ++signals_;
      made.key = random_.percent(60) ? "k" + std::to_string(made.number) : "";
      if (!made.key.empty() && random_.percent(40)) {
        x.deeds.push_back(made);
        made.at += when();
      }
    } else {
      made.kind = dice < 95 ? deed_kind::cancel : deed_kind::kill;
    }
    x.deeds.push_back(made);
  }

  chance random_;
  std::uint64_t signals_ = 0;
};

/// Runs a plan.
class run {
public:
  explicit run(const plan& x, bool faults)
    : plan_{x}, faults_{faults}, node_{options_of(x, faults)} {
    offer(node_, seen_);
    node_.when_crashed([this] { seen_.look(); });
  }

  report go() {
    report result;
    try {
      live();
    } catch (const std::exception& x) {
      seen_.find(std::string{"thrown: "} + x.what());
    }
    result.findings = seen_.findings();
    result.commits = node_.commits();
    result.crashes = node_.crashes();
    result.processes = node_.all().size();
    if (!result.findings.empty()) {
      result.standing = standing();
    }
    return result;
  }

  void live() {
    auto passed = 0ms;
    for (const auto& one : plan_.deeds) {
      node_.advance(one.at - passed);
      passed = one.at;
      act(one);
      node_.run();
    }
    come_to_rest();
    seen_.look_at_end();
  }

  /// Where everything stands, for people.
  std::string standing() {
    constexpr std::ptrdiff_t events_shown = 14;
    std::ostringstream text;
    for (const auto& x : node_.all()) {
      text << x.id << ": " << state_word(x, node_.now()) << ", attempt " << x.attempt << '\n';
      const auto events = node_.history(x.id);
      const auto skip = std::max<std::ptrdiff_t>(std::ssize(events) - events_shown, 0);
      for (auto at = events.begin() + skip; at != events.end(); ++at) {
        text << "  " << at->seq << " " << at->at - begin_ << " ms " << at->type << " "
             << at->payload << '\n';
      }
      for (const auto& one : node_.journal(x.id)) {
        text << "    " << one.number << " " << to_string(one.kind) << " " << one.scope << ":"
             << one.name << " done " << one.done << " " << one.result << '\n';
      }
    }
    return text.str();
  }

  std::map<process_id, outcome> outcomes() {
    std::map<process_id, outcome> all;
    for (const auto& x : node_.all()) {
      all.emplace(x.id, node_.outcome_of(x.id).value_or(make_abandoned("it has not ended")));
    }
    return all;
  }

private:
  static testing::node_options options_of(const plan& x, bool faults) {
    // Without faults in another order, too.
    auto options = x.options;
    options.turns_max = 20'000;
    if (!faults) {
      options.seed = 0;
      options.slots = 64;
      options.park_after = 1s;
    }
    return options;
  }

  void act(const deed& x) {
    const auto all = node_.all();
    switch (x.kind) {
      case deed_kind::start:
        start(x.who);
        break;
      case deed_kind::signal:
        if (plan_.calm) {
          signal("root" + std::to_string(x.who), x);
        } else if (!all.empty()) {
          signal(all[x.who % all.size()].id, x);
        }
        break;
      case deed_kind::cancel:
      case deed_kind::kill:
        if (!all.empty()) {
          static_cast<void>(node_.cancel(all[x.who % all.size()].id, x.kind == deed_kind::kill));
        }
        break;
      default:
        if (faults_) {
          break_something(x);
        }
    }
  }

  void break_something(const deed& x) {
    switch (x.kind) {
      case deed_kind::crash:
        node_.crash();
        break;
      case deed_kind::crash_at:
        node_.crash_at(x.number, x.where);
        break;
      case deed_kind::lose_leases:
        seen_.leases_lost = true;
        node_.lose_leases();
        break;
      default:
        node_.jump_wall_clock(milliseconds{static_cast<std::int64_t>(x.number)});
    }
  }

  /// As a client does: until there is an answer.
  void start(std::uint64_t root) {
    const auto id = "root" + std::to_string(root);
    const auto& program = plan_.roots.at(root);
    const json input{{"type", "workflow"}, {"workflow", "play"}, {"args", program}};
    auto x = *parse_registration(json{{"id", id}, {"input", input}}, recovery_rule::rerunnable);
    x.retry.attempts = program.at("retries").get<std::uint32_t>() + 1;
    node_.start(x);
    node_.start(x);
  }

  void signal(const process_id& id, const deed& x) {
    const auto payload = json(x.number);
    auto answered = node_.signal(id, x.name, payload, x.key);
    for (int i = 0; i < 20 && !answered && answered.why().code == ec::outcome_unknown; ++i) {
      if (x.key.empty()) {
        return; // It may have come.
      }
      answered = node_.signal(id, x.name, payload, x.key);
    }
    // Tools declare none.
    const auto refused = !answered && answered.why().code != ec::already_terminal;
    if (refused && is_workflow_kind(node_.get(id).kind)) {
      seen_.find("a signal to " + id + " was refused: " + answered.why().text);
    }
  }

  [[nodiscard]] std::vector<process_view> open() const {
    std::vector<process_view> all;
    for (const auto& x : node_.all()) {
      if (x.state != process_state::finished) {
        all.push_back(node_.get(x.id));
      }
    }
    return all;
  }

  void come_to_rest() {
    constexpr int patience = 12;
    constexpr int rounds_max = 40;
    for (int i = 0; i < rounds_max; ++i) {
      node_.advance(i < 2 ? milliseconds{2min} : i < 5 ? milliseconds{2h} : milliseconds{50h});
      seen_.look_at_rest();
      const auto left = open();
      if (left.empty()) {
        return;
      }
      if (plan_.calm) {
        continue; // Nobody helps.
      }
      for (const auto& x : left) {
        if (i < patience) {
          release(x);
        } else {
          static_cast<void>(node_.cancel(x.id, i > patience + 6));
        }
      }
      node_.run();
    }
  }

  void release(const process_view& x) {
    auto conditions = x.waiting.also;
    conditions.push_back(x.waiting.until);
    for (const auto& one : conditions) {
      if (one.kind == wait_kind::signal) {
        static_cast<void>(node_.signal(x.id, one.name, ++released_ + 1'000));
        return;
      }
    }
  }

  const plan& plan_;
  bool faults_;
  world seen_;
  testing::node node_;
  std::uint64_t released_ = 0;
  timestamp_ms begin_ = node_.now();
};

/// What is free of races ends the same, whatever breaks on the way.
void compare(const std::map<process_id, outcome>& expected,
             const std::map<process_id, outcome>& got, report& result) {
  for (const auto& [id, x] : expected) {
    const auto found = got.find(id);
    if (found == got.end() || found->second != x) {
      result.findings.push_back(
        id + " ended " + (found == got.end() ? "never" : to_json_value(found->second).dump())
        + " with faults and " + to_json_value(x).dump() + " without");
    }
  }
  if (expected.size() != got.size()) {
    result.findings.push_back("with faults there are " + std::to_string(got.size())
                              + " processes, without " + std::to_string(expected.size()));
  }
}

} // namespace

std::string plan_of(std::uint64_t seed) {
  return describe(plan_maker{seed}.make());
}

report simulate(std::uint64_t seed) {
  const auto made = plan_maker{seed}.make();
  run wild{made, true};
  auto result = wild.go();
  if (made.calm && result.findings.empty()) {
    run calm{made, false};
    auto undisturbed = calm.go();
    if (!undisturbed.findings.empty()) {
      return undisturbed;
    }
    compare(calm.outcomes(), wild.outcomes(), result);
  }
  return result;
}

} // namespace belay::simulation
