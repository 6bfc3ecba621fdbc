// Claiming and what keeps or loses a lease: claim, renew, release, enlist, void, expire, recover.
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

bool comes_later(const ready_place& a, const ready_place& b) {
  if (a.priority != b.priority) {
    return a.priority < b.priority;
  }
  return a.due_at != b.due_at ? a.due_at > b.due_at : a.row > b.row;
}

} // namespace

answer batch::run(const claim_request& x) {
  if (const auto id = read_.find_name(name_kind::owner, x.holder.name)) {
    const auto stored = txn_.get(tables_.owner, row_key(row_id{*id}));
    if (stored && decode_number(*stored, "owner") > x.holder.incarnation) {
      return refusal{ec::lease_superseded,
                     "the owner '" + x.holder.name
                       + "' has started anew; this incarnation claims nothing"};
    }
  }
  std::set<name_id> kinds;
  for (const auto& kind : x.kinds) {
    if (const auto id = read_.find_name(name_kind::kind, kind)) {
      kinds.insert(*id);
    }
  }
  std::set<name_id> queues;
  for (const auto& queue : x.queues) {
    if (const auto id = read_.find_name(name_kind::queue, queue)) {
      queues.insert(*id);
    }
  }
  // Hop over the groups that have rows: kinds nobody here can run cost one seek each, not a scan.
  std::vector<std::unique_ptr<due_rows>> groups;
  {
    cursor all{txn_, tables_.ready};
    auto found = all.first();
    while (found && !kinds.empty()) {
      const auto here = decode_ready(all.key());
      if (kinds.count(here.kind) != 0 && (x.queues.empty() || queues.count(here.queue) != 0)) {
        groups.push_back(
          std::make_unique<due_rows>(txn_, tables_.ready, here.queue, here.kind, context_.now));
      }
      found = all.seek(encode(ready_place{here.queue, here.kind + 1, 0x7FFFFFFF, 0, row_id{0}}));
    }
  }
  const auto later
    = [](const due_rows* a, const due_rows* b) { return comes_later(*a->place(), *b->place()); };
  std::priority_queue<due_rows*, std::vector<due_rows*>, decltype(later)> order{later};
  for (const auto& group : groups) {
    if (group->place()) {
      order.push(group.get());
    }
  }
  claimed_list result;
  std::optional<name_id> holder;
  while (!order.empty() && result.items.size() < x.max) {
    auto* group = order.top();
    order.pop();
    if (!holder) {
      holder = intern(name_kind::owner, x.holder.name);
    }
    claimed row;
    if (claim_one(x, *holder, *group->place(), row)) {
      result.items.push_back(std::move(row));
    }
    group->advance();
    if (group->place()) {
      order.push(group);
    }
  }
  return result;
}

bool batch::claim_one(const claim_request& x, name_id owner, const ready_place& place,
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
  if (head.started_at == 0) {
    head.started_at = context_.now;
    head.first_owner = owner;
    head.first_incarnation = x.holder.incarnation;
    head.first_fence = *fence;
  }
  const lease_record granted{owner,
                             x.holder.incarnation,
                             {context_.random(), context_.random()},
                             head.fence,
                             context_.now,
                             context_.now + x.ttl,
                             context_.now + x.ttl};
  auto body = read_.body(place.row);
  out.held = {place.row,  std::move(body.id), x.holder,          granted.token,
              head.fence, granted.claimed_at, granted.expires_at};
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
              + ",\"incarnation\":" + std::to_string(x.holder.incarnation)
              + ",\"owner\":" + json_quote(x.holder.name) + (resumed ? ",\"resumed\":true}" : "}"));
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
  add_event(x, event_types::quarantined,
            "{\"interruptions\":" + std::to_string(x.head.interruptions)
              + (why.empty() ? "}" : ",\"reason\":" + json_quote(why) + "}"));
}

void batch::lose(row_id row, const lease_record& held, const std::string& reason) {
  auto state = load(row);
  auto& head = state.head;
  drop_lease(row, held);
  ++head.interruptions;
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
