// The sentence for every state in which a process can be.
#include "app/explanation.hpp"

#include <catch2/catch.hpp>

using namespace belay;

namespace {

constexpr timestamp_ms explained_at = 1'800'000'000'000;

struct facts_fixture : app::known_facts {
  facts_fixture() {
    known_facts::now = explained_at;
    process.id = "a";
    process.kind = "resize@2";
    process.queue = "default";
    process.due_at = explained_at - 1'000;
  }

  node_info& add_worker(const std::string& name, std::uint32_t slots, std::uint32_t busy) {
    node_info x;
    x.name = name;
    x.role = "worker";
    x.state = "connected";
    x.kinds = {"exec", "resize@2"};
    x.slots = slots;
    x.busy = busy;
    nodes.push_back(x);
    return nodes.back();
  }

  void says(const std::string& why, const std::string& part) const {
    const auto got = app::explain(*this);
    CAPTURE(got.sentence);
    CHECK(got.why == why);
    CHECK(got.sentence.find(part) != std::string::npos);
  }

  [[nodiscard]] std::string fact(const std::string& name) const {
    for (const auto& [key, value] : app::explain(*this).facts) {
      if (key == name) {
        return value;
      }
    }
    return "";
  }
};

} // namespace

TEST_CASE_METHOD(facts_fixture, "explain: ready, and nobody offers it", "[app][explain]") {
  says("no_worker", "No worker is connected.");
  add_worker("w1", 4, 0).kinds = {"resize@1", "exec"};
  says("no_worker", "No connected worker offers 'resize@2'.");
  CHECK(fact("other versions") == "resize@1");
  nodes.back().kinds = {"resise@2"};
  CHECK(fact("nearest") == "resise@2");
  nodes.back().kinds = {"resize@2"};
  nodes.back().queues = {"nightly"};
  says("no_queue", "do not take from queue 'default'");
  CHECK(fact("they are") == "w1 0/4");
  nodes.back().slots = 0; // A registry that works not itself.
  says("no_worker", "No worker is connected.");
}

TEST_CASE_METHOD(facts_fixture, "explain: ready, and its queue has something against it",
                 "[app][explain]") {
  add_worker("w1", 4, 0);
  queue.emplace();
  queue->name = "default";
  says("about_to_start", "it is about to start");
  queue->limits.concurrency_max = 2;
  queue->running = 2;
  process_view other;
  other.id = "b";
  other.holder = {"w1", 1};
  running = {other};
  says("queue_full", "Its queue 'default' lets 2 run at once, and 2 do.");
  CHECK(fact("running") == "b on w1");
  queue->running = 1;
  queue->limits.per_key_max = 1;
  process.concurrency_key = "joe";
  process.blocked = true;
  says("key_full", "run with the concurrency key 'joe' as may: 1.");
  process.blocked = false;
  queue->limits.rate = 5;
  queue->next_claim_at = explained_at + 10'000;
  says("rate_limited", "is worked off at 5 in 1s; the next is claimed at ");
  queue->next_claim_at = explained_at - 1;
  says("about_to_start", "it is about to start");
  queue->limits.paused = true;
  says("queue_paused", "Its queue 'default' is paused.");
  CHECK(fact("to go on") == "belay queue resume default");
}

TEST_CASE_METHOD(facts_fixture, "explain: ready, and no slot is free", "[app][explain]") {
  add_worker("w1", 4, 4);
  add_worker("w2", 2, 2);
  process_view other;
  other.id = "b";
  other.holder = {"w1", 1};
  running.push_back(other);
  says("slots_full", "All slots of the workers that offer 'resize@2' are taken.");
  CHECK(fact("workers") == "w1 4/4, w2 2/2");
  CHECK(fact("taken by") == "b on w1");
  nodes[1].busy = 1;
  says("about_to_start", "a worker has room");
  nodes[0].state = "draining";
  nodes[1].state = "silent";
  says("draining", "they drain or do not answer");
  nodes[1].state = "connected";
  commit_failed = true;
  says("store_full", "its disk or its store is full");
}

