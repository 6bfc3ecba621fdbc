// Claiming and what keeps or loses a lease: claim, grant, renew, release, enlist, void, expire,
// recover.
#include "storage/batch.hpp"
#include "storage/codec.hpp"

#include <algorithm>
#include <queue>

namespace belay::storage {

namespace {

/// Walks the rows of one (queue, kind) group that are due, in claim order.
class due_rows {
public:
  due_rows(const transaction& txn, MDB_dbi ready, name_id queue, name_id kind, timestamp_ms now)
    : cursor_{txn, ready}, queue_{queue}, kind_{kind}, now_{now} {
    settle(cursor_.seek(encode(ready_place{queue, kind, priority_first, 0, row_id{0}})));
  }

  [[nodiscard]] const std::optional<ready_place>& place() const {
    return place_;
  }

  /// Goes to the row after the present one, which may have been deleted.
  void advance() {
    auto after = *place_;
    after.row = row_id{static_cast<std::uint64_t>(after.row) + 1};
    settle(cursor_.seek(encode(after)));
  }

private:
  static constexpr std::int32_t priority_first = 0x7FFFFFFF;

  void settle(bool found) {
    place_.reset();
    while (found) {
      const auto here = decode_ready(cursor_.key());
      if (here.queue != queue_ || here.kind != kind_) {
        return;
      }
      if (here.due_at <= now_) {
        place_ = here;
        return;
      }
      // All that follow in this priority are due later: on to the next one.
      found = cursor_.seek(encode(ready_place{queue_, kind_, here.priority - 1, 0, row_id{0}}));
    }
  }

  cursor cursor_;
  name_id queue_;
  name_id kind_;
  timestamp_ms now_;
  std::optional<ready_place> place_;
};

/// How far a row moves a worker with one slot on in the turn; one with eight moves an eighth of it.
constexpr std::uint64_t turn_length = 1U << 24U;

bool comes_later(const ready_place& a, const ready_place& b) {
  if (a.priority != b.priority) {
    return a.priority < b.priority;
  }
  return a.due_at != b.due_at ? a.due_at > b.due_at : a.row > b.row;
}

} // namespace

/// Somebody who can take rows, while they are handed out.
struct batch::taker {
  const claimant& who;
  grant_list& out;
  std::size_t index;
  std::set<name_id> kinds;
  std::set<name_id> queues;
  /// Interned with the first row: a worker that gets none leaves no trace.
  std::optional<name_id> holder;

