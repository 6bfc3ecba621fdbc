// What each role of a certificate may ask: every message of every actor that can be reached.
#include "actors/cluster/route.hpp"
#include "actors/node/client.hpp"
#include "actors/node/runtime.hpp"
#include "actors/node/system_config.hpp"
#include "tests/gate/authority.hpp"
#include "tests/support/fake_tool.hpp"
#include "tests/support/registrations.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <catch2/catch.hpp>

using namespace belay;
using gates::role;

namespace {

constexpr std::chrono::seconds patience{20};

/// A registry behind TLS, and somebody with a certificate of one role.
struct roles_fixture {
  explicit roles_fixture(role what)
    : who{what},
      server{authority.issue({.name = "registry", .what = role::admin})},
      visitor{authority.issue({.name = "visitor", .what = what})} {
    actors::runtime_options options;
    options.store.directory = scratch.path() / "data";
    options.store.size_max_bytes = 64U << 20;
    options.store.ballast_bytes = 0;
    options.store.free_min_bytes = 0;
    auto tools = std::make_shared<running::toolbox>();
    options.tools = tools;
    options.works = false;
    options.tls = server.certificate.parent_path();
    node = std::make_unique<actors::runtime>(std::move(options));
    actors::route_options to;
    to.host = "127.0.0.1";
    to.port = node->port();
    to.tls = visitor.certificate.parent_path();
    auto opened = actors::route::open(to, system);
    REQUIRE(opened);
    way = std::move(*opened);
    connect();
  }

  ~roles_fixture() {
    supervisor = nullptr;
    far = {};
  }

  void connect() {
    caf::scoped_actor self{system};
    auto dialing
      = system.spawn([this, to = caf::actor{self}](caf::event_based_actor* me) -> caf::behavior {
          way->dial(
            me, patience,
            [me, to](const node_actor& found) {
              me->send(to, caf::actor_cast<caf::actor>(found));
              me->quit();
            },
            [me, to](const refusal& no) {
              me->send(to, no.text);
              me->quit();
            });
          return {[](int) {}};
        });
    std::string why = "nothing was said";
    self->receive(
      [&](const caf::actor& found) {
        supervisor = caf::actor_cast<node_actor>(found);
        why.clear();
      },
      [&](const std::string& no) { why = no; }, caf::after(patience) >> [] {});
    REQUIRE(why.empty());
    self->request(supervisor, patience, atom::hello_v, protocol_version, std::string{"test"})
      .receive([this](const welcome& x) { far = x; },
               [this](const caf::error& x) { FAIL(system.render(x)); });
  }

  /// Sends a request and checks whether the role was enough for it; what is else wrong with it does
  /// not count. `needed` is none for what nobody from outside may send.
  template <class Answer, class Handle, class... Ts>
  void needs(std::optional<role> needed, const std::string& what, const Handle& to,
             const Ts&... content) {
    caf::scoped_actor self{system};
    std::string said = "done";
    self->request(to, patience, content...)
      .receive([](const Answer&) {},
               [&said](const caf::error& x) { said = to_string(to_refusal(x).code); });
    CAPTURE(what, said, to_string(who));
    CHECK((said != "not_permitted") == (needed && gates::includes(who, *needed)));
  }

  template <class Handle, class... Ts>
  void needs_silent(std::optional<role> needed, const std::string& what, const Handle& to,
                    const Ts&... content) {
    needs<caf::unit_t>(needed, what, caf::actor_cast<caf::actor>(to), content...);
  }

  role who;
  tests::scratch_directory scratch;
  tests::authority authority;
  gates::tls_files server;
  gates::tls_files visitor;
  std::unique_ptr<actors::runtime> node;
  actors::system_config config{true, 2};
  std::unique_ptr<actors::route> way;
  caf::actor_system system{config};
  node_actor supervisor;
  welcome far;
};

const lease no_lease{};

} // namespace

