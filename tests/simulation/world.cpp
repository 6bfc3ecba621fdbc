#include "tests/simulation/world.hpp"

#include "messages/event.hpp"

#include <set>

namespace belay::simulation {

namespace {

bool is_terminal(const std::string& type) {
  return type == event_types::completed || type == event_types::failed
         || type == event_types::cancelled || type == event_types::abandoned;
}

bool is_settled(const journal_entry& x) {
  return x.done != 0 || x.kind == effect_kind::start || x.kind == effect_kind::emit
         || x.kind == effect_kind::now || x.kind == effect_kind::patch
         || x.kind == effect_kind::attach;
}

std::string text_of(const journal_entry& x) {
  return to_string(x.kind) + " " + x.scope + ":" + x.name + " done " + std::to_string(x.done) + " "
         + x.result;
}

} // namespace

void world::watch(testing::node& node) {
  node_ = &node;
}

void world::find(const std::string& what) {
  findings_.push_back(what);
}

std::string world::key_of(const process_id& id, std::uint32_t run, const std::string& site) {
  return id + " run " + std::to_string(run) + (site.empty() ? "" : " at " + site);
}

// -- what the code tells --------------------------------------------------------------------------

run_context world::begins(const process_id& id) {
  return {0, ++engines_[id], 0};
}

std::uint32_t world::failures_of(const process_id& id) const {
  return node_->get(id).failures;
}

void world::must_hold(const process_id& id, const std::string& site) {
  if (node_->get(id).state != process_state::running) {
    find(id + " at " + site + " acts without a lease");
  }
}

void world::must_be_open(const process_id& id, effect_kind kind, const std::string& site) {
  must_hold(id, site);
  for (const auto& x : node_->journal(id)) {
    if (x.kind == kind && x.name == site && x.done != 0) {
      find(id + ": " + to_string(kind) + " " + site + " acts though its end is in the journal");
    }
  }
}

std::uint64_t world::acts(const process_id& id, const run_context& run, const std::string& site) {
  const auto stale = run.engine != engines_[id];
  if (stale && !leases_lost) {
    find(id + " at " + site + ": two engines run one process");
  }
  if (!leases_lost) {
    must_be_open(id, effect_kind::step, site);
  } else if (!stale && node_->get(id).state == process_state::running) {
    must_be_open(id, effect_kind::step, site);
  }
  return ++counts_[key_of(id, run.run, site)];
}

std::uint64_t world::is_called(const process_id& id, std::uint32_t run, const std::string& site) {
  if (!leases_lost) {
    must_be_open(id, effect_kind::call, site);
  }
  return ++counts_[key_of(id, run, site)];
}

std::uint64_t world::works(const process_id& id) {
  if (!leases_lost) {
    must_hold(id, "its tool");
  }
  return ++counts_[id];
}

void world::saw(const process_id& id, run_context& run, const std::string& what) {
  auto& all = seen_[key_of(id, run.run)];
  if (run.position == all.size()) {
    all.push_back(what);
  } else if (all[run.position] != what) {
    find(key_of(id, run.run) + ": sees " + what + " where it saw " + all[run.position] + " before");
  }
  ++run.position;
}

// -- checks ---------------------------------------------------------------------------------------

void world::look() {
  for (const auto& x : node_->check()) {
    find("store: " + x);
  }
  for (const auto& x : node_->all()) {
    look_at(node_->get(x.id));
  }
  look_at_children();
}

void world::look_at(const process_view& x) {
  auto& known = outcomes_[x.id];
  if (!known.empty() && known != x.outcome_json) {
    find(x.id + ": its outcome was " + known + " and is " + x.outcome_json);
  }
  known = x.outcome_json;
  look_at_journal(x);
  look_at_events(x);
  look_at_signals(x);
}

void world::look_at_journal(const process_view& x) {
  auto now = node_->journal(x.id);
  auto& before = journals_[key_of(x.id, x.failures)];
  if (now.size() < before.size()) {
    find(x.id + ": its journal has become shorter");
  }
  for (std::size_t i = 0; i < std::min(now.size(), before.size()); ++i) {
    if (is_settled(before[i]) && before[i] != now[i]) {
      find(x.id + ": the journal had " + text_of(before[i]) + " and has " + text_of(now[i]));
    }
  }
  std::set<std::string> places;
  std::set<std::uint64_t> ends;
  for (const auto& one : now) {
    if (!places.insert(to_string(one.kind) + one.scope + one.name + std::to_string(one.ordinal))
           .second) {
      find(x.id + ": twice in the journal: " + text_of(one));
    }
    if (one.done != 0 && !ends.insert(one.done).second) {
      find(x.id + ": two ends in one place: " + text_of(one));
    }
  }
  before = std::move(now);
}

void world::look_at_events(const process_view& x) {
  std::size_t ends = 0;
  std::map<std::string, std::size_t> keys;
  std::map<std::string, std::size_t> emits;
  event_seq seq = 0;
  for (const auto& one : node_->history(x.id)) {
    if (one.seq != ++seq) {
      find(x.id + ": event " + std::to_string(seq) + " is missing");
    }
    ends += is_terminal(one.type) ? 1 : 0;
    if (!one.key.empty() && ++keys[one.key] > 1) {
      find(x.id + ": two events of the key " + one.key);
    }
    if (one.type.rfind("said.", 0) == 0 && ++emits[one.type] > x.failures + 1) {
      find(x.id + ": " + one.type + " emitted more often than it was run");
    }
  }
  if (ends != (x.outcome_json.empty() ? 0U : 1U)) {
    find(x.id + ": " + std::to_string(ends) + " terminal events");
  }
}

void world::look_at_signals(const process_view& x) {
  std::map<std::string, std::vector<event_seq>> came;
  std::map<event_seq, std::string> payloads;
  for (const auto& one : node_->history(x.id)) {
    if (one.type.rfind(event_types::signal_prefix, 0) == 0) {
      came[one.type.substr(std::string_view{event_types::signal_prefix}.size())].push_back(one.seq);
      payloads[one.seq] = one.payload;
    }
  }
  std::map<std::string, std::set<event_seq>> taken;
  for (const auto& one : node_->journal(x.id)) {
    if (one.kind != effect_kind::signal || one.done == 0) {
      continue;
    }
    const auto result = json::parse(one.result);
    if (!result.is_object() || !result.contains("seq")) {
      continue;
    }
    const auto seq = result["seq"].get<event_seq>();
    if (payloads[seq] != result["payload"].dump()) {
      find(x.id + ": " + text_of(one) + " is not what was sent");
    }
    // A wait that lost a race gives back what it was given: the next one takes it.
    taken[one.name].insert(seq);
  }
  for (const auto& [name, seqs] : taken) {
    std::size_t place = 0;
    for (const auto seq : seqs) {
      if (place >= came[name].size() || came[name][place++] != seq) {
        find(x.id + ": a signal " + name + " was left out before " + std::to_string(seq));
        break;
      }
    }
  }
}

void world::look_at_children() {
  std::map<std::string, process_id> places;
  for (const auto& x : node_->all()) {
    const auto slash = x.id.rfind('/');
    if (slash == std::string::npos) {
      continue;
    }
    // Sites are never asked twice, so that every derived id is the first of its name.
    if (!x.id.ends_with(".1")) {
      find(x.id + " was started by a second run of its place");
    }
  }
}

bool world::is_over(const process_view& x, const wait_condition& until) const {
  if (until.deadline != 0 && until.deadline <= node_->now()) {
    return true;
  }
  if (until.kind == wait_kind::child) {
    return node_->get(until.name).state == process_state::finished;
  }
  if (until.kind != wait_kind::signal) {
    return false;
  }
  std::uint64_t came = 0;
  for (const auto& one : node_->history(x.id)) {
    came += one.type == event_types::signal_prefix + until.name ? 1 : 0;
  }
  return came >= until.ordinal;
}

void world::look_at_rest() {
  for (const auto& brief : node_->all()) {
    const auto x = node_->get(brief.id);
    if (x.state == process_state::ready && x.due_at <= node_->now()) {
      find(x.id + " is ready and not run");
    }
    if (x.state != process_state::waiting) {
      continue;
    }
    auto conditions = x.waiting.also;
    conditions.push_back(x.waiting.until);
    const auto all = x.waiting.until.kind == wait_kind::child && conditions.size() > 1
                     && std::all_of(conditions.begin(), conditions.end(),
                                    [](const auto& c) { return c.kind == wait_kind::child; });
    const auto over = [&](const auto& c) { return is_over(x, c); };
    // Of several children it may need all: then any one that has ended says nothing.
    const auto due = all ? std::all_of(conditions.begin(), conditions.end(), over)
                         : std::any_of(conditions.begin(), conditions.end(), over);
    if (due) {
      find(x.id + " waits for what has happened: " + to_string(x.waiting.until.kind) + " "
           + x.waiting.until.name);
    }
  }
}

void world::look_at_cancel(const process_view& x) {
  const auto& seen = seen_[key_of(x.id, x.failures)];
  std::map<std::string, int> undos;
  for (const auto& what : seen) {
    const auto site = what.substr(0, what.find(' '));
    if (what.find(" to be undone") != std::string::npos) {
      ++undos[site];
    } else if (what.find(" is undone") != std::string::npos) {
      --undos[site];
    }
  }
  for (const auto& [site, open] : undos) {
    if (open != 0 && !x.kill_requested) {
      find(x.id + ": " + site + " was not undone; it ended " + x.outcome_json);
    }
  }
}

void world::look_at_end() {
  look();
  for (const auto& brief : node_->all()) {
    const auto x = node_->get(brief.id);
    if (x.outcome_json.empty()) {
      find(x.id + " has not ended");
    }
    if (x.outcome_json.find("journal_mismatch") != std::string::npos
        || x.outcome_json.find("journal_refused") != std::string::npos) {
      find(x.id + " ended " + x.outcome_json);
    }
    look_at_cancel(x);
  }
}

} // namespace belay::simulation
