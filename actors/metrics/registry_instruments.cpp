#include "actors/metrics/registry_instruments.hpp"

#include "actors/metrics/exposition_impl.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <vector>

namespace belay::metrics {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::array outcomes{outcome_kind::success, outcome_kind::failure, outcome_kind::cancelled,
                              outcome_kind::abandoned};
/// One for each value of `ec`.
constexpr std::size_t codes = 22;
static_assert(static_cast<std::size_t>(ec::not_permitted) + 1 == codes);

std::int64_t nanoseconds_now() {
  return clock::now().time_since_epoch().count();
}

double seconds(std::int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}

/// What needs the live lease: the label `operation`, or null. Each is refused in a way of its own.
const char* fenced_name(const operation& op) {
  if (std::holds_alternative<renew_request>(op)) {
    return "renew";
  }
  if (std::holds_alternative<release_request>(op)) {
    return "release";
  }
  if (std::holds_alternative<complete_request>(op)) {
    return "complete";
  }
  if (std::holds_alternative<park_request>(op)) {
    return "park";
  }
  if (std::holds_alternative<journal_request>(op)) {
    return "journal";
  }
  const auto* append = std::get_if<append_request>(&op);
  return append != nullptr && append->fenced ? "append" : nullptr;
}

/// Whether the answer to a fenced operation says that the lease was not the live one.
bool is_stale(const operation& op, const answer& x) {
  if (const auto* no = std::get_if<refusal>(&x)) {
    return no->code == ec::lease_superseded;
  }
  const auto* released = std::get_if<done>(&x);
  return std::holds_alternative<release_request>(op) && released != nullptr && released->count == 0;
}

} // namespace

struct registry_instruments::impl {
  /// Of one kind, or of all that share a label.
  struct kind_set {
    counter* registered = nullptr;
    counter* claims = nullptr;
    counter* started = nullptr;
    std::array<counter*, outcomes.size()> finished{};
    counter* retried = nullptr;
    counter* interrupted = nullptr;
    counter* quarantined = nullptr;
    histogram* waited = nullptr;
  };

  impl(std::shared_ptr<exposition> target, std::function<std::string(std::uint32_t)> names)
    : to{std::move(target)}, name_of{std::move(names)} {
    for (const auto* name : {"renew", "release", "complete", "park", "journal", "append"}) {
      fenced[name] = &fenced_writes.Add({{"operation", name}});
    }
    for (std::size_t i = 1; i < refused.size(); ++i) {
      refused[i] = &refusals.Add({{"code", to_string(static_cast<ec>(i))}});
    }
    // So that every family is there, and counts from zero, before there is any work.
    named(label_set::other);
  }

  kind_set& set_of(std::uint32_t number) {
    if (by_number.size() <= number) {
      by_number.resize(number + 1, nullptr);
    }
    auto*& known = by_number[number];
    if (known == nullptr) {
      known = &named(to->kind_label(name_of(number)));
    }
    return *known;
  }

  kind_set& named(const std::string& label) {
    const auto [found, fresh] = by_label.try_emplace(label);
    auto& x = found->second;
    if (fresh) {
      const label_map kind{{"kind", label}};
      x.registered = &registered.Add(kind);
      x.claims = &claims.Add(kind);
      x.started = &started.Add(kind);
      for (std::size_t i = 0; i < outcomes.size(); ++i) {
        x.finished[i] = &finished.Add({{"kind", label}, {"outcome", to_string(outcomes[i])}});
      }
      x.retried = &retried.Add(kind);
      x.interrupted = &interruptions.Add(kind);
      x.quarantined = &quarantined.Add(kind);
      x.waited = &waits.Add(kind, long_times());
    }
    return x;
  }

  void count(const storage::happening& x) {
    using what = storage::happening::what;
    auto& of = set_of(x.kind);
    switch (x.happened) {
      case what::registered:
        of.registered->Increment();
        break;
      case what::claimed:
        of.claims->Increment();
        if (x.waited >= 0) {
          of.started->Increment();
          of.waited->Observe(static_cast<double>(x.waited) / 1e3);
        }
        break;
      case what::finished:
        of.finished[static_cast<std::size_t>(x.ended) - 1]->Increment();
        break;
      case what::retried:
        of.retried->Increment();
        break;
      case what::interrupted:
        of.interrupted->Increment();
        break;
      case what::quarantined:
        of.quarantined->Increment();
        break;
      case what::timer:
        timers.Increment();
        break;
    }
  }

  void refuse(ec code, double times = 1) {
    if (auto* const x = refused.at(static_cast<std::size_t>(code))) {
      x->Increment(times);
    }
  }

  void count(const operation& op, const answer& x) {
    if (const auto* no = std::get_if<refusal>(&x)) {
      refuse(no->code);
    } else if (std::holds_alternative<lease>(x)) {
      renewals.Increment();
    }
    if (const auto* name = fenced_name(op); name != nullptr && is_stale(op, x)) {
      fenced.at(name)->Increment();
    }
  }