TEST_CASE("roles: every message of the registry asks for its role", "[cluster][roles]") {
  roles_fixture x{GENERATE(role::read, role::operate, role::worker, role::admin)};
  const auto& to = x.far.registry;
  const auto operate = role::operate;
  const auto worker = role::worker;
  x.needs<registered_list>(operate, "enroll", to, atom::enroll_v,
                           std::vector<registration>{tests::make_registration("a")});
  x.needs<event>(operate, "append", to, atom::append_v, append_request{});
  x.needs<cancel_receipt>(operate, "cancel", to, atom::cancel_v, cancel_request{});
  x.needs<completion>(operate, "settle", to, atom::settle_v, settle_request{});
  x.needs<abandon_receipt>(operate, "abandon", to, atom::abandon_v, abandon_request{});
  x.needs<done>(operate, "requeue", to, atom::requeue_v, requeue_request{});
  x.needs<registered_list>(operate, "again", to, atom::again_v, again_request{});
  x.needs<done>(operate, "reference", to, atom::reference_v, external_ref_request{});
  x.needs<done>(operate, "observe", to, atom::observe_v, observe_request{});
  x.needs<done>(operate, "transfer", to, atom::transfer_v, transfer_request{});
  x.needs<session_report>(operate, "forget", to, atom::forget_v, std::string{"s"});
  x.needs<done>(operate, "retarget", to, atom::retarget_v, retarget_request{});
  x.needs<wake_list>(operate, "take wakes", to, atom::wakes_v, take_wakes_request{});
  x.needs<done>(operate, "settle wake", to, atom::settle_v, settle_wake_request{});
  x.needs<claimed_list>(worker, "claim", to, atom::claim_v, owner{"w", 1},
                        std::vector<std::string>{"none"}, std::vector<std::string>{},
                        std::uint32_t{1});
  x.needs<lease>(worker, "renew", to, atom::renew_v, no_lease);
  x.needs<done>(worker, "release", to, atom::release_v, no_lease, std::string{"why"});
  x.needs<done>(worker, "give back", to, atom::release_v, no_lease);
  x.needs<park_receipt>(worker, "park", to, atom::park_v, no_lease, wait_condition{});
  x.needs<park_receipt>(worker, "park any", to, atom::park_v, park_request{});
  x.needs<journal_receipt>(worker, "journal", to, atom::journal_v, journal_request{});
  x.needs<completion>(worker, "complete", to, atom::complete_v, no_lease, make_success("1"));
  x.needs<enlisted>(worker, "enlist", to, atom::enlist_v, worker_card{}, caf::actor{});
  x.needs<done>(worker, "withdraw", to, atom::withdraw_v, owner{"w", 1});
  x.needs_silent(worker, "offer", to, atom::offer_v, owner{"w", 1}, std::uint32_t{1},
                 std::vector<std::string>{}, std::vector<std::string>{});
  x.needs<prune_report>(role::admin, "prune", to, atom::prune_v, prune_request{});
  x.needs<queue_settings>(role::operate, "queue", to, atom::queue_v, queue_request{"default"});
  x.needs<done>(role::admin, "compact", to, atom::compact_v, compact_request{});
  x.needs<std::string>(role::read, "snapshot", to, atom::snapshot_v);
  x.needs_silent(std::nullopt, "sweep", to, atom::sweep_v);
  x.needs_silent(std::nullopt, "commit", to, atom::commit_v);
  x.needs_silent(std::nullopt, "lost", to, atom::lost_v, owner{"w", 1});
}

