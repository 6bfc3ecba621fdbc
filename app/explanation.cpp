#include "app/explanation.hpp"

#include "app/output.hpp"
#include "messages/did_you_mean.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

/// Of a long list this many are named.
constexpr std::size_t named_max = 5;

std::string at(timestamp_ms when, timestamp_ms now) {
  return format_time(when)
         + (when > now ? " (in " + age(when, now) + ")" : " (" + age(when, now) + " ago)");
}

std::string owner_text(const owner& who) {
  return who.name + "#" + std::to_string(who.incarnation);
}

std::string load_of(const node_info& x) {
  return x.name + " " + std::to_string(x.busy) + "/" + std::to_string(x.slots)
         + (x.state == "connected" ? "" : " " + x.state);
}

bool offers(const node_info& x, const std::string& kind) {
  return x.slots > 0 && std::find(x.kinds.begin(), x.kinds.end(), kind) != x.kinds.end();
}

bool serves(const node_info& x, const std::string& queue) {
  return x.queues.empty() || std::find(x.queues.begin(), x.queues.end(), queue) != x.queues.end();
}

/// Adds the workers of a list, the first few by name.
void name_workers(explanation& to, const std::string& fact,
                  const std::vector<const node_info*>& workers) {
  std::string text;
  for (std::size_t i = 0; i < workers.size() && i < named_max; ++i) {
    text += (i == 0 ? "" : ", ") + load_of(*workers[i]);
  }
  if (workers.size() > named_max) {
    text += " and " + std::to_string(workers.size() - named_max) + " more";
  }
  if (!text.empty()) {
    to.facts.emplace_back(fact, text);
  }
}