  std::shared_ptr<exposition> to;
  std::function<std::string(std::uint32_t)> name_of;
  family<counter>& registered
    = counters(*to, "belay_processes_registered_total", "Processes registered.");
  family<counter>& claims
    = counters(*to, "belay_claims_total", "Claims granted: of a process's first and later runs.");
  family<counter>& started
    = counters(*to, "belay_processes_started_total", "Processes claimed for the first time.");
  family<counter>& finished = counters(*to, "belay_processes_finished_total", "Outcomes recorded.");
  family<counter>& retried = counters(*to, "belay_processes_retried_total",
                                      "Failures that were answered with another attempt.");
  family<counter>& interruptions
    = counters(*to, "belay_interruptions_total",
               "Runs that lost their lease: it expired, or the worker was lost.");
  family<counter>& quarantined
    = counters(*to, "belay_processes_quarantined_total", "Processes put into quarantine.");
  family<histogram>& waits
    = histograms(*to, "belay_queue_wait_seconds",
                 "From when a process was registered and due to its first claim.");
  family<counter>& fenced_writes
    = counters(*to, "belay_fenced_writes_refused_total",
               "Writes of a holder whose lease was not the live one any more.");
  family<counter>& refusals
    = counters(*to, "belay_requests_refused_total", "Requests that the registry refused.");
  counter& renewals
    = counters(*to, "belay_lease_renewals_total", "Leases renewed by the registry.").Add({});
  counter& timers
    = counters(*to, "belay_timers_fired_total", "Waiting processes woken because a time had come.")
        .Add({});
  histogram& commits
    = histograms(*to, "belay_commit_seconds", "One commit: applying a batch and syncing it.")
        .Add({}, short_times());
  histogram& sizes
    = histograms(*to, "belay_commit_operations", "Operations in one commit.")
        .Add({}, histogram::BucketBoundaries{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1'024});
  counter& failed_commits
    = counters(*to, "belay_commits_failed_total", "Commits that found the disk full.").Add({});
  gauge& nodes
    = gauges(*to, "belay_nodes_connected", "Workers that the registry has taken in.").Add({});
  gauge& slots
    = gauges(*to, "belay_cluster_slots", "Slots of the workers that are connected.").Add({});
  std::map<std::string_view, counter*> fenced;
  std::array<counter*, codes> refused{};
  std::map<std::string, kind_set> by_label;
  /// By a kind's number, so that an event costs no search.
  std::vector<kind_set*> by_number;
  /// When the open batch began and when its commit began, in ns of the steady clock; 0: not.
  std::atomic<std::int64_t> batch_since{0};
  std::int64_t commit_since = 0;
};

registry_instruments::registry_instruments(std::shared_ptr<exposition> to,
                                           std::function<std::string(std::uint32_t)> name_of)
  : impl_{std::make_unique<impl>(std::move(to), std::move(name_of))} {}

registry_instruments::~registry_instruments() = default;

void registry_instruments::batch_begins() {
  impl_->batch_since.store(nanoseconds_now(), std::memory_order_relaxed);
}

void registry_instruments::commit_begins() {
  impl_->commit_since = nanoseconds_now();
  if (impl_->batch_since.load(std::memory_order_relaxed) == 0) { // Of grants alone.
    impl_->batch_since.store(impl_->commit_since, std::memory_order_relaxed);
  }
}

void registry_instruments::committed(std::span<const operation> batch,
                                     const storage::batch_result& result) {
  auto& x = *impl_;
  x.batch_since.store(0, std::memory_order_relaxed);
  if (result.written) {
    x.commits.Observe(seconds(nanoseconds_now() - x.commit_since));
    x.sizes.Observe(static_cast<double>(batch.size()));
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    x.count(batch[i], result.answers[i]);
  }
  for (const auto& one : result.happenings) {
    x.count(one);
  }
}

void registry_instruments::commit_failed(std::size_t operations, ec why) {
  auto& x = *impl_;
  x.batch_since.store(0, std::memory_order_relaxed);
  x.failed_commits.Increment();
  x.refuse(why, static_cast<double>(operations));
}

void registry_instruments::refused(ec code) {
  impl_->refuse(code);
}

void registry_instruments::workers(std::size_t nodes, std::uint64_t slots) {
  impl_->nodes.Set(static_cast<double>(nodes));
  impl_->slots.Set(static_cast<double>(slots));
}

double registry_instruments::commit_pending_seconds() const {
  const auto since = impl_->batch_since.load(std::memory_order_relaxed);
  return since == 0 ? 0 : std::max(0.0, seconds(nanoseconds_now() - since));
}

} // namespace belay::metrics