  [[nodiscard]] bool takes(const ready_place& group) const {
    return kinds.count(group.kind) != 0 && (who.queues.empty() || queues.count(group.queue) != 0);
  }
  [[nodiscard]] bool has_room() const {
    return out.each[index].items.size() < who.max;
  }
  [[nodiscard]] std::uint64_t& turn() const {
    return out.turns[index];
  }
};

std::optional<refusal> batch::superseded(const owner& x) const {
  if (const auto id = read_.find_name(name_kind::owner, x.name)) {
    const auto stored = txn_.get(tables_.owner, row_key(row_id{*id}));
    if (stored && decode_number(*stored, "owner") > x.incarnation) {
      return refusal{ec::lease_superseded,
                     "the owner '" + x.name
                       + "' has started anew; this incarnation claims nothing"};
    }
  }
  return std::nullopt;
}

answer batch::run(const claim_request& x) {
  if (auto no = superseded(x.holder)) {
    return *no;
  }
  auto granted = grant({{claimant{x.holder, x.kinds, x.queues, x.max}}, x.ttl});
  return std::move(granted.each.front());
}

answer batch::run(const grant_request& x) {
  return grant(x);
}

grant_list batch::grant(const grant_request& x) {
  grant_list result;
  result.each.resize(x.claimants.size());
  std::vector<taker> takers;
  const auto ids = [this](name_kind what, const std::vector<std::string>& names) {
    std::set<name_id> found;
    for (const auto& one : names) {
      if (const auto id = read_.find_name(what, one)) {
        found.insert(*id);
      }
    }
    return found;
  };
  for (std::size_t i = 0; i < x.claimants.size(); ++i) {
    const auto& who = x.claimants[i];
    result.turns.push_back(who.turn);
    if (!superseded(who.holder)) {
      takers.push_back({who, result, i, ids(name_kind::kind, who.kinds),
                        ids(name_kind::queue, who.queues), std::nullopt});
    }
  }
  // Hop over the groups that have rows: kinds nobody here can run cost one seek each, not a scan.
  struct group {
    due_rows rows;
    std::vector<taker*> takers;
  };
  std::vector<std::unique_ptr<group>> groups;
  {
    cursor all{txn_, tables_.ready};
    auto found = !takers.empty() && all.first();
    while (found) {
      const auto here = decode_ready(all.key());
      std::vector<taker*> who;
      for (auto& one : takers) {
        if (one.takes(here)) {
          who.push_back(&one);
        }
      }
      if (!who.empty()) {
        groups.emplace_back(new group{
          due_rows{txn_, tables_.ready, here.queue, here.kind, context_.now}, std::move(who)});
      }
      found = all.seek(encode(ready_place{here.queue, here.kind + 1, 0x7FFFFFFF, 0, row_id{0}}));
    }
  }
  const auto later = [](const group* a, const group* b) {
    return comes_later(*a->rows.place(), *b->rows.place());
  };
  std::priority_queue<group*, std::vector<group*>, decltype(later)> order{later};
  for (const auto& one : groups) {
    if (one->rows.place()) {
      order.push(one.get());
    }
  }
  while (!order.empty()) {
    auto* from = order.top();
    order.pop();
    taker* next = nullptr;
    for (auto* one : from->takers) {
      if (one->has_room() && (next == nullptr || one->turn() < next->turn())) {
        next = one;
      }
    }
    if (next == nullptr) {
      continue; // Nobody has room for this group any more.
    }
    if (!next->holder) {
      next->holder = intern(name_kind::owner, next->who.holder.name);
    }
    claimed row;
    if (claim_one(next->who.holder, *next->holder, x.ttl, *from->rows.place(), row)) {
      result.each[next->index].items.push_back(std::move(row));
      next->turn() += turn_length / std::max<std::uint32_t>(next->who.slots, 1);
    }
    from->rows.advance();
    if (from->rows.place()) {
      order.push(from);
    }
  }
  return result;
}

bool batch::claim_one(const owner& holder, name_id owner, duration_ms ttl, const ready_place& place,
                      claimed& out) {
  auto state = load(place.row);
  auto& head = state.head;
  const auto fence = rules::next_fence(head.fence);
  if (!fence || rules::attempts_used_up(head)) {
    txn_.erase(tables_.ready, encode(place));
    const auto why
      = "ran " + std::to_string(head.attempt) + " times, as often as attempts_max allows";
    if (fence && head.cancel_requested) {
      end(state, make_cancelled("cancelled; it " + why), head.fence);
    } else if (fence) {
      end(state, abandoned_by(state, "attempts_exhausted", why), head.fence);
    } else {
      quarantine(state, "the fencing token has reached its end");
    }
    save(state);
    return false;
  }
  head.state = process_state::running;
  head.fence = *fence;
  const auto resumed = head.resumed;
  if (resumed) {
    head.resumed = false;
    out.woken = read_.waiting(place.row).value_or(wait_record{}).woken;
    txn_.erase(tables_.wait, row_key(place.row));
  } else {
    ++head.attempt;
  }
  const auto first = head.started_at == 0;
  happenings_.push_back(
    {happening::what::claimed,
     {},
     head.kind,
     first ? context_.now - std::max(head.due_at, head.created_at) : duration_ms{-1}});
  if (first) {
    head.started_at = context_.now;
    head.first_owner = owner;
    head.first_incarnation = holder.incarnation;
    head.first_fence = *fence;
  }
  const lease_record granted{owner,
                             holder.incarnation,
                             {context_.random(), context_.random()},
                             head.fence,
                             context_.now,
                             context_.now + ttl,
                             context_.now + ttl};
  auto body = read_.body(place.row);
  out.held = {place.row,          std::move(body.id), holder, granted.token, head.fence,
              granted.claimed_at, granted.expires_at};
  out.registration_json = read_.text(body.registration);
  out.attempt = head.attempt;
  out.interruptions = head.interruptions;
  out.cancel_requested = head.cancel_requested;
  out.failures = head.failures;
  out.journaled = head.journaled;
  out.started_at = head.started_at;
  txn_.erase(tables_.ready, encode(place));
  txn_.put(tables_.lease, row_key(place.row), encode(granted));
  txn_.put(tables_.expiry, time_key(granted.expires_at, place.row), {});
  add_event(state, event_types::started,
            "{\"attempt\":" + std::to_string(head.attempt)
              + ",\"fence\":" + std::to_string(static_cast<std::uint64_t>(head.fence))
              + ",\"incarnation\":" + std::to_string(holder.incarnation)
              + ",\"owner\":" + json_quote(holder.name) + (resumed ? ",\"resumed\":true}" : "}"));
  save(state);
  return true;
}

answer batch::run(const renew_request& x) {
  if (auto held = held_row(x.held); !held) {
    return held.why();
  }
  auto stored = *read_.lease(x.held.row);
  stored.expires_at = std::max(stored.expires_at, context_.now + x.ttl);
  txn_.put(tables_.lease, row_key(x.held.row), encode(stored));
  auto renewed = x.held;
  renewed.expires_at = stored.expires_at;
  return renewed;
}

answer batch::run(const release_request& x) {
  auto held = held_row(x.held);
  if (!held) {
    return done{0};
  }
  auto& head = held->head;
  drop_lease(held->row, *read_.lease(held->row));
  add_event(*held, event_types::released,
            "{\"reason\":" + json_quote(x.reason) + (x.started ? "}" : ",\"started\":false}"));
  if (!x.started) {
    --head.attempt;
    if (head.first_fence == head.fence) {
      head.started_at = 0;
      head.first_owner = 0;
      head.first_incarnation = 0;
      head.first_fence = {};
    }
  }
  switch (rules::after_release(head, x.started)) {
    case rules::after_loss::cancelled:
      end(*held, make_cancelled("cancelled while its worker gave it back"), head.fence);
      break;
    case rules::after_loss::abandoned:
      end(*held,
          head.abandon_requested
            ? abandoned_by(*held, "reconciled_request", "abandoned by request")
            : abandoned_by(*held, "owner_drain", "its owner gave it back; nobody else may run it"),
          head.fence);
      break;
    default:
      make_ready(*held);
  }
  save(*held);
  return done{1};
}

void batch::quarantine(row_state& x, const std::string& why) {
  x.head.state = process_state::quarantined;
  happenings_.push_back({happening::what::quarantined, {}, x.head.kind});
  add_event(x, event_types::quarantined,
            "{\"interruptions\":" + std::to_string(x.head.interruptions)
              + (why.empty() ? "}" : ",\"reason\":" + json_quote(why) + "}"));
}

void batch::lose(row_id row, const lease_record& held, const std::string& reason) {
  auto state = load(row);
  auto& head = state.head;
  drop_lease(row, held);
  ++head.interruptions;
  happenings_.push_back({happening::what::interrupted, {}, head.kind});
  add_event(state, event_types::interrupted,
            "{\"attempt\":" + std::to_string(head.attempt)
              + ",\"incarnation\":" + std::to_string(held.incarnation) + ",\"owner\":"
              + json_quote(read_.name(held.owner)) + ",\"reason\":" + json_quote(reason) + "}");
  switch (rules::after_interruption(head, shared_.opts.interruptions_max)) {
    case rules::after_loss::ready:
      make_ready(state);
      break;
    case rules::after_loss::quarantined:
      quarantine(state, {});
      break;
    case rules::after_loss::abandoned:
      end(state, abandoned_by(state, "reconciled_request", "abandoned by request"), head.fence);
      break;
    case rules::after_loss::cancelled:
      end(state, make_cancelled("cancelled; its worker was lost"), head.fence);
      break;
  }
  save(state);
}

std::uint64_t
batch::lose_all(const std::function<bool(const lease_record&)>& which, const std::string& reason) {
  std::vector<std::pair<row_id, lease_record>> lost;
  {
    cursor all{txn_, tables_.lease};
    for (auto found = all.first(); found; found = all.next()) {
      const auto held = decode_lease(all.value());
      if (which(held)) {
        lost.emplace_back(row_of(all.key()), held);
      }
    }
  }
  for (const auto& [row, held] : lost) {
    lose(row, held, reason);
  }
  return lost.size();
}

answer batch::run(const enlist_request& x) {
  constexpr std::size_t owner_bytes_max = 128;
  if (x.name.empty() || x.name.size() > owner_bytes_max) {
    return refusal{ec::bad_request, "owner: " + json_quote(x.name.substr(0, 80))
                                      + " is not acceptable, expected 1 to 128 bytes"};
  }
  if (x.incarnation != 0) {
    const auto known = read_.find_name(name_kind::owner, x.name);
    const auto last = known ? txn_.get(tables_.owner, row_key(row_id{*known})) : std::nullopt;
    if (last && decode_number(*last, "owner") == x.incarnation) {
      return owner{x.name, x.incarnation};
    }
    return refusal{ec::lease_superseded, "incarnation " + std::to_string(x.incarnation)
                                           + " of the owner '" + x.name + "' is not the last one"};
  }
  const auto id = intern(name_kind::owner, x.name);
  const auto stored = txn_.get(tables_.owner, row_key(row_id{id}));
  const auto incarnation = (stored ? decode_number(*stored, "owner") : 0) + 1;
  txn_.put(tables_.owner, row_key(row_id{id}), encode_number(incarnation));
  lose_all([id](const lease_record& held) { return held.owner == id; }, "owner started anew");
  return owner{x.name, incarnation};
}

answer batch::run(const void_request& x) {
  const auto id = read_.find_name(name_kind::owner, x.holder.name);
  if (!id) {
    return done{0};
  }
  const auto incarnation = x.holder.incarnation;
  return done{lose_all(
    [&id, incarnation](const lease_record& held) {
      return held.owner == *id && held.incarnation <= incarnation;
    },
    x.reason)};
}

answer batch::run(const expire_request& x) {
  expire_timers(x.max);
  return done{expire_leases(x.max)};
}

std::uint64_t batch::expire_leases(std::uint32_t max) {
  std::vector<std::pair<row_id, lease_record>> lost;
  std::vector<std::pair<row_id, lease_record>> renewed;
  {
    cursor index{txn_, tables_.expiry};
    for (auto found = index.first(); found && lost.size() + renewed.size() < max;
         found = index.next()) {
      byte_reader key{index.key()};
      if (key.i64() > context_.now) {
        break;
      }
      const auto row = row_id{key.u64()};
      const auto held = read_.lease(row);
      if (!held) {
        throw error{error_kind::fault, "the expiry index names row "
                                         + std::to_string(static_cast<std::uint64_t>(row))
                                         + ", which nobody holds"};
      }
      (held->expires_at <= context_.now ? lost : renewed).emplace_back(row, *held);
    }
  }
  for (auto& [row, held] : renewed) {
    txn_.erase(tables_.expiry, time_key(held.indexed_at, row));
    held.indexed_at = held.expires_at;
    txn_.put(tables_.expiry, time_key(held.indexed_at, row), {});
    txn_.put(tables_.lease, row_key(row), encode(held));
  }
  for (const auto& [row, held] : lost) {
    lose(row, held, "lease expired");
  }
  return lost.size();
}

answer batch::run(const recover_request& x) {
  const auto local = read_.find_name(name_kind::owner, x.local);
  const auto lost
    = lose_all([&local](const lease_record& held) { return held.owner == local; }, "node was lost");
  std::vector<std::pair<row_id, lease_record>> others;
  {
    cursor all{txn_, tables_.lease};
    for (auto found = all.first(); found; found = all.next()) {
      others.emplace_back(row_of(all.key()), decode_lease(all.value()));
    }
  }
  for (auto& [row, held] : others) {
    txn_.erase(tables_.expiry, time_key(held.indexed_at, row));
    held.expires_at = context_.now + x.ttl;
    held.indexed_at = held.expires_at;
    txn_.put(tables_.lease, row_key(row), encode(held));
    txn_.put(tables_.expiry, time_key(held.expires_at, row), {});
  }
  return done{lost};
}

} // namespace belay::storage
