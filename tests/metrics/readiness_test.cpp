// Who is asked whether a node is ready, and what becomes of the answers.
#include "actors/metrics/readiness.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch.hpp>

using namespace belay;

namespace {

/// Stands for an actor that says how it is; with no text it takes the question and is silent.
caf::behavior pretender(caf::event_based_actor* self, const std::string& says) {
  return {[self, says](atom::snapshot) -> caf::result<std::string> {
    if (says.empty()) {
      return self->make_response_promise<std::string>();
    }
    return says;
  }};
}

struct readiness_fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::vector<caf::actor> all;
  metrics::readiness ready{system, std::chrono::milliseconds{2'000}};

  ~readiness_fixture() {
    ready.part();
    for (const auto& x : all) {
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
    }
  }

  template <class Handle>
  Handle one(const std::string& says) {
    all.push_back(system.spawn(pretender, says));
    return caf::actor_cast<Handle>(all.back());
  }

  std::vector<std::string>
  why_not(const std::string& node, const std::string& registry, const std::string& sweeper) {
    ready.meet({one<node_actor>(node), one<registry_actor>(registry), uplink_actor{},
                one<sweeper_actor>(sweeper)});
    return ready.why_not();
  }
};

constexpr const char* good_sweeper = R"({"enlisted": true, "draining": false})";

bool says(const std::vector<std::string>& lines, const std::string& word) {
  return lines.size() == 1 && lines.front().rfind(word, 0) == 0;
}

} // namespace

TEST_CASE_METHOD(readiness_fixture, "ready: a node is ready when all that are asked are",
                 "[metrics]") {
  CHECK(says(ready.why_not(), "starting"));
  CHECK(why_not("{}", "{}", good_sweeper).empty());
  ready.part();
  CHECK(says(ready.why_not(), "stopped"));
}

TEST_CASE_METHOD(readiness_fixture, "ready: a registry that does not answer is wedged",
                 "[metrics]") {
  CHECK(says(why_not("{}", "", good_sweeper), "wedged: the registry"));
}

TEST_CASE_METHOD(readiness_fixture, "ready: a claim loop that does not answer is wedged",
                 "[metrics]") {
  CHECK(says(why_not("{}", "{}", ""), "wedged: the sweeper"));
}

TEST_CASE_METHOD(readiness_fixture, "ready: a full store, a failed commit, a drain, no registry",
                 "[metrics]") {
  CHECK(says(why_not("{}", R"({"nearly_full": true})", good_sweeper), "read-only"));
  CHECK(says(why_not("{}", R"({"commit_failed": true})", good_sweeper), "read-only"));
  CHECK(says(why_not(R"({"draining": true})", "{}", good_sweeper), "draining"));
  CHECK(says(why_not("{}", "{}", R"({"enlisted": true, "draining": true})"), "draining"));
  CHECK(says(why_not("{}", "{}", R"({"enlisted": false})"), "not enlisted"));
  ready.meet({one<node_actor>("{}"), registry_actor{},
              one<uplink_actor>(R"({"linked": false, "registry": "h:1", "why": "gone"})"),
              one<sweeper_actor>(good_sweeper)});
  CHECK(ready.why_not() == std::vector<std::string>{"the registry at h:1 cannot be reached: gone"});
}
