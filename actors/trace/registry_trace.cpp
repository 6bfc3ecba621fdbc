#include "actors/trace/registry_trace.hpp"

#include "actors/trace/run_trace.hpp"

#include <algorithm>
#include <stdexcept>

namespace belay::tracing {

namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
/// OpenTelemetry's own default bound on the links of a span (`OTEL_SPAN_LINK_COUNT_LIMIT`).
constexpr std::size_t links_max = 128;
/// Runs kept in mind; of more, the rows that are longest here are forgotten. Chosen: a few MiB.
constexpr std::size_t running_max = 10'000;

/// How long it could have been claimed before it was, in milliseconds. Nothing where the row does
/// not say: after a park, an interruption, a release.
std::optional<duration_ms> waited(const claimed& x) {
  const auto first = x.started_at == x.held.claimed_at;
  const auto retried = x.woken.empty() && x.attempt == x.failures + 1;
  if (!first && !retried) {
    return std::nullopt;
  }
  return std::max<duration_ms>(x.held.claimed_at - std::max(x.created_at, x.due_at), 0);
}

} // namespace

void registry_trace::joined() {
  joined_ns_.push_back(by_->now_ns());
}

void registry_trace::commit_begins() {
  begin_ns_ = by_->now_ns();
}

void registry_trace::commit_failed() {
  joined_ns_.clear();
}

void registry_trace::committed(std::span<const operation> batch, std::span<const answer> answers) {
  end_ns_ = by_->now_ns();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    // Grants join at the last moment.
    look_at(batch[i], answers[i], i < joined_ns_.size() ? joined_ns_[i] : begin_ns_);
  }
  joined_ns_.clear();
  if (!links_.empty()) {
    write_commit(batch.size());
    links_.clear();
  }
}

void registry_trace::look_at(const operation& op, const answer& x, std::int64_t start_ns) {
  if (const auto* made = std::get_if<registered_list>(&x)) {
    const auto* asked = std::get_if<register_request>(&op);
    for (std::size_t i = 0; i < made->items.size(); ++i) {
      const auto& one = made->items[i];
      if (one.created && asked != nullptr) {
        registered(asked->items[i], one.row, start_ns);
      } else if (one.created) {
        registration again; // The store has made it from an earlier one.
        again.id = one.id;
        registered(again, one.row, start_ns);
      }
    }
  } else if (const auto* rows = std::get_if<claimed_list>(&x)) {
    claimed_all(*rows);
  } else if (const auto* grants = std::get_if<grant_list>(&x)) {
    for (const auto& one : grants->each) {
      claimed_all(one);
    }
  } else if (std::holds_alternative<refusal>(x)) {
    return;
  } else if (const auto* journal = std::get_if<journal_request>(&op)) {
    wrote(journal->held, false);
    for (const auto& child : journal->children) {
      if (!child.traceparent.empty()) { // Without, its trace goes by its row, which is not known.
        registered(child, row_id{0}, start_ns);
      }
    }
  } else if (const auto* complete = std::get_if<complete_request>(&op)) {
    wrote(complete->held, true);
  } else if (const auto* park = std::get_if<park_request>(&op)) {
    wrote(park->held, true);
  } else if (const auto* release = std::get_if<release_request>(&op)) {
    if (const auto* one = std::get_if<done>(&x); one != nullptr && one->count > 0) {
      wrote(release->held, true); // Else the lease was another's already.
    }
  }
}

void registry_trace::registered(const registration& what, row_id row, std::int64_t start_ns) {
  const auto trace = by_->trace_of(what.id, row, what.traceparent);
  if (!trace.around.sampled) {
    return;
  }
  span x;
  x.trace_id = trace.around.trace_id;
  x.span_id = trace.register_span;
  x.parent_id = trace.around.span_id;
  x.name = "register";
  x.kind = span_kind::producer;
  x.start_ns = start_ns;
  x.end_ns = end_ns_;
  x.attributes = what.kind.empty() ? std::vector<attribute>{{"belay.process.id", what.id}}
                                   : attributes_of(what.id, what.kind, what.queue);
  by_->add(x);
  link(x.trace_id, x.span_id);
}