std::vector<std::string> kinds_offered(const std::vector<node_info>& nodes) {
  std::vector<std::string> all;
  for (const auto& x : nodes) {
    if (x.slots > 0) {
      all.insert(all.end(), x.kinds.begin(), x.kinds.end());
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

explanation explain_finished(const known_facts& x) {
  const auto& p = x.process;
  explanation result{"finished",
                     "It has its outcome: " + state_word(p, x.now) + ", since "
                       + at(p.finished_at, x.now) + ".",
                     {}};
  const auto outcome = nlohmann::json::parse(p.outcome_json, nullptr, false);
  if (outcome.is_object() && outcome.contains("message")) {
    result.facts.emplace_back("message", outcome["message"].dump());
  }
  return result;
}

explanation explain_delayed(const known_facts& x) {
  const auto& p = x.process;
  explanation result{"delayed", "It is not due before " + at(p.due_at, x.now) + ".", {}};
  if (p.failures > 0) {
    result.sentence = "It failed and is tried again at " + at(p.due_at, x.now) + ".";
    result.facts.emplace_back("failures", std::to_string(p.failures));
  }
  return result;
}

explanation no_worker(const known_facts& x) {
  const auto& kind = x.process.kind;
  const auto offered = kinds_offered(x.nodes);
  explanation result{"no_worker", "No connected worker offers '" + kind + "'.", {}};
  if (offered.empty()) {
    result.sentence = "No worker is connected.";
    return result;
  }
  std::string versions;
  const auto name = kind.substr(0, kind.find('@'));
  for (const auto& one : offered) {
    if (one.substr(0, one.find('@')) == name) {
      versions += (versions.empty() ? "" : ", ") + one;
    }
  }
  if (!versions.empty()) {
    result.facts.emplace_back("other versions", versions);
  } else if (const auto near = did_you_mean(kind, offered)) {
    result.facts.emplace_back("nearest", *near);
  }
  return result;
}

/// Names some that run.
void name_running(explanation& to, const known_facts& x, const char* fact) {
  std::string by;
  std::size_t count = 0;
  for (const auto& one : x.running) {
    if (count++ < named_max) {
      by += (by.empty() ? "" : ", ") + one.id + " on " + one.holder.name;
    }
  }
  if (!by.empty()) {
    to.facts.emplace_back(fact, by + (count > named_max ? ", ..." : ""));
  }
}

/// What its queue has against it, if anything.
std::optional<explanation> explain_queue(const known_facts& x) {
  if (!x.queue) {
    return std::nullopt;
  }
  const auto& queue = *x.queue;
  const auto& limits = queue.limits;
  const auto command = "belay queue limit " + queue.name;
  if (limits.paused) {
    return explanation{"queue_paused",
                       "Its queue '" + queue.name + "' is paused.",
                       {{"to go on", "belay queue resume " + queue.name}}};
  }
  if (limits.concurrency_max != 0 && queue.running >= limits.concurrency_max) {
    explanation result{"queue_full",
                       "Its queue '" + queue.name + "' lets "
                         + std::to_string(limits.concurrency_max) + " run at once, and "
                         + std::to_string(queue.running) + " do.",
                       {}};
    name_running(result, x, "running");
    result.facts.emplace_back("the bound", command + " --concurrency N");
    return result;
  }
  if (x.process.blocked) {
    return explanation{"key_full",
                       "As many of queue '" + queue.name + "' run with the concurrency key '"
                         + x.process.concurrency_key
                         + "' as may: " + std::to_string(limits.per_key_max) + ".",
                       {{"the bound", command + " --per-key N"}}};
  }
  if (queue.next_claim_at > x.now) {
    return explanation{
      "rate_limited",
      "Its queue '" + queue.name + "' is worked off at " + std::to_string(limits.rate) + " in "
        + format_duration(limits.rate_period_ms) + "; the next is claimed at "
        + at(queue.next_claim_at, x.now) + ".",
      {{"due in it", std::to_string(queue.ready)}, {"the bound", command + " --rate N/PERIOD"}}};
  }
  return std::nullopt;
}

explanation explain_ready(const known_facts& x) {
  const auto& p = x.process;
  std::vector<const node_info*> able;
  std::vector<const node_info*> others;
  for (const auto& one : x.nodes) {
    if (offers(one, p.kind)) {
      (serves(one, p.queue) ? able : others).push_back(&one);
    }
  }
  if (x.commit_failed) {
    return {"store_full",
            "The registry cannot write: its disk or its store is full, so nothing is claimed.",
            {}};
  }
  if (auto queue = explain_queue(x)) {
    return std::move(*queue);
  }
  if (able.empty() && others.empty()) {
    return no_worker(x);
  }
  if (able.empty()) {
    explanation result{"no_queue",
                       "The workers that offer '" + p.kind + "' do not take from queue '" + p.queue
                         + "'.",
                       {}};
    name_workers(result, "they are", others);
    return result;
  }
  const auto claims = [](const node_info* one) { return one->state == "connected"; };
  if (std::none_of(able.begin(), able.end(), claims)) {
    explanation result{"draining",
                       "No worker that offers '" + p.kind
                         + "' claims: they drain or do not answer.",
                       {}};
    name_workers(result, "workers", able);
    return result;
  }
  const auto has_room = [&](const node_info* one) { return claims(one) && one->busy < one->slots; };
  if (std::none_of(able.begin(), able.end(), has_room)) {
    explanation result{
      "slots_full", "All slots of the workers that offer '" + p.kind + "' are taken.", {}};
    name_workers(result, "workers", able);
    name_running(result, x, "taken by");
    return result;
  }
  explanation result{
    "about_to_start", "It is ready, and a worker has room: it is about to start.", {}};
  name_workers(result, "workers", able);
  return result;
}

explanation explain_running(const known_facts& x) {
  const auto& p = x.process;
  const auto found = std::find_if(x.nodes.begin(), x.nodes.end(),
                                  [&p](const node_info& one) { return one.name == p.holder.name; });
  const auto lease = at(p.lease_expires_at, x.now);
  explanation result;
  if (found == x.nodes.end() || found->state == "silent") {
    result
      = {"owner_silent",
         "'" + p.holder.name + "' holds it and "
           + (found == x.nodes.end() ? "is not connected" : "does not answer")
           + ": once the registry gives that worker up, at the latest at the end of its lease, "
           + lease + ", another may have it.",
         {}};
  } else if (!x.waits.empty()) {
    result = {"waits_in_memory",
              "It waits for " + x.waits.front()
                + (x.waits.size() > 1 ? " and " + std::to_string(x.waits.size() - 1) + " more" : "")
                + ", still in the memory of '" + p.holder.name + "'.",
              {}};
    for (const auto& one : x.waits) {
      result.facts.emplace_back("waits for", one);
    }
  } else {
    result
      = {"running",
         "'" + p.holder.name + "' runs it; its lease is good until " + lease + " and is renewed.",
         {}};
  }
  result.facts.emplace_back("attempt", std::to_string(p.attempt));
  if (p.kill_requested || p.cancel_requested) {
    result.facts.emplace_back("asked to end", p.kill_requested ? "kill" : "cancel");
  }
  return result;
}

std::string condition_text(const wait_condition& x, timestamp_ms now) {
  switch (x.kind) {
    case wait_kind::signal:
      return "signal '" + x.name + "' (number " + std::to_string(x.ordinal) + ")";
    case wait_kind::timer:
      return "the time " + at(x.deadline, now);
    case wait_kind::child:
      return "the outcome of '" + x.name + "'";
    default:
      return to_string(x.kind);
  }
}

explanation explain_waiting(const known_facts& x) {
  const auto& w = x.process.waiting;
  const auto since = ", since " + at(w.since, x.now) + ".";
  explanation result;
  switch (w.until.kind) {
    case wait_kind::signal:
      result.why = "waits_for_signal";
      break;
    case wait_kind::timer:
      result.why = "waits_for_timer";
      break;
    case wait_kind::closing:
      result.why = "waits_for_children";
      result.sentence = "Its own outcome is known; it is held back until its children end" + since;
      break;
    default:
      result.why = "waits_for_process";
      break;
  }
  if (result.sentence.empty()) {
    result.sentence = "It waits for " + condition_text(w.until, x.now)
                      + (w.also.empty() ? "" : " and others") + since;
  }
  if (w.until.deadline != 0 && w.until.kind != wait_kind::timer) {
    result.facts.emplace_back("until at the latest", at(w.until.deadline, x.now));
  }
  for (std::size_t i = 0; i < w.also.size() && i < named_max; ++i) {
    result.facts.emplace_back("also", condition_text(w.also[i], x.now));
  }
  for (std::size_t i = 0; i < x.awaited.size() && i < named_max; ++i) {
    result.facts.emplace_back("process " + x.awaited[i].id, state_word(x.awaited[i], x.now));
  }
  if (w.until.kind == wait_kind::signal) {
    result.facts.emplace_back("to go on", "belay signal " + x.process.id + " " + w.until.name);
  }
  return result;
}

explanation explain_quarantined(const known_facts& x) {
  const auto times = x.process.interruptions;
  explanation result{"quarantined",
                     "Its owner was lost " + std::to_string(times)
                       + (times == 1 ? " time" : " times")
                       + ", so it is not run again until somebody decides.",
                     {}};
  auto may_be_released = true;
  for (const auto& one : x.history) {
    const auto said = nlohmann::json::parse(one.payload, nullptr, false);
    if (one.type == event_types::interrupted && said.is_object()) {
      result.facts.emplace_back("interrupted", format_time(one.at) + " on "
                                                 + said.value("owner", std::string{}) + ": "
                                                 + said.value("reason", std::string{}));
    } else if (one.type == event_types::quarantined && said.is_object()) {
      if (said.contains("reason")) {
        result.facts.emplace_back("reason", said.value("reason", std::string{}));
      }
      may_be_released = said.value("rule", std::string{}) != to_string(recovery_rule::owner_bound);
    }
  }
  if (may_be_released) {
    result.facts.emplace_back("to go on", "belay release " + x.process.id + ", or cancel it");
  } else {
    result.sentence = "Its owner was lost, and it is owner-bound: nobody else may run it.";
    result.facts.emplace_back("to go on",
                              "belay abandon " + x.process.id + " --reason R, or cancel it");
  }
  return result;
}

} // namespace

explanation explain(const known_facts& x) {
  const auto& p = x.process;
  explanation result;
  switch (p.state) {
    case process_state::finished:
      return explain_finished(x);
    case process_state::ready:
      result = p.due_at > x.now ? explain_delayed(x) : explain_ready(x);
      break;
    case process_state::running:
      result = explain_running(x);
      break;
    case process_state::waiting:
      result = explain_waiting(x);
      break;
    case process_state::quarantined:
      result = explain_quarantined(x);
      break;
    case process_state::external:
      result = {"external",
                "It is completed from outside: nobody of ours runs it.",
                {{"to end it", "belay complete " + p.id + " --outcome FILE"}}};
      break;
  }
  if (p.interruptions > 0 && p.state != process_state::quarantined) {
    result.facts.emplace_back("interruptions", std::to_string(p.interruptions));
  }
  if (x.nearly_full && result.why != "store_full") {
    result.facts.emplace_back("store", "nearly full: new processes are refused");
  }
  if (!p.holder.name.empty()) {
    result.facts.emplace_back("owner", owner_text(p.holder));
  }
  return result;
}

} // namespace belay::app