TEST_CASE("roles: readers, watcher, membership and node ask for theirs", "[cluster][roles]") {
  roles_fixture x{GENERATE(role::read, role::operate, role::worker, role::admin)};
  const auto read = role::read;
  const process_id id = "a";
  const auto& reader = x.far.reader;
  x.needs<process_view>(read, "get", reader, atom::get_v, id);
  x.needs<process_page>(read, "list", reader, atom::list_v, list_query{});
  x.needs<event_page>(read, "events", reader, atom::events_v, id, event_seq{0}, std::uint32_t{1});
  x.needs<event_page>(read, "recent", reader, atom::recent_v, id, std::uint32_t{1});
  x.needs<std::uint64_t>(read, "count events", reader, atom::count_v, id, std::string{"t"},
                         event_seq{0});
  x.needs<change_page>(read, "changes", reader, atom::changes_v, std::uint64_t{0},
                       std::uint32_t{1});
  x.needs<journal_page>(read, "journal", reader, atom::journal_v, id, std::uint64_t{0},
                        std::uint32_t{1});
  x.needs<attachment>(read, "attached", reader, atom::attach_v, id, std::string{"r"});
  x.needs<process_counts>(read, "references", reader, atom::reference_v);
  x.needs<wake_list>(read, "wakes", reader, atom::wakes_v, wakes_query{});
  x.needs<session_snapshot>(read, "session", reader, atom::session_v, session_query{});
  x.needs<check_report>(role::operate, "check", reader, atom::check_v);
  x.needs<process_counts>(read, "counts", reader, atom::count_v);
  x.needs<queue_list>(read, "queues", reader, atom::queues_v);
  x.needs<std::string>(read, "snapshot", reader, atom::snapshot_v);

  const auto& watcher = x.far.watcher;
  x.needs<outcome_view>(read, "wait", watcher, atom::wait_v, id, duration_ms{0});
  x.needs<event_page>(read, "follow", watcher, atom::follow_v, id, event_seq{0}, std::uint32_t{1},
                      duration_ms{0});
  x.needs<event>(read, "follow type", watcher, atom::follow_v, id, std::string{"t"}, event_seq{0},
                 duration_ms{0});
  x.needs<event>(read, "signal", watcher, atom::signal_v, id, std::string{"s"}, std::uint64_t{1},
                 duration_ms{0});
  x.needs<done>(read, "wait wake", watcher, atom::wakes_v, std::string{"s"}, duration_ms{0});
  x.needs<std::string>(read, "snapshot", watcher, atom::snapshot_v);
  x.needs_silent(std::nullopt, "changed", watcher, atom::changed_v, std::vector<row_id>{});
  x.needs_silent(std::nullopt, "tick", watcher, atom::tick_v);

  const auto& membership = x.far.membership;
  x.needs<node_list>(read, "nodes", membership, atom::nodes_v);
  x.needs<std::vector<std::string>>(read, "kinds", membership, atom::offer_v);
  x.needs<done>(role::admin, "drain", membership, atom::drain_v, std::string{"w"}, duration_ms{0});
  x.needs<done>(role::admin, "undrain", membership, atom::undrain_v, std::string{"w"});
  x.needs<std::string>(read, "snapshot", membership, atom::snapshot_v);
  x.needs_silent(std::nullopt, "enlist", membership, atom::enlist_v, node_info{}, caf::actor{});

  x.needs<actor_tree>(read, "trees", membership, atom::tree_v, std::uint32_t{1});
  x.needs<actor_tree>(read, "tree of one", membership, atom::tree_v, std::string{"w"}, id);
  x.needs<actor_tree>(read, "tree", x.supervisor, atom::tree_v, std::uint32_t{1});
  x.needs<std::string>(read, "snapshot", x.supervisor, atom::snapshot_v);
  x.needs<done>(role::admin, "stop", x.supervisor, atom::stop_v, false);
}

TEST_CASE("roles: a worker enlists no actor of another node", "[cluster][roles]") {
  roles_fixture x{role::worker};
  caf::scoped_actor self{x.system};
  worker_card card;
  card.name = "w";
  card.run = 1;
  card.slots = 1;
  card.kinds = {"none"};
  std::string said;
  self
    ->request(x.far.registry, patience, atom::enlist_v, card,
              caf::actor_cast<caf::actor>(x.far.watcher))
    .receive([](const enlisted&) {}, [&said](const caf::error& no) { said = to_refusal(no).text; });
  CHECK(said == "a node enlists its own sweeper only");
}

TEST_CASE("roles: a message beyond the bound is refused before it is sent", "[cluster][roles]") {
  roles_fixture x{role::operate};
  client_options options;
  options.tls = x.visitor.certificate.parent_path();
  auto client = belay::client::connect("127.0.0.1", x.node->port(), options);
  REQUIRE(client);
  CHECK((*client)->message_max() == 4U << 20);
  std::vector<registration> items;
  for (int i = 0; i < 5; ++i) {
    auto one = tests::make_registration("big" + std::to_string(i));
    one.input = R"({"args":{"x":")" + std::string(1'000'000, 'x')
                + R"("},"tool":"fake","type":"tool_call"})";
    items.push_back(std::move(one));
  }
  const auto no = (*client)->enroll(items);
  REQUIRE_FALSE(no);
  CHECK(no.why().code == ec::bad_request);
  CHECK(no.why().text.find("(cluster.message_max of the node)") != std::string::npos);
  items.resize(4);
  CHECK((*client)->enroll(items)); // The connection stands.
}

TEST_CASE("roles: who has no certificate of ours gets nothing", "[cluster][roles]") {
  roles_fixture x{role::read};
  const tests::authority other;
  const auto stranger = other.issue({.name = "admin", .what = role::admin});
  client_options options;
  options.timeout_ms = 5'000;
  options.reconnect_for_ms = 0;
  options.tls = stranger.certificate.parent_path();
  const auto foreign = client::connect("127.0.0.1", x.node->port(), options);
  REQUIRE_FALSE(foreign);
  CAPTURE(foreign.why().text);
  CHECK(foreign.why().code == ec::bad_request);
  CHECK(foreign.why().text.find("certificate") != std::string::npos);
  options.tls.clear();
  options.timeout_ms = 500;
  CHECK_FALSE(client::connect("127.0.0.1", x.node->port(), options));
  options.tls = x.visitor.certificate.parent_path();
  CHECK(client::connect("127.0.0.1", x.node->port(), options));
}
