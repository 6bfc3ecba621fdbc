#include "actors/workflow/facets.hpp"

#include <catch2/catch.hpp>

using namespace belay;

namespace {

void require_named(const facets& stores, const std::string& facet) {
  const auto no = check_facets(durability::durable, stores);
  REQUIRE(no);
  CHECK(no->code == ec::bad_request);
  CHECK(no->text.rfind("durable_store_required:" + facet + ":", 0) == 0);
}

} // namespace

TEST_CASE("facets: durable effects refuse a store that forgets, and name it",
          "[workflow][s5-27][s5-28][s5-29][s5-30][s5-31][s5-67]") {
  facets stores;
  stores.attachment_store = durability::in_memory;
  require_named(stores, "attachment_store");
  stores = {};
  stores.process_env_store = durability::in_memory;
  require_named(stores, "process_env_store");
  stores = {};
  stores.session_store = durability::in_memory;
  require_named(stores, "session_store");
  stores = {};
  stores.process_registry = durability::in_memory;
  require_named(stores, "process_registry");
  stores = {};
  stores.trigger_store = durability::in_memory;
  require_named(stores, "trigger_store");
}

TEST_CASE("facets: durable stores bear durable effects", "[workflow][s5-32][s5-73]") {
  facets stores;
  CHECK_FALSE(check_facets(durability::durable, stores));
  stores.process_env_store = durability::durable;
  stores.session_store = durability::durable;
  stores.trigger_store = durability::durable;
  CHECK_FALSE(check_facets(durability::durable, stores));
}

TEST_CASE("facets: effects in memory rest on any store", "[workflow][s5-33]") {
  facets stores;
  stores.attachment_store = durability::in_memory;
  stores.process_registry = durability::in_memory;
  stores.session_store = durability::in_memory;
  CHECK_FALSE(check_facets(durability::in_memory, stores));
}
