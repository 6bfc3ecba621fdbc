// Who may address the actors of this node from other nodes, and what each may ask.
#pragma once

#include "actors/gate/certificates.hpp"
#include "messages/wire_error.hpp"

#include <caf/local_actor.hpp>
#include <caf/result.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <type_traits>

namespace belay::actors {

/// What the node knows of those who come from outside: which of its actors they may address, and
/// what their certificates say. Fails closed: whom it does not know may ask nothing.
///
/// Concurrency: every member from any thread.
class visitors {
public:
  using lookup = std::function<std::optional<gates::identity>(const caf::node_id&)>;

  /// Sets who says who a node is. Called once, before anybody can come in.
  void ask(lookup who);

  /// Lets an actor be addressed from outside.
  void receive(caf::actor_id one);

  [[nodiscard]] bool receives(caf::actor_id one) const;

  /// Refuses (`not_permitted`) what the node of a sender may not ask. `needed` is none for what
  /// only actors of this node say to each other.
  [[nodiscard]] std::optional<refusal>
  check(const caf::node_id& from, std::optional<gates::role> needed);

  /// The same where nobody is let in.
  [[nodiscard]] static refusal stranger();

private:
  void note(const std::string& name, const std::string& why);

  mutable std::mutex mutex_;
  lookup who_;
  std::set<caf::actor_id> receiving_;
  std::map<std::string, std::uint64_t> refused_by_;
};

/// Puts a check of the sender's role before a handler:
///
///     const guard by{self, state.visitors};
///     return {by(role::read, [&state](atom::get, const process_id& id) { ... }), ...};
///
/// A refused request is answered with `not_permitted`; other refused messages are dropped.
class guard {
public:
  guard(caf::local_actor* self, std::shared_ptr<visitors> known)
    : self_{self}, known_{std::move(known)} {}

  template <class F>
  auto operator()(gates::role needed, F handler) const {
    return wrap(needed, std::move(handler), &F::operator());
  }

  /// For messages of this node's own actors.
  template <class F>
  auto inside(F handler) const {
    return wrap(std::nullopt, std::move(handler), &F::operator());
  }

private:
  template <class T>
  struct answer {
    using type = caf::result<T>;
  };
  template <class T>
  struct answer<caf::result<T>> {
    using type = caf::result<T>;
  };

  template <class F, class R, class... Ts>
  auto wrap(std::optional<gates::role> needed, F handler, R (F::*)(Ts...) const) const {
    return [self = self_, known = known_, needed, handler = std::move(handler)](Ts... xs) ->
           typename answer<R>::type {
             const auto& sender = self->current_sender();
             // None: only our own actors send without a name (a gate lets no such request pass).
             if (sender && sender->node() != self->node()) {
               const auto no = known ? known->check(sender->node(), needed)
                                     : std::optional{visitors::stranger()};
               if (no) {
                 return to_error(*no);
               }
             }
             if constexpr (std::is_void_v<R>) {
               handler(static_cast<Ts&&>(xs)...);
               return {};
             } else {
               return handler(static_cast<Ts&&>(xs)...);
             }
           };
  }

  caf::local_actor* self_;
  std::shared_ptr<visitors> known_;
};

} // namespace belay::actors
