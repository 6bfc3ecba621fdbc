#include "tests/simulation/program.hpp"

namespace belay::simulation {

namespace {

constexpr std::size_t depth_max = 3;
constexpr std::size_t sites_max = 14;
constexpr std::uint64_t always = 1'000;

/// Sets a flag for the length of a scope.
class while_set {
public:
  while_set(bool& flag, bool value) : flag_{flag}, before_{flag} {
    flag_ = flag_ || value;
  }
  ~while_set() {
    flag_ = before_;
  }
  while_set(const while_set&) = delete;
  while_set& operator=(const while_set&) = delete;

private:
  bool& flag_;
  bool before_;
};

} // namespace

json program_maker::root(std::size_t number) {
  root_ = number;
  sites_ = 0;
  return whole(true);
}

json program_maker::whole(bool is_root) {
  const auto retried = random_.percent(is_root ? 25 : 10);
  auto body = block(is_root ? 2 + random_.below(5) : 1 + random_.below(3));
  if (retried) {
    auto fails = site("throw");
    fails["until"] = 1 + random_.below(2);
    const auto where = random_.below(body.size() + 1);
    body.insert(body.begin() + static_cast<std::ptrdiff_t>(where), std::move(fails));
  }
  return {{"retries", retried ? 2 : 0}, {"block", std::move(body)}};
}

json program_maker::site(const char* what) {
  return {{"do", what}, {"at", "s" + std::to_string(++sites_)}};
}

json program_maker::block(std::size_t length) {
  auto statements = json::array();
  for (std::size_t i = 0; i < length; ++i) {
    statements.push_back(statement());
  }
  return statements;
}

json program_maker::statement() {
  const auto small = depth_ >= depth_max || sites_ >= sites_max || undoing_;
  if (small || random_.percent(60)) {
    return leaf();
  }
  ++depth_;
  json made;
  switch (random_.below(6)) {
    case 0:
      made = workflow_child();
      break;
    case 1:
      made = children();
      break;
    case 2:
      made = guarded();
      break;
    case 3:
      made = with_undo();
      break;
    default:
      made = branches();
  }
  --depth_;
  return made;
}

json program_maker::leaf() {
  const auto dice = random_.below(100);
  if (dice < 22) {
    auto made = site("step");
    made["throws"] = !safe_ && !undoing_ && random_.percent(7);
    return made;
  }
  if (dice < 38) {
    return call();
  }
  if (dice < 48 && !undoing_) {
    return tool_child();
  }
  if (dice < 70) {
    return wait();
  }
  // Whether the other root is registered yet depends on the time: nothing for a calm program.
  if (dice < 73 && root_ > 0 && !safe_ && !undoing_ && !calm_) {
    auto made = site("attach_to");
    made["root"] = random_.below(root_);
    return made;
  }
  if (dice < 76 && !safe_ && !undoing_) {
    auto made = site("throw");
    made["kind"] = random_.one_of({"failure", "exception"});
    return made;
  }
  return site(random_.one_of({"emit", "status", "attach", "random", "now"}));
}

json program_maker::call() {
  auto made = site("call");
  made["attempts"] = 1 + random_.below(3);
  made["backoff"] = undoing_ ? 10 : pause();
  made["fails"] = random_.below(made["attempts"].get<std::uint64_t>());
  if (!safe_ && !undoing_ && random_.percent(12)) {
    made["fails"] = always;
  }
  made["broken"] = !safe_ && !undoing_ && random_.percent(5);
  return made;
}

std::string program_maker::close(bool awaited) {
  // One that is not awaited may or may not have ended when its parent has.
  return !calm_ || awaited ? random_.one_of({"cancel", "abandon", "await"})
                           : random_.one_of({"abandon", "await"});
}

json program_maker::tool_child() {
  auto made = call();
  made["do"] = "child";
  made["await"] = random_.percent(70);
  made["close"] = close(made["await"]);
  return made;
}

json program_maker::workflow_child() {
  auto made = site("child");
  made["await"] = random_.percent(70);
  made["close"] = close(made["await"]);
  const while_set child{in_child_, true};
  const while_set safe{safe_, joined_ && calm_ && made["await"]};
  made["program"] = whole(false);
  return made;
}

json program_maker::children() {
  auto made = site("children");
  made["any"] = !calm_ && random_.percent(40);
  made["each"] = json::array();
  const while_set joined{joined_, true};
  const while_set safe{safe_, calm_};
  const auto count = 1 + random_.below(3);
  for (std::size_t i = 0; i < count; ++i) {
    auto one = depth_ < depth_max && random_.percent(40) ? workflow_child() : tool_child();
    one["await"] = false;
    one["close"] = close(true);
    made["each"].push_back(std::move(one));
  }
  return made;
}

json program_maker::branches() {
  if (!calm_ && random_.percent(20)) {
    auto made = site("race");
    made["signal"] = random_.one_of(signal_names);
    made["ms"] = pause();
    return made;
  }
  auto made = site("branches");
  made["any"] = !calm_ && random_.percent(50);
  made["each"] = json::array();
  const while_set joined{joined_, true};
  const while_set safe{safe_, calm_};
  const auto count = 1 + random_.below(3);
  for (std::size_t i = 0; i < count; ++i) {
    made["each"].push_back(block(1 + random_.below(2)));
  }
  return made;
}

json program_maker::guarded() {
  auto made = site("catch");
  // What is caught may fail, wherever it stands.
  const auto before = safe_;
  safe_ = safe_ && joined_;
  made["block"] = block(1 + random_.below(3));
  safe_ = before;
  return made;
}

json program_maker::with_undo() {
  auto made = site("try");
  made["block"] = block(1 + random_.below(3));
  const while_set undoing{undoing_, true};
  made["undo"] = block(1 + random_.below(2));
  return made;
}

json program_maker::wait() {
  const auto may_wait = !undoing_ && !(calm_ && (joined_ || in_child_));
  if (may_wait && random_.percent(55)) {
    auto made = site("signal");
    made["signal"] = calm_ ? "a" : random_.one_of(signal_names);
    made["ms"] = !calm_ && random_.percent(50) ? pause() : 0;
    return made;
  }
  auto made = site("sleep");
  made["ms"] = undoing_ ? 1 + static_cast<std::int64_t>(random_.below(500)) : pause();
  return made;
}

std::int64_t program_maker::pause() {
  return random_.one_of<std::int64_t>(
    {1, 20, 100, 500, 900, 1'000, 1'500, 5'000, 20'000, 90'000, 3'600'000, 86'400'000});
}

} // namespace belay::simulation
