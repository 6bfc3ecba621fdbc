// Looking at many actors at once: few are asked at a time, and who is late is missing alone.
#include "actors/survey.hpp"

#include "actors/testing/deterministic_system.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch.hpp>
#include <set>

using namespace belay;
using namespace belay::actors;

namespace {

constexpr std::chrono::milliseconds deadline{300};
constexpr int many = 1'000;

struct survey_fixture {
  testing::deterministic_system system;
  /// Those who say nothing.
  std::set<int> silent;
  std::size_t bytes_max = 0;
  int asked = 0;
  std::optional<actor_tree> found;

  ~survey_fixture() {
    for (const auto& x : observed) {
      caf::anon_send_exit(x, caf::exit_reason::kill);
    }
  }

  void look() {
    for (int i = 0; i < many; ++i) {
      observed.push_back(
        system.sys.spawn([this, i](observed_actor::pointer self) -> observed_actor::behavior_type {
          return {[this, self, i](atom::snapshot) -> caf::result<std::string> {
            ++asked;
            if (silent.contains(i)) {
              held.push_back(self->make_response_promise<std::string>());
              return held.back();
            }
            return "{\"at\":" + std::to_string(i) + "}";
          }};
        }));
    }
    using looker = caf::typed_actor<caf::replies_to<atom::tree>::with<actor_tree>>;
    const auto by = system.sys.spawn([this](looker::pointer self) -> looker::behavior_type {
      return {[this, self](atom::tree) -> caf::result<actor_tree> {
        const auto all = std::make_shared<survey>(self->make_response_promise<actor_tree>());
        all->add(0, "top", "{}");
        if (bytes_max > 0) {
          all->keep_to(bytes_max);
        }
        for (int i = 0; i < many; ++i) {
          all->ask(self, deadline, 1 + i % 2, "a" + std::to_string(i),
                   observed[static_cast<std::size_t>(i)]);
        }
        return all->close();
      }};
    });
    system.sys.spawn([this, by](caf::event_based_actor* self) {
      self->request(by, caf::infinite, atom::tree_v).then([this](actor_tree& x) {
        found = std::move(x);
      });
    });
    system.run();
  }

private:
  std::vector<observed_actor> observed;
  std::vector<caf::typed_response_promise<std::string>> held;
};

} // namespace

TEST_CASE_METHOD(survey_fixture, "survey: all are there, in their order", "[actors]") {
  look();
  REQUIRE(found);
  REQUIRE(found->actors.size() == many + 1);
  CHECK(found->left_out == 0);
  for (int i = 0; i < many; ++i) {
    const auto& x = found->actors[static_cast<std::size_t>(i) + 1];
    CHECK(x.name == "a" + std::to_string(i));
    CHECK(x.state_json == "{\"at\":" + std::to_string(i) + "}");
  }
}

TEST_CASE_METHOD(survey_fixture, "survey: who is late is missing alone, and holds nobody up",
                 "[actors]") {
  silent = {0, 500, 999};
  look();
  CHECK_FALSE(found);
  CHECK(asked == many);
  system.advance(deadline);
  REQUIRE(found);
  REQUIRE(found->actors.size() == many + 1);
  for (int i = 0; i < many; ++i) {
    CHECK(found->actors[static_cast<std::size_t>(i) + 1].state_json.empty() == silent.contains(i));
  }
}

TEST_CASE_METHOD(survey_fixture, "survey: many that are late cost one deadline, not one each",
                 "[actors]") {
  for (int i = 0; i < many; i += 2) {
    silent.insert(i);
  }
  look();
  CHECK(asked < many / 2); // The others are asked when some have answered or are late.
  system.advance(deadline);
  REQUIRE(found);
  CHECK(found->actors.size() == many + 1);
}

TEST_CASE_METHOD(survey_fixture,
                 "survey: an answer is kept to its bytes, and says how many are left out",
                 "[actors]") {
  bytes_max = 1'000;
  look();
  REQUIRE(found);
  std::size_t bytes = 0;
  for (const auto& x : found->actors) {
    bytes += x.name.size() + x.state_json.size();
  }
  CHECK(bytes <= bytes_max);
  CHECK(bytes > bytes_max - 30);
  // Of depth 1; the others are below them.
  const auto shown = (found->actors.size() - 1 + 1) / 2;
  CHECK(found->left_out == many / 2 - shown);
}