TEST_CASE_METHOD(facts_fixture, "explain: delayed, by its registration or after a failure",
                 "[app][explain]") {
  process.due_at = explained_at + 90'000;
  says("delayed", "It is not due before 2027-01-15T08:01:30Z (in 1m30s).");
  process.failures = 2;
  says("delayed", "It failed and is tried again at");
  CHECK(fact("failures") == "2");
  nearly_full = true;
  CHECK(fact("store") == "nearly full: new processes are refused");
}

TEST_CASE_METHOD(facts_fixture, "explain: running, by a worker that answers or not",
                 "[app][explain]") {
  process.state = process_state::running;
  process.holder = {"w1", 3};
  process.attempt = 2;
  process.lease_expires_at = explained_at + 20'000;
  says("owner_silent",
       "'w1' holds it and is not connected: once the registry gives that worker up");
  add_worker("w1", 4, 1);
  says("running", "'w1' runs it; its lease is good until 2027-01-15T08:00:20Z (in 20s)");
  CHECK(fact("attempt") == "2");
  CHECK(fact("owner") == "w1#3");
  waits = {"child 'a/1'", "signal 'go'"};
  says("waits_in_memory", "It waits for child 'a/1' and 1 more, still in the memory of 'w1'.");
  CHECK(fact("waits for") == "child 'a/1'");
  waits.clear();
  process.cancel_requested = true;
  CHECK(fact("asked to end") == "cancel");
  nodes.back().state = "silent";
  says("owner_silent", "and does not answer");
}

TEST_CASE_METHOD(facts_fixture, "explain: waiting, for whatever it is", "[app][explain]") {
  process.state = process_state::waiting;
  process.waiting.since = explained_at - 60'000;
  auto& until = process.waiting.until;
  until = {wait_kind::signal, "approved", 1, explained_at + 3'600'000};
  says("waits_for_signal", "It waits for signal 'approved' (number 1), since");
  CHECK(fact("until at the latest") == "2027-01-15T09:00:00Z (in 1h)");
  CHECK(fact("to go on") == "belay signal a approved");
  until = {wait_kind::timer, "", 0, explained_at + 5'000};
  says("waits_for_timer", "It waits for the time 2027-01-15T08:00:05Z (in 5s)");
  until = {wait_kind::child, "a/1", 0, 0};
  process.waiting.also.push_back({wait_kind::child, "a/2", 0, 0});
  process_view child;
  child.id = "a/1";
  child.state = process_state::running;
  awaited.push_back(child);
  says("waits_for_process", "It waits for the outcome of 'a/1' and others");
  CHECK(fact("also") == "the outcome of 'a/2'");
  CHECK(fact("process a/1") == "running");
  process.waiting.also.clear();
  until = {wait_kind::closing, "", 0, 0};
  says("waits_for_children", "it is held back until its children end");
}

TEST_CASE_METHOD(facts_fixture, "explain: quarantined, external and finished", "[app][explain]") {
  process.state = process_state::quarantined;
  process.interruptions = 2;
  event lost;
  lost.at = explained_at;
  lost.type = event_types::interrupted;
  lost.payload = R"({"owner":"w1","reason":"lease expired"})";
  history = {lost, lost};
  says("quarantined", "Its owner was lost 2 times");
  CHECK(fact("interrupted") == "2027-01-15T08:00:00Z on w1: lease expired");
  CHECK(fact("to go on") == "belay release a, or cancel it");
  event held;
  held.type = event_types::quarantined;
  held.payload = R"({"interruptions":1,"rule":"owner_bound"})";
  history.push_back(held);
  says("quarantined", "it is owner-bound: nobody else may run it");
  CHECK(fact("to go on") == "belay abandon a --reason R, or cancel it");
  process.state = process_state::external;
  says("external", "completed from outside");
  CHECK(fact("interruptions") == "2");
  process.state = process_state::finished;
  process.ended = outcome_kind::failure;
  process.finished_at = explained_at - 1'000;
  process.outcome_json = R"({"type":"failure","message":"no such file"})";
  says("finished", "It has its outcome: failure, since 2027-01-15T07:59:59Z (1s ago).");
  CHECK(fact("message") == "\"no such file\"");
}
