// A CAF program of somebody else's: it sends a node messages and needs nothing else of belay.
#include "messages/protocol.hpp"
#include "messages/registration.hpp"
#include "messages/wire_error.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

using namespace belay;

int main(int /*argc*/, char** argv) {
  caf::actor_system_config config;
  add_messages(config);
  config.load<caf::io::middleman>();
  config.set("middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{500}});
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  constexpr std::chrono::seconds patience{15};
  const auto fail = [&](const caf::error& no) { std::cerr << system.render(no) << '\n', exit(1); };
  const auto port = static_cast<std::uint16_t>(std::stoi(argv[1]));
  const auto node = system.middleman().remote_actor<node_actor>("127.0.0.1", port);
  welcome to;
  self->request(*node, patience, atom::hello_v, protocol_version, std::string{"remote"})
    .receive([&](welcome& x) { to = std::move(x); }, fail);
  const auto text = nlohmann::json::parse(argv[2]);
  const auto job = *parse_registration(text, recovery_rule::rerunnable);
  self->request(to.registry, patience, atom::enroll_v, std::vector{job})
    .receive([](const registered_list&) {}, fail); // On disk now, and registered only once.
  event_page page;
  for (event_seq seen = 0; !page.terminal;) {
    self->request(to.watcher, patience, atom::follow_v, job.id, seen, 100U, duration_ms{10'000})
      .receive([&](event_page& next) { page = std::move(next); }, fail);
    for (const auto& x : page.events) {
      std::cout << (seen = x.seq) << ' ' << x.type << ' ' << x.payload << '\n';
    }
  }
  self->request(to.watcher, patience, atom::wait_v, job.id, duration_ms{10'000})
    .receive([](const outcome_view& x) { std::cout << x.outcome_json << '\n'; }, fail);
}
