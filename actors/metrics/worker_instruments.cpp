#include "actors/metrics/worker_instruments.hpp"

#include "actors/metrics/exposition_impl.hpp"

#include <array>
#include <map>
#include <unordered_map>

namespace belay::metrics {

namespace {

constexpr std::array ends{"success", "failure",  "cancelled", "retried",
                          "parked",  "released", "lost",      "stopped"};
static_assert(static_cast<std::size_t>(run_end::stopped) + 1 == ends.size());

double seconds(worker_instruments::duration x) {
  return std::chrono::duration<double>{std::max(x, worker_instruments::duration{0})}.count();
}

} // namespace

struct worker_instruments::kind_set {
  counter* begun = nullptr;
  std::array<counter*, ends.size()> ended{};
  histogram* to_start = nullptr;
  histogram* length = nullptr;
};

struct worker_instruments::impl {
  impl(std::shared_ptr<exposition> target, const std::vector<std::string>& kinds)
    : to{std::move(target)}, others{&named(label_set::other)} {
    for (const auto& kind : kinds) {
      by_kind.emplace(kind, &named(to->kind_label(kind)));
    }
  }

  kind_set& named(const std::string& label) {
    const auto [found, fresh] = by_label.try_emplace(label);
    auto& x = found->second;
    if (fresh) {
      const label_map kind{{"kind", label}};
      x.begun = &begun.Add(kind);
      for (std::size_t i = 0; i < ends.size(); ++i) {
        x.ended[i] = &ended.Add({{"kind", label}, {"end", ends[i]}});
      }
      x.to_start = &to_start.Add(kind, short_times());
      x.length = &lengths.Add(kind, long_times());
    }
    return x;
  }

  std::shared_ptr<exposition> to;
  family<counter>& begun
    = counters(*to, "belay_worker_runs_started_total", "Runs begun on this worker.");
  family<counter>& ended
    = counters(*to, "belay_worker_runs_ended_total", "Runs ended on this worker, by how.");
  family<histogram>& to_start
    = histograms(*to, "belay_worker_claim_to_start_seconds",
                 "From the claim of a process to the start of its run here.");
  family<histogram>& lengths
    = histograms(*to, "belay_worker_run_seconds", "Length of a run on this worker.");
  gauge& slots = gauges(*to, "belay_worker_slots", "Slots of this worker.").Add({});
  gauge& slots_used = gauges(*to, "belay_worker_slots_used", "Slots that are taken.").Add({});
  gauge& waiting = gauges(*to, "belay_worker_waiting",
                          "Workflows that wait in memory, with a lease and without a slot.")
                     .Add({});
  gauge& leases = gauges(*to, "belay_worker_leases_held", "Leases held by this worker.").Add({});
  gauge& is_enlisted
    = gauges(*to, "belay_worker_enlisted", "1 when the registry has taken this worker in.").Add({});
  gauge& is_draining
    = gauges(*to, "belay_worker_draining", "1 while this worker takes nothing new.").Add({});
  counter& renewals
    = counters(*to, "belay_worker_renewals_total", "Renewals that the registry has answered.")
        .Add({});
  counter& renewals_failed = counters(*to, "belay_worker_renewals_failed_total",
                                      "Renewals that were refused or not answered.")
                               .Add({});
  counter& lost
    = counters(*to, "belay_worker_leases_lost_total", "Leases lost while they were held.").Add({});
  histogram& lag = histograms(*to, "belay_worker_renewal_lag_seconds",
                              "From when a renewal was due to its answer.")
                     .Add({}, short_times());
  std::map<std::string, kind_set> by_label;
  kind_set* others;
  std::unordered_map<std::string, kind_set*> by_kind;
};

worker_instruments::worker_instruments(std::shared_ptr<exposition> to,
                                       const std::vector<std::string>& kinds)
  : impl_{std::make_unique<impl>(std::move(to), kinds)} {}

worker_instruments::~worker_instruments() = default;

worker_instruments::kind_set& worker_instruments::of(const std::string& kind) {
  const auto found = impl_->by_kind.find(kind);
  return found == impl_->by_kind.end() ? *impl_->others : *found->second;
}

void worker_instruments::run_begins(kind_set& of, duration_ms after_claim) {
  of.begun->Increment();
  of.to_start->Observe(static_cast<double>(std::max<duration_ms>(after_claim, 0)) / 1e3);
}

void worker_instruments::run_ended(kind_set& of, run_end how, duration length) {
  of.ended.at(static_cast<std::size_t>(how))->Increment();
  of.length->Observe(seconds(length));
}

void worker_instruments::slots(std::uint32_t total, std::uint32_t used, std::uint32_t waiting) {
  impl_->slots.Set(total);
  impl_->slots_used.Set(used);
  impl_->waiting.Set(waiting);
  impl_->leases.Set(static_cast<double>(used) + waiting);
}

void worker_instruments::enlisted(bool is, bool draining) {
  impl_->is_enlisted.Set(is ? 1 : 0);
  impl_->is_draining.Set(draining ? 1 : 0);
}

void worker_instruments::renewed(duration lag) {
  impl_->renewals.Increment();
  impl_->lag.Observe(seconds(lag));
}

void worker_instruments::renewal_failed() {
  impl_->renewals_failed.Increment();
}

void worker_instruments::lease_lost() {
  impl_->lost.Increment();
}

} // namespace belay::metrics
