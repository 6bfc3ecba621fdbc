// What keeps or loses a lease: renew, release, enlist, void, expire, recover.
#include "messages/json_strict.hpp"
#include "storage/batch.hpp"
#include "storage/codec.hpp"

namespace belay::storage {

std::optional<refusal> batch::check_owner(const std::string& name) {
  constexpr std::size_t owner_bytes_max = 128;
  if (name.empty() || name.size() > owner_bytes_max || !is_plain_text(name)) {
    return bad_value("owner", name,
                     "1 to " + std::to_string(owner_bytes_max)
                       + " bytes of UTF-8 without control characters");
  }
  return std::nullopt;
}

answer batch::run(const renew_request& x) {
  const auto held = held_row(x.held);
  if (!held) {
    return held.why();
  }
  const auto& head = held->head;
  if (head.kill_requested || (head.cancel_requested && !head.cancel_seen)) {
    // It was told when that was asked, but the message may have been lost, or have come too early.
    pushes_.push_back({x.held.row, x.held.holder, head.fence, head.kill_requested});
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
              + (x.head.rule == recovery_rule::owner_bound ? ",\"rule\":\"owner_bound\"" : "")
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
  if (auto no = check_owner(x.name)) {
    return *no;
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
