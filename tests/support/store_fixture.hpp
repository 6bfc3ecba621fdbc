// A store in a directory of its own, with time and random bits that the test owns.
#pragma once

#include "storage/store.hpp"
#include "tests/support/registrations.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>

namespace belay::tests {

inline constexpr timestamp_ms start = 1'790'000'000'000;
inline constexpr duration_ms ttl = 30'000;

struct store_fixture {
  store_fixture() {
    open();
  }

  void open() {
    store.reset();
    options.directory = directory.path() / directory_name;
    store = std::make_unique<storage::store>(options);
  }

  template <class Answer>
  Answer apply(operation op) {
    auto all = apply_all({std::move(op)});
    if (const auto* no = std::get_if<refusal>(&all.answers.front())) {
      FAIL("refused: " + no->text);
    }
    return std::get<Answer>(all.answers.front());
  }

  refusal refused(operation op) {
    auto all = apply_all({std::move(op)});
    REQUIRE(std::holds_alternative<refusal>(all.answers.front()));
    CHECK(all.changed.empty());
    return std::get<refusal>(all.answers.front());
  }

  storage::batch_result apply_all(std::vector<operation> batch) {
    return store->apply(batch, {now, [this] { return ++bits; }});
  }

  /// Applies one operation and returns its refusal's code, or `none`.
  ec code_of(operation op) {
    auto all = apply_all({std::move(op)});
    const auto* no = std::get_if<refusal>(&all.answers.front());
    return no == nullptr ? ec::none : no->code;
  }

  std::vector<std::string> event_types(const std::string& id) {
    std::vector<std::string> types;
    const auto page = store->events_after(id, 0, 1'000);
    REQUIRE(page);
    for (const auto& x : page->events) {
      types.push_back(x.type);
    }
    return types;
  }

  /// No finding of the full scan; the findings are shown otherwise.
  void check_store() {
    for (const auto& finding : store->check()) {
      FAIL_CHECK(finding);
    }
  }

  void enroll(registration x) {
    apply<registered_list>(register_request{{std::move(x)}});
  }

  std::vector<claimed> claim(std::uint32_t max = 10, const std::string& who = "w",
                             std::vector<std::string> kinds = {"fake"}) {
    return apply<claimed_list>(claim_request{{who, 1}, std::move(kinds), {}, max, ttl}).items;
  }

  lease claim_one() {
    auto rows = claim(1);
    REQUIRE(rows.size() == 1);
    return rows.front().held;
  }

  scratch_directory directory;
  std::string directory_name = "data";
  storage::options options;
  std::unique_ptr<storage::store> store;
  timestamp_ms now = start;
  std::uint64_t bits = 0;
};

} // namespace belay::tests
