// Claiming: who is handed which row.
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

/// Rows that one transaction puts aside because of their concurrency key: about a tenth of a second
/// of it.
constexpr std::size_t blocked_max = 10'000;

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
  /// Has the answer say when the next row may be claimed.
  void note(std::int64_t opens_at_us) const {
    const auto at = (opens_at_us + rules::us_per_ms - 1) / rules::us_per_ms;
    out.again_at = out.again_at == 0 ? at : std::min(out.again_at, at);
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
  if (auto no = check_owner(x.holder.name)) {
    return *no;
  }
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
  if (takers.empty()) {
    return result;
  }
  recheck_queues();
  do {
    unblocked_ = false;
    hand_out(x.ttl, takers);
  } while (unblocked_);
  return result;
}

void batch::hand_out(duration_ms ttl, std::vector<taker>& takers) {
  // Hop over the groups that have rows: kinds nobody here can run cost one seek each, not a scan.
  struct group {
    name_id queue;
    due_rows rows;
    std::vector<taker*> takers;
  };
  std::vector<std::unique_ptr<group>> groups;
  {
    cursor all{txn_, tables_.ready};
    auto found = all.first();
    while (found) {
      const auto here = decode_ready(all.key());
      std::vector<taker*> who;
      for (auto& one : takers) {
        if (one.takes(here)) {
          who.push_back(&one);
        }
      }
      if (!who.empty() && lets_claim(queue_of(here.queue))) {
        groups.emplace_back(
          new group{here.queue, due_rows{txn_, tables_.ready, here.queue, here.kind, context_.now},
                    std::move(who)});
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
  std::size_t blocked = 0;
  while (!order.empty()) {
    auto* from = order.top();
    order.pop();
    taker* next = nullptr;
    for (auto* one : from->takers) {
      if (one->has_room() && (next == nullptr || one->turn() < next->turn())) {
        next = one;
      }
    }
    auto& queue = queue_of(from->queue);
    if (next == nullptr || !lets_claim(queue)) {
      continue; // Nobody has room for this group any more, or it is at its bound.
    }
    if (block(queue, *from->rows.place())) {
      if (++blocked == blocked_max) {
        ready_changed_ = true; // The rest in the next batch.
        return;
      }
    } else if (const auto opens_at = rate_opens_at(queue); opens_at != 0) {
      next->note(opens_at);
      continue;
    } else {
      if (!next->holder) {
        next->holder = intern(name_kind::owner, next->who.holder.name);
      }
      claimed row;
      if (claim_one(next->who.holder, *next->holder, ttl, *from->rows.place(), row)) {
        next->out.each[next->index].items.push_back(std::move(row));
        next->turn() += turn_length / std::max<std::uint32_t>(next->who.slots, 1);
        charge(queue);
      }
      if (unblocked_) {
        return; // A row came back to where nobody here looks any more: begin anew.
      }
    }
    from->rows.advance();
    if (from->rows.place()) {
      order.push(from);
    }
  }
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
  out.created_at = head.created_at;
  out.due_at = head.due_at;
  if (head.detailed) {
    out.traceparent = read_.detail(place.row).traceparent;
  }
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

} // namespace belay::storage