void registry_trace::claimed_all(const claimed_list& rows) {
  for (const auto& one : rows.items) {
    claimed_one(one);
  }
}

void registry_trace::claimed_one(const claimed& x) {
  auto trace = by_->trace_of(x.held.id, x.held.row, x.traceparent);
  if (!trace.around.sampled) {
    return;
  }
  if (const auto before = running_.find(x.held.row); before != running_.end()) {
    lost(x, before->second);
    running_.erase(before);
  }
  span s;
  s.trace_id = trace.around.trace_id;
  s.parent_id = trace.register_span;
  s.attributes = {{"belay.process.id", x.held.id}, {"belay.attempt", std::int64_t{x.attempt}}};
  if (const auto length = waited(x)) {
    s.name = "wait";
    s.span_id = derive_span_id(s.trace_id, x.held.id, x.held.fence, s.name);
    s.start_ns = begin_ns_ - *length * ns_per_ms;
    s.end_ns = begin_ns_;
    by_->add(s);
  }
  s.name = "claim";
  s.span_id = derive_span_id(s.trace_id, x.held.id, x.held.fence, s.name);
  s.start_ns = begin_ns_;
  s.end_ns = end_ns_;
  s.attributes.emplace_back("belay.fence", static_cast<std::int64_t>(x.held.fence));
  s.attributes.emplace_back("belay.owner", x.held.holder.name);
  by_->add(s);
  link(s.trace_id, s.span_id);
  if (running_.size() >= running_max) {
    running_.erase(running_.begin());
  }
  auto run = derive_span_id(s.trace_id, x.held.id, x.held.fence, "run");
  running_[x.held.row]
    = {x.held.fence, x.attempt, x.held.holder.name, end_ns_, std::move(trace), std::move(run)};
}

void registry_trace::lost(const claimed& successor, const running& x) {
  span s;
  s.trace_id = x.trace.around.trace_id;
  s.span_id = x.span_id;
  s.parent_id = x.trace.register_span;
  s.name = "run";
  s.kind = span_kind::consumer;
  s.start_ns = x.claimed_ns;
  s.end_ns = std::max(begin_ns_, x.claimed_ns);
  auto then = successor;
  then.attempt = x.attempt;
  then.held.fence = x.fence;
  then.held.holder.name = x.owner;
  registration what;
  try {
    what = registration_from_canonical(successor.registration_json);
  } catch (const std::invalid_argument&) {
    what.queue.clear(); // Its own run will say what is wrong with it.
  }
  s.attributes = attributes_of(then, what);
  s.attributes.emplace_back("belay.outcome", "interrupted");
  s.failed = true;
  s.message = "its worker or its lease was lost";
  by_->add(s);
}

void registry_trace::wrote(const lease& held, bool ends) {
  const auto found = running_.find(held.row);
  if (found == running_.end() || found->second.fence != held.fence) {
    return;
  }
  link(found->second.trace.around.trace_id, found->second.span_id);
  if (ends) {
    running_.erase(found);
  }
}

void registry_trace::link(const std::string& trace_id, const std::string& span_id) {
  if (links_.size() < links_max) {
    links_.push_back({trace_id, span_id});
  }
}

void registry_trace::write_commit(std::size_t operations) {
  span x;
  // A trace of its own: it belongs to all that it is linked to.
  const auto unique = links_.front().span_id + std::to_string(begin_ns_);
  x.trace_id = derive_trace_id(unique, row_id{0});
  x.span_id = derive_span_id(x.trace_id, unique, fencing_token{0}, "commit");
  x.name = "commit";
  x.start_ns = begin_ns_;
  x.end_ns = end_ns_;
  x.attributes = {{"belay.operations", static_cast<std::int64_t>(operations)}};
  x.links = links_;
  by_->add(x);
}

} // namespace belay::tracing
